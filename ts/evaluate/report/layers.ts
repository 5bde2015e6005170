/** Draws what is known and what was found over a picture. */
import { prepareAddon } from '../../engine/load-addon.js'
import { Tensor } from '../../engine/tensor.js'
import { type DecodedImage, loadSharp } from '../../image/decode.js'
import { loadImage } from '../../image/source.js'
import { clean, letters, measure, shorten } from '../../result/lettering.js'
import { drawOverlay } from '../../result/overlay.js'
import { overlayColor, type Rgb } from '../../result/palette.js'
import type { Picture } from './confusion-picture.js'
import type { BoxLayer, LabelLayer, PictureLayers } from './parts.js'

/** Longer side of a drawn picture in pixels: three of them stand beside each other. */
const LONG_SIDE = 560
const SHORT_SIDE = 420
const OPACITY = 0.62
const IGNORED: Rgb = [150, 150, 150]
/** Boxes at most, the best ones: more hide the picture. */
const MOST_BOXES = 60

/** A class that is seen in a picture. */
export interface Seen {
  /** Label; the number of classes for pixels that are not counted. */
  readonly label: number
  readonly color: Rgb | undefined
  /** Truly in the picture. */
  readonly true: boolean
}

/** A picture as it is, with what is true and with what was found. */
export interface Drawn {
  readonly picture: Picture
  readonly truth: Picture
  readonly prediction: Picture
  /** Most pixels or boxes first. */
  readonly seen: readonly Seen[]
}

/** Classes up to which each has a colour of its own that is told from all others. */
const DISTINCT = 19

/**
 * Colours of the labels that are seen in a picture, by label. Of few classes each keeps its colour in all pictures, as
 * in overlays of segmentations; of more, those of one picture get the colours that are told apart best.
 */
function colorsOf(seen: readonly number[], classes: number, background: number) {
  const own = classes - Number(background >= 0) <= DISTINCT
  const foreground = seen.filter(label => label !== background && label < classes)
  const colors = new Map<number, Rgb>([[classes, IGNORED]])
  for (const [rank, label] of foreground.entries()) {
    const index = background >= 0 && label > background ? label - 1 : label
    colors.set(label, overlayColor(own ? index : rank))
  }
  return colors
}

/** Draws both layers over the picture, made small. */
export async function drawLayers(
  layers: PictureLayers,
  classes: readonly string[],
  background: number,
): Promise<Drawn> {
  const image = await loadImage(layers.image)
  const scale = Math.min(1, LONG_SIDE / image.width, SHORT_SIDE / image.height)
  const small = await resized(image, scale)
  const seen = amountsOf([layers.truth, layers.prediction], classes.length)
  const colors = colorsOf([...seen.keys()], classes.length, background)
  const draw = (layer: PictureLayers['truth']) =>
    isLabels(layer)
      ? drawLabels(small, layer, classes.length, colors)
      : drawBoxes(small, layer, classes, colors, scale)
  const truly = amountsOf([layers.truth], classes.length)
  return {
    picture: await toJpeg(small),
    truth: await draw(layers.truth),
    prediction: await draw(layers.prediction),
    seen: [...seen]
      .filter(([, amount]) => amount >= LEAST_SEEN)
      .map(([label]) => ({ label, color: colors.get(label), true: truly.has(label) })),
  }
}

const isLabels = (layer: PictureLayers['truth']): layer is LabelLayer => 'data' in layer

async function resized(
  { data, width, height }: DecodedImage,
  scale: number,
): Promise<DecodedImage> {
  const sharp = await loadSharp()
  const size = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  }
  const pixels = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .resize({ ...size, fit: 'fill' })
    .raw()
    .toBuffer()
  return { data: pixels, ...size }
}

async function toJpeg({ data, width, height }: DecodedImage): Promise<Picture> {
  const sharp = await loadSharp()
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 80 })
    .toBuffer()
  return { bytes, mime: 'image/jpeg', width, height }
}

