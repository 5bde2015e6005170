import type { NativeAddon, NativeTensor } from '../engine/addon-types.js'
import { type DecodedImage, loadSharp } from '../image/decode.js'
import { boxArea, type Found } from './found.js'
import { clean, letters, measure, shorten } from './lettering.js'
import { blendLabels } from './overlay.js'
import type { Rgb } from './palette.js'

/** What is drawn. @internal */
export interface DetectionDrawing {
  readonly addon: Pick<NativeAddon, 'CancelToken' | 'blendColors'>
  /** Ours alone: it is drawn on. */
  readonly image: DecodedImage
  /** Best first. */
  readonly found: readonly Found[]
  readonly classes: readonly string[]
  /** Label + 1 of every pixel of an object, 0 elsewhere. */
  readonly labels: NativeTensor
  /** By the values of `labels`. */
  readonly colors: readonly (Rgb | undefined)[]
  /** Share of the colour in the masks, 0 to 1. */
  readonly opacity: number
  /** Names and scores beside the boxes. */
  readonly names: boolean
}

/** A rectangle in pixels. */
interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** PNG of the picture with masks tinted, boxes, names and scores. @internal */
export async function drawDetections(drawing: DetectionDrawing): Promise<Uint8Array> {
  const { width, height } = drawing.image
  const sharp = await loadSharp()
  const pixels = await blendLabels(drawing)
  return sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .composite([{ input: Buffer.from(frames(drawing)), left: 0, top: 0 }])
    .png()
    .toBuffer()
}

/** From so many objects on lines and letters are finer, and a name that finds no free place is left out. */
const CROWD = 15

/** Most of a picture that the names of a crowd cover. */
const NAMES_SHARE = 0.2

/**
 * Boxes and their labels as SVG. Smaller boxes lie on larger ones; of a crowd the weak ones are pale, and the best have
 * the first choice of the places for names.
 */
function frames({ image, found, classes, colors, names }: DetectionDrawing): string {
  const { width, height } = image
  const scale = Math.sqrt(width * height)
  const isCrowd = found.length > CROWD
  const line = isCrowd ? Math.max(1, scale / 520) : Math.max(1.5, scale / 320)
  const size = isCrowd ? Math.max(10, scale / 44) : Math.max(11, scale / 32)
  const best = Math.max(...found.map(({ score }) => score))
  const strength = (score: number) => (isCrowd ? 0.3 + 0.7 * Math.sqrt(score / (best || 1)) : 1)
  const paintOf = (label: number) => colors[label + 1] ?? ([255, 255, 255] as const)
  const outlines = [...found]
    .sort((a, b) => boxArea(b) - boxArea(a))
    .map(({ box: [x1, y1, x2, y2], label, score }) => {
      const half = line / 2
      const frame = `x="${x1 + half}" y="${y1 + half}" width="${Math.max(1, x2 - x1 - line)}" height="${Math.max(1, y2 - y1 - line)}" rx="${line}" fill="none"`
      // A dark line around the coloured one, so that it is seen on any ground.
      return `<g opacity="${strength(score).toFixed(2)}"><rect ${frame} stroke="#000" stroke-opacity=".45" stroke-width="${line * 1.9}"/><rect ${frame} stroke="rgb(${paintOf(label).join()})" stroke-width="${line}"/></g>`
    })
  const placed: Rectangle[] = []
  const chips: string[] = []
  let covered = 0
  for (const { box, label, score } of names ? found : []) {
    const share = `${Math.round(100 * score)}%`
    const name = shorten(
      clean((classes[label] ?? '').replaceAll('_', ' ')),
      width - measure(` ${share}`, size) - 2 * size,
      size,
    )
    const text = name === '' ? share : `${name} ${share}`
    const chip = { width: measure(text, size) + 0.7 * size, height: 1.32 * size }
    const { isFree, ...place } = placeOf(chip, box, placed, width, height)
    if (isCrowd && (!isFree || covered > NAMES_SHARE * width * height)) continue
    covered += chip.width * chip.height
    placed.push(place)
    const color = paintOf(label)
    chips.unshift(
      `<g opacity="${strength(score).toFixed(2)}"><rect x="${place.x}" y="${place.y}" width="${chip.width}" height="${chip.height}" rx="${0.25 * size}" fill="rgb(${color.join()})"/>${letters(text, place.x + 0.35 * size, place.y + 0.98 * size, size, inkOn(color))}</g>`,
    )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${outlines.join('')}${chips.join('')}</svg>`
}

/** Above the box, in its upper corner, below it or in its lower corner: where no other label lies yet. */
function placeOf(
  chip: Pick<Rectangle, 'width' | 'height'>,
  [x1, y1, x2, y2]: Found['box'],
  placed: readonly Rectangle[],
  width: number,
  height: number,
): Rectangle & { isFree: boolean } {
  const choices = [
    [x1, y1 - chip.height],
    [x1, y1],
    [x2 - chip.width, y1 - chip.height],
    [x1, y2],
    [x1, y2 - chip.height],
    [x2 - chip.width, y2 - chip.height],
  ] as const
  const inside = choices.map(([x, y]) => ({
    x: Math.max(0, Math.min(x, width - chip.width)),
    y: Math.max(0, Math.min(y, height - chip.height)),
    moved: y < 0 || y > height - chip.height,
    ...chip,
  }))
  const free = inside.filter(place => !placed.some(other => overlaps(place, other)))
  const { x, y } = free.find(({ moved }) => !moved) ?? free[0] ?? (inside[1] as Rectangle)
  return { x, y, ...chip, isFree: free.length > 0 }
}

function overlaps(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

/** Black or white, whichever is read better: relative luminance as WCAG 2 has it. */
function inkOn(color: Rgb): string {
  const [red, green, blue] = color.map(value => (value / 255) ** 2.2) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3 ? '#111' : '#fff'
}
