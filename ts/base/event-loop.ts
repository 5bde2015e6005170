import { setImmediate } from 'node:timers/promises'

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