async function drawLabels(
  { data, width, height }: DecodedImage,
  layer: LabelLayer,
  classes: number,
  colors: ReadonlyMap<number, Rgb>,
): Promise<Picture> {
  const small = nearest(layer, width, height, classes)
  using labels = Tensor.from(small, [height, width])
  const png = await drawOverlay({
    addon: await prepareAddon(),
    image: { data: Uint8Array.from(data), width, height },
    labels: labels.native,
    classes: [],
    areas: [],
    colors: Array.from({ length: classes + 1 }, (_, label) => colors.get(label)),
    opacity: OPACITY,
    legend: false,
  })
  const sharp = await loadSharp()
  const bytes = await sharp(png).jpeg({ quality: 84, chromaSubsampling: '4:4:4' }).toBuffer()
  return { bytes, mime: 'image/jpeg', width, height }
}

/** Labels of a smaller picture; those of no class become one more class. */
function nearest(
  { data, width, height }: LabelLayer,
  toWidth: number,
  toHeight: number,
  classes: number,
): Uint8Array | Uint16Array {
  const small = new (classes < 256 ? Uint8Array : Uint16Array)(toWidth * toHeight)
  for (let y = 0, o = 0; y < toHeight; y++) {
    const row = Math.min(height - 1, Math.floor(((y + 0.5) * height) / toHeight)) * width
    for (let x = 0; x < toWidth; x++, o++) {
      const column = Math.min(width - 1, Math.floor(((x + 0.5) * width) / toWidth))
      small[o] = Math.min(classes, data[row + column] as number)
    }
  }
  return small
}

async function drawBoxes(
  { data, width, height }: DecodedImage,
  boxes: readonly BoxLayer[],
  classes: readonly string[],
  colors: ReadonlyMap<number, Rgb>,
  scale: number,
): Promise<Picture> {
  const best = [...boxes].sort((a, b) => (b.score ?? 1) - (a.score ?? 1)).slice(0, MOST_BOXES)
  const shapes = best.map(box => boxShape(box, classes, colors, scale, width))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`
  const sharp = await loadSharp()
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .jpeg({ quality: 84, chromaSubsampling: '4:4:4' })
    .toBuffer()
  return { bytes, mime: 'image/jpeg', width, height }
}

function boxShape(
  { box, label, score }: BoxLayer,
  classes: readonly string[],
  colors: ReadonlyMap<number, Rgb>,
  scale: number,
  width: number,
): string {
  const [x1, y1, x2, y2] = box.map(side => side * scale) as [number, number, number, number]
  const color = `rgb(${(colors.get(label) ?? IGNORED).join()})`
  const size = 12
  const name = clean(classes[label] ?? '?')
  const text = shorten(score === undefined ? name : `${name} ${score.toFixed(2)}`, 150, size)
  const wide = measure(text, size) + 8
  const left = Math.max(0, Math.min(x1, width - wide))
  const top = y1 >= 17 ? y1 - 17 : y1
  return (
    `<rect x="${x1}" y="${y1}" width="${Math.max(1, x2 - x1)}" height="${Math.max(1, y2 - y1)}" fill="none" stroke="${color}" stroke-width="2.5"/>` +
    `<rect x="${left}" y="${top}" width="${wide}" height="17" fill="#1b1f24" fill-opacity="0.8"/>` +
    `<rect x="${left}" y="${top}" width="3" height="17" fill="${color}"/>` +
    letters(text, left + 6, top + 12.5, size, '#fff')
  )
}

/** Share of a picture's pixels below which a class is not named. */
const LEAST_SEEN = 0.002

/** Share of the pixels, or number of boxes, of every label that occurs, largest first. */
function amountsOf(
  layers: readonly PictureLayers['truth'][],
  classes: number,
): ReadonlyMap<number, number> {
  const amounts = new Map<number, number>()
  const add = (label: number, amount: number) =>
    amounts.set(label, (amounts.get(label) ?? 0) + amount)
  for (const layer of layers) {
    if (isLabels(layer)) {
      const counts = new Float64Array(classes + 1)
      for (const label of layer.data) {
        const at = Math.min(label, classes)
        counts[at] = (counts[at] as number) + 1
      }
      counts.forEach((pixels, label) => {
        if (pixels > 0) add(label, pixels / layer.data.length)
      })
    } else for (const { label } of layer) add(label, 1)
  }
  return new Map([...amounts].sort(([a, x], [b, y]) => y - x || a - b))
}
