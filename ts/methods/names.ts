/** Preset names; their values are data in {@link METHODS}. */
export const METHOD_NAMES = [
  'declip',
  'clipself',
  'itaclip',
  'sclip',
  'clearclip',
  'naclip',
  'maskclip',
  'proxyclip',
  'vanilla',
] as const

/** One of {@link METHOD_NAMES}. */
export type MethodName = (typeof METHOD_NAMES)[number]
