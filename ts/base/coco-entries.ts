/** What readers of COCO-style files share, whatever they read them for. */

/** A value as it stands in the data, for a message. @internal */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/**
 * The file of an entry of "images": its name, or for LVIS the last folder and the name in its address.
 *
 * @internal
 */
export function namedFile({
  file_name,
  coco_url,
}: {
  readonly file_name?: unknown
  readonly coco_url?: unknown
}): string | undefined {
  if (typeof file_name === 'string' && file_name !== '') return file_name
  if (typeof coco_url !== 'string' || coco_url === '') return undefined
  return coco_url.split('/').slice(-2).join('/')
}
