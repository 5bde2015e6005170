import type { ModelDType } from '../base/names.js'
import { warnOnce } from '../base/warn.js'
import type { NativeModelInfo, NativeRuntime } from '../engine/addon-types.js'

/** Code of the note that another number format would be faster. */
export const BFLOAT16_FASTER = 'DECLIP_BFLOAT16_FASTER'

/** Least channels of a vision tower for which the gain was measured: ViT-B/32 up to ViT-L/14. */
const LEAST_WIDTH = 768

// Both figures as examples/dtypes.mjs and `npm run bench -- goals` measured them: docs/performance.md.
const FASTER =
  "This processor multiplies bfloat16 itself: with dtype 'bfloat16' instead of float32 the image encoder of " +
  'this model is about 1.7 to 1.9 times as fast, and more than 99 % of the pixels keep their label. Ask for it, or for ' +
  "'float32' to stay and not read this again."

/** What to say once where float32 was not asked for, and bfloat16 would be faster; else null. @internal */
export function bfloat16Hint(
  asked: ModelDType | undefined,
  { dtype, device, textSpace, vision }: Pick<NativeModelInfo, HintedBy>,
  { bfloat16Units }: Pick<NativeRuntime, 'bfloat16Units'>,
): string | null {
  const isChosen = asked !== undefined && asked !== 'auto'
  const matters = textSpace && vision.width >= LEAST_WIDTH
  if (isChosen || dtype !== 'float32' || device !== 'cpu' || !bfloat16Units || !matters) return null
  return FASTER
}

type HintedBy = 'dtype' | 'device' | 'textSpace' | 'vision'

/** Says it, once per process. @internal */
export function hintBfloat16(...given: Parameters<typeof bfloat16Hint>): void {
  warnOnce(bfloat16Hint(...given), BFLOAT16_FASTER)
}
