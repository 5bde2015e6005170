import { setImmediate } from 'node:timers/promises'

/** How long a piece of work may hold the event loop, in milliseconds. */
const TURN_MS = 5
/** Items between two looks at the clock. */
const ITEMS_PER_LOOK = 256

/**
 * Calls `visit` for every item, letting the event loop turn in between.
 *
 * @param perLook - items between two looks at the clock
 * @internal
 */
export async function inTurns<T>(
  items: Iterable<T>,
  visit: (item: T, index: number) => void,
  perLook = ITEMS_PER_LOOK,
): Promise<void> {
  let begun = performance.now()
  let index = 0
  for (const item of items) {
    if (index % perLook === 0 && performance.now() - begun > TURN_MS) {
      await setImmediate()
      begun = performance.now()
    }
    visit(item, index++)
  }
}

/** Pixels between two turns of the event loop: some milliseconds of work. */
const PIXELS_PER_TURN = 1 << 17

/**
 * Calls `visit` for every line (row or column) of a picture, letting the event loop turn in between.
 *
 * @param lines - number of lines
 * @param length - pixels per line
 * @internal
 */
export async function eachLine(
  lines: number,
  length: number,
  visit: (line: number) => void,
): Promise<void> {
  const perTurn = Math.max(1, Math.floor(PIXELS_PER_TURN / length))
  for (let start = 0; start < lines; start += perTurn) {
    if (start > 0) await setImmediate()
    const end = Math.min(lines, start + perTurn)
    for (let line = start; line < end; line++) visit(line)
  }
}
