/** A confusion matrix as a picture. */
import { loadSharp } from '../../image/decode.js'
import { clean, letters, measure, shorten } from '../../result/lettering.js'
import type { Rgb } from '../../result/palette.js'
import { type Confusion, rowShares } from './confusion.js'

/** An encoded picture. */
export interface Picture {
  readonly bytes: Uint8Array
  readonly mime: 'image/png' | 'image/jpeg'
  /** In pixels. */
  readonly width: number
  readonly height: number
}

/** Classes up to which rows and columns are named; more would not be read. */
export const MOST_NAMED = 60
/** Classes up to which there is a picture: each needs a pixel. */
export const MOST_DRAWN = 2048

const INK = '#1b1f24'
const FAINT = '#57606a'
const EMPTY: Rgb = [240, 242, 245]
const RIGHT: Rgb = [13, 110, 108]
const WRONG: Rgb = [190, 58, 12]
const MARGIN = 18
const NAME_ROOM = 170

/**
 * Draws rows as shares of what is true: the diagonal, which is right, in green, mistakes in red. The numbers are per
 * cent; below half of one none is written. Rows of classes that never occur are grey.
 */
export async function drawConfusion(confusion: Confusion): Promise<Picture> {
  const { names } = confusion
  const size = names.length
  const shares = rowShares(confusion)
  const cell = cellSide(size)
  const side = size * cell
  const named = size <= MOST_NAMED
  const fontSize = Math.min(15, Math.max(9, cell * 0.5))
  const shown = named ? names.map(name => shorten(clean(name), NAME_ROOM, fontSize)) : []
  const room = Math.ceil(Math.max(0, ...shown.map(name => measure(name, fontSize)))) + 8
  const [left, top] = [MARGIN + 22 + room, MARGIN + 22 + room]
  const width = left + Math.max(side, scaleWidth()) + MARGIN
  const height = top + side + 58
  const sharp = await loadSharp()
  const cells = await sharp(drawCells(shares, size, cell), {
    raw: { width: side, height: side, channels: 3 },
  })
    .png()
    .toBuffer()
  const text = [
    ...axisTitles(left, top, side),
    ...shown.flatMap((name, i) => nameOf(name, i, { left, top, cell, fontSize })),
    ...(named ? numbers(shares, size, { left, top, cell }) : []),
    ...scaleBar(left, top + side + 22),
  ]
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<rect x="${left - 0.5}" y="${top - 0.5}" width="${side + 1}" height="${side + 1}" fill="none" stroke="#d0d7de"/>` +
    `${text.join('')}</svg>`
  const bytes = await sharp({
    create: { width, height, channels: 3, background: '#fff' },
    limitInputPixels: false,
  })
    .composite([
      { input: cells, left, top },
      { input: Buffer.from(svg), left: 0, top: 0 },
    ])
    .removeAlpha()
    .png({ compressionLevel: 9 })
    .toBuffer()
  return { bytes, mime: 'image/png', width, height }
}

/** Pixels a class. */
function cellSide(size: number): number {
  if (size <= 12) return 52
  if (size <= 24) return 38
  if (size <= MOST_NAMED) return 24
  return Math.max(1, Math.floor(1200 / size))
}

/** How strongly a share is coloured: small ones must still be seen. */
const strength = (share: number) => share ** 0.5

function colorOf(share: number, right: boolean): Rgb {
  if (Number.isNaN(share)) return EMPTY
  const full = right ? RIGHT : WRONG
  const mix = (i: 0 | 1 | 2) => Math.round(255 + (full[i] - 255) * strength(share))
  return [mix(0), mix(1), mix(2)]
}

/** RGB pixels of all cells; those of 8 pixels and more are set apart by a line. */
function drawCells(shares: Float64Array, size: number, cell: number): Uint8Array {
  const side = size * cell
  const pixels = new Uint8Array(3 * side * side).fill(255)
  const inner = cell >= 8 ? cell - 1 : cell
  for (let row = 0; row < size; row++) {
    const line = new Uint8Array(3 * side).fill(255)
    for (let column = 0; column < size; column++) {
      const color = colorOf(shares[row * size + column] as number, row === column)
      for (let x = 0; x < inner; x++) line.set(color, 3 * (column * cell + x))
    }
    for (let y = 0; y < inner; y++) pixels.set(line, 3 * side * (row * cell + y))
  }
  return pixels
}

interface Place {
  readonly left: number
  readonly top: number
  readonly cell: number
}

function nameOf(
  name: string,
  i: number,
  { left, top, cell, fontSize }: Place & { fontSize: number },
): string[] {
  const middle = (i + 0.5) * cell + 0.35 * fontSize
  return [
    letters(name, left - 6 - measure(name, fontSize), top + middle, fontSize, INK),
    `<g transform="translate(${left + middle} ${top - 6}) rotate(-90)">${letters(name, 0, 0, fontSize, INK)}</g>`,
  ]
}

function numbers(shares: Float64Array, size: number, { left, top, cell }: Place): string[] {
  const fontSize = Math.min(14, cell * 0.42)
  const found: string[] = []
  shares.forEach((share, i) => {
    if (!(share >= 0.005)) return
    const text = String(Math.round(100 * share))
    const x = left + ((i % size) + 0.5) * cell - measure(text, fontSize) / 2
    const y = top + (Math.floor(i / size) + 0.5) * cell + 0.35 * fontSize
    found.push(letters(text, x, y, fontSize, strength(share) > 0.6 ? '#fff' : INK))
  })
  return found
}

function axisTitles(left: number, top: number, side: number): string[] {
  const size = 14
  const [across, down] = ['predicted', 'truth']
  return [
    letters(across, left + (side - measure(across, size)) / 2, MARGIN + 10, size, FAINT),
    `<g transform="translate(${MARGIN + 8} ${top + (side + measure(down, size)) / 2}) rotate(-90)">${letters(down, 0, 0, size, FAINT)}</g>`,
  ]
}

const WRONG_TEXT = 'taken for another'
/** Pixels from the left of the scale: where mistakes begin, and where their text does. */
const [WRONG_BAR, WRONG_LETTERS] = [210, 317]

function scaleWidth(): number {
  return Math.ceil(WRONG_LETTERS + measure(WRONG_TEXT, 12))
}

/** What the colours mean. */
function scaleBar(left: number, top: number): string[] {
  const step = 9
  const bar = (x: number, right: boolean) =>
    Array.from({ length: 11 }, (_, i) => {
      const color = colorOf(i / 10, right).join()
      return `<rect x="${x + i * step}" y="${top}" width="${step}" height="10" fill="rgb(${color})"/>`
    }).join('')
  const text = (value: string, x: number) => letters(value, x, top + 10, 12, FAINT)
  return [
    bar(left, true),
    text('right, 0 to 100%', left + 11 * step + 8),
    bar(left + WRONG_BAR, false),
    text(WRONG_TEXT, left + WRONG_LETTERS),
  ]
}
