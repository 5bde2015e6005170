import type { NativeAddon, NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { type DecodedImage, loadSharp } from '../image/decode.js'
import { drawLegend, type LegendEntry } from './legend.js'
import type { Rgb } from './palette.js'

/** What an overlay shows. @internal */
export interface OverlayInput {
  readonly addon: Pick<NativeAddon, 'CancelToken' | 'blendColors'>
  /** Ours alone: it is drawn on. */
  readonly image: DecodedImage
  readonly labels: NativeTensor
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
  const pixels = await blendLabels(input)
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

/** Colours mixed into the pixels; the rim of every coloured region takes the colour alone. @internal */
export async function blendLabels({
  addon,
  image,
  labels,
  colors,
  opacity,
}: Pick<OverlayInput, 'addon' | 'image' | 'labels' | 'colors' | 'opacity'>): Promise<Uint8Array> {
  const { width, height, data: pixels } = image
  const rim = Math.max(2, Math.round(Math.sqrt(width * height) / 600)) // pixels
  await callNative(addon, {}, call =>
    addon.blendColors({
      ...call,
      pixels,
      width,
      height,
      labels,
      colors: colors.map(color => color ?? null),
      opacity,
      rim,
    }),
  )
  return pixels
}
