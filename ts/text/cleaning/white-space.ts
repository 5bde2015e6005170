/** White space as Python has it: Unicode's and four control characters, unlike JavaScript's. */

const CLASS = String.raw`[\p{White_Space}\u001c-\u001f]`
const SPACES = new RegExp(`${CLASS}+`, 'gu')
const SPACE = new RegExp(CLASS, 'u')

/** Python's `' '.join(text.split())`. */
export function collapseSpace(text: string): string {
  return text.replace(SPACES, ' ').replace(/^ | $/g, '')
}

/** Python's `lstrip()`. */
export function trimLeft(text: string): string {
  let start = 0
  while (start < text.length && SPACE.test(text[start] as string)) start++
  return text.slice(start)
}

/** Python's `rstrip()`; a pattern with `+$` would look at every run of white space from each of its places. */
export function trimRight(text: string): string {
  let end = text.length
  while (end > 0 && SPACE.test(text[end - 1] as string)) end--
  return text.slice(0, end)
}
