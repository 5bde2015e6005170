import { eachLine, inTurns } from '../base/event-loop.js'

/** Bits that a run's length may take; the two bits in front of it say which. */
const LENGTH_BITS = [3, 4, 8, 16] as const
/** Bits of a value. */
const VALUE_BITS = 8
/** Values of a pixel: red, green, blue, alpha. */
const CHANNELS = 4

/** A mask's box in pixels. */
type Box = readonly [x1: number, y1: number, x2: number, y2: number]

/**
 * A mask as Label Studio's brush has it: the values of a picture in RGBA, row by row, 255 inside and 0 outside,
 * packed by runs. The stream of bits, the highest first: 32 for the number of values, 5 for the bits of a value
 * less 1, four times 4 for the bits of a length less 1; then for every run a 1, two bits that choose one of
 * the four, the length less 1, and the value. The format is that of the package @thi.ng/rle-pack.
 *
 * @param counts - run lengths down the columns, outside first
 */
export async function brush(
  counts: readonly number[],
  width: number,
  height: number,
  box: Box,
): Promise<number[]> {
  const bits = new Bits()
  bits.write(width * height * CHANNELS, 32)
  bits.write(VALUE_BITS - 1, 5)
  for (const size of LENGTH_BITS) bits.write(size - 1, 4)
  await inTurns(await rowRuns(counts, width, height, box), (length, i) => {
    writeRun(bits, length * CHANNELS, i % 2 === 1 ? 255 : 0)
  })
  return bits.bytes()
}

function writeRun(bits: Bits, length: number, value: number): void {
  const longest = 2 ** LENGTH_BITS[3]
  for (let rest = length; rest > 0; ) {
    const piece = Math.min(rest, longest)
    const choice = LENGTH_BITS.findIndex(size => piece <= 2 ** size)
    bits.write(1, 1)
    bits.write(choice, 2)
    bits.write(piece - 1, LENGTH_BITS[choice] as number)
    bits.write(value, VALUE_BITS)
    rest -= piece
  }
}

/** The same mask as run lengths along the rows, outside first. */
export async function rowRuns(
  counts: readonly number[],
  width: number,
  height: number,
  [x1, y1, x2, y2]: Box,
): Promise<number[]> {
  const [columns, rows] = [x2 - x1, y2 - y1]
  const inside = new Uint8Array(columns * rows)
  let [x, y] = [0, 0]
  await inTurns(counts, (length, i) => {
    for (let rest = length; rest > 0; ) {
      const piece = Math.min(rest, height - y)
      if (i % 2 === 1) fill(x, y, piece)
      rest -= piece
      y += piece
      if (y === height) [x, y] = [x + 1, 0]
    }
  })
  function fill(column: number, row: number, length: number): void {
    for (let i = (row - y1) * columns + column - x1, n = length; n > 0; n--, i += columns)
      inside[i] = 1
  }
  const runs: number[] = []
  let current = 0
  let length = y1 * width
  await eachLine(rows, columns, y => {
    length += x1
    if (current === 1 && x1 > 0) {
      runs.push(length - x1)
      length = x1
      current = 0
    }
    for (let i = y * columns; i < (y + 1) * columns; i++) {
      if (inside[i] !== current) {
        runs.push(length)
        length = 0
        current ^= 1
      }
      length += 1
    }
    if (x2 < width) {
      if (current === 1) {
        runs.push(length)
        length = 0
        current = 0
      }
      length += width - x2
    }
  })
  const below = (height - y2) * width
  if (below > 0 && current === 1) {
    runs.push(length)
    length = 0
  }
  runs.push(length + below)
  return runs
}

/** Bits behind one another, the highest of a value first. */
class Bits {
  readonly #bytes: number[] = []
  #free = 0

  /** @param size - 1 to 32 */
  write(value: number, size: number): void {
    for (let left = size; left > 0; ) {
      if (this.#free === 0) {
        this.#bytes.push(0)
        this.#free = 8
      }
      const count = Math.min(left, this.#free)
      const piece = Math.floor(value / 2 ** (left - count)) % 2 ** count
      this.#free -= count
      left -= count
      this.#bytes.push((this.#bytes.pop() as number) | (piece << this.#free))
    }
  }

  bytes(): number[] {
    return this.#bytes
  }
}
