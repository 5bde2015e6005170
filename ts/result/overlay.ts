import { eachLine } from '../base/event-loop.js'
import { type DecodedImage, loadSharp } from '../image/decode.js'
import type { LabelMap } from './label-map.js'
import { drawLegend, type LegendEntry } from './legend.js'
import type { Rgb } from './palette.js'

/** What an overlay shows. @internal */
export interface OverlayInput {
  readonly image: DecodedImage
  readonly labels: LabelMap
  readonly classes: readonly string[]
  readonly areas: readonly number[]
  /** Colour per class; undefined leaves the picture as it is. */
  readonly colors: readonly (Rgb | undefined)[]
  /** Share of the colour, 0 to 1. */
  readonly opacity: number
  readonly legend: boolean
}

/** PNG of the picture under the colours of its classes, outlined, with a legend below. @internal */
export async function drawOverlay(input: OverlayInput): Promise<Uint8Array> {
  const { width, height } = input.image
  const sharp = await loadSharp()
  const pixels = await blend(input)
  const picture = sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false })
  if (!input.legend) return picture.png().toBuffer()
  const size = Math.max(14, Math.sqrt(width * height) / 42)
  const legend = drawLegend(legendEntries(input), width, size)
  return picture
    .extend({ right: legend.width - width, bottom: legend.height, background: '#fff' })
    .composite([{ input: Buffer.from(legend.svg), left: 0, top: height }])
    .png()
    .toBuffer()
}

/** The classes of the picture, largest first, what is not coloured last. */
function legendEntries({ classes, areas, colors }: OverlayInput): LegendEntry[] {
  return classes
    .map((name, i) => ({ name, area: areas[i] ?? 0, color: colors[i] }))
    .filter(({ area }) => area > 0)
    .sort((a, b) => Number(!a.color) - Number(!b.color) || b.area - a.area)
}

/** Colours mixed into the pixels; the rim of every coloured region takes the colour alone. */
async function blend({ image, labels, colors, opacity }: OverlayInput): Promise<Uint8Array> {
  const { width, height, data } = image
  const label = labels.data
  const rim = Math.max(2, Math.round(Math.sqrt(width * height) / 600)) // pixels
  const out = data // ours alone: every pixel is read before it is written
  await eachLine(height, width, y => {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const own = label[i] as number
      const color = colors[own]
      if (!color) continue
      let share = opacity
      for (let r = 1; r <= rim && share < 1; r++) {
        const edge =
          (x >= r && label[i - r] !== own) ||
          (x + r < width && label[i + r] !== own) ||
          (y >= r && label[i - r * width] !== own) ||
          (y + r < height && label[i + r * width] !== own)
        if (edge) share = 1
      }
      for (let c = 0; c < 3; c++) {
        const pixel = data[3 * i + c] as number
        out[3 * i + c] = Math.round(pixel + share * ((color[c] as number) - pixel))
      }
    }
  })
  return out
}
