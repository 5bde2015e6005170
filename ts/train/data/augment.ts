import { type DecodedImage, loadSharp } from '../../image/decode.js'
import type { ResolvedConfig } from '../config-fields.js'
import type { Random } from './seeds.js'

/** Random changes, as `augment` says. */
export type Augment = NonNullable<ResolvedConfig['augment']>

/** x1, y1, x2, y2. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number]

/** A changed picture. `box` takes boxes along; what is no longer to be seen of one is cut off. */
export interface Augmented {
  readonly image: DecodedImage
  /** Pixels of the given picture to pixels of this one; undefined where too little is left. */
  box(box: Box): Box | undefined
}

/** Share of a box that has to stay in a crop, else the box is left out. */
const LEAST_LEFT = 0.25

/** Crops that are tried before the largest that fits is taken (torchvision's RandomResizedCrop). */
const TRIES = 10

/**
 * Random resized crop, mirror and colour changes. Without a crop the picture keeps its size.
 *
 * @param size - side of the square that a crop is resized to, in pixels
 * @param random - decides everything
 */
export async function augmentPicture(
  image: DecodedImage,
  augment: Augment,
  size: number,
  random: Random,
): Promise<Augmented> {
  const crops = (augment.crop[0] as number) < 1
  const crop = crops ? drawCrop(image, augment, random) : { left: 0, top: 0, ...sizeOf(image) }
  const out = crops ? { width: size, height: size } : sizeOf(image)
  const mirrored = random.real(0, 1) < augment.mirror
  const data = await render(
    image,
    crops ? crop : undefined,
    out,
    mirrored,
    drawColours(augment, random),
  )
  const [sx, sy] = [out.width / crop.width, out.height / crop.height]
  return {
    image: { data, ...out },
    box([x1, y1, x2, y2]) {
      const left = clamp((x1 - crop.left) * sx, out.width)
      const right = clamp((x2 - crop.left) * sx, out.width)
      const top = clamp((y1 - crop.top) * sy, out.height)
      const bottom = clamp((y2 - crop.top) * sy, out.height)
      const whole = (x2 - x1) * sx * (y2 - y1) * sy
      if (!((right - left) * (bottom - top) >= LEAST_LEFT * whole) || whole <= 0) return undefined
      return mirrored
        ? [out.width - right, top, out.width - left, bottom]
        : [left, top, right, bottom]
    },
  }
}

const sizeOf = ({ width, height }: DecodedImage) => ({ width, height })
const clamp = (x: number, most: number) => Math.min(Math.max(x, 0), most)

interface Crop {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Area uniform, aspect ratio log-uniform: torchvision's RandomResizedCrop. */
function drawCrop({ width, height }: DecodedImage, { crop, ratio }: Augment, random: Random): Crop {
  const [least, most] = ratio as [number, number]
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = width * height * random.real(crop[0] as number, crop[1] as number)
    const aspect = Math.exp(random.real(Math.log(least), Math.log(most)))
    const w = Math.round(Math.sqrt(area * aspect))
    const h = Math.round(Math.sqrt(area / aspect))
    if (w < 1 || h < 1 || w > width || h > height) continue
    return {
      left: random.whole(0, width - w),
      top: random.whole(0, height - h),
      width: w,
      height: h,
    }
  }
  const aspect = Math.min(Math.max(width / height, least), most)
  const w = Math.max(1, Math.min(width, Math.round(height * aspect)))
  const h = Math.max(1, Math.min(height, Math.round(width / aspect)))
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h }
}

interface Colours {
  readonly brightness: number
  readonly contrast: number
  readonly saturation: number
  readonly hue: number
}

function drawColours(augment: Augment, random: Random): Colours {
  const around = (x: number) => random.real(1 - x, 1 + x)
  return {
    brightness: around(augment.brightness),
    contrast: around(augment.contrast),
    saturation: around(augment.saturation),
    hue: random.real(-augment.hue, augment.hue),
  }
}

async function render(
  { data, width, height }: DecodedImage,
  crop: Crop | undefined,
  out: { width: number; height: number },
  mirrored: boolean,
  { brightness, contrast, saturation, hue }: Colours,
): Promise<Uint8Array> {
  const sharp = await loadSharp()
  let picture = sharp(data, { raw: { width, height, channels: 3 } })
  if (crop) picture = picture.extract(crop).resize({ ...out, fit: 'fill', kernel: 'cubic' })
  if (mirrored) picture = picture.flop()
  if (brightness !== 1 || saturation !== 1 || hue !== 0) {
    picture = picture.modulate({ brightness, saturation, hue: Math.round(hue) })
  }
  // Around mid-grey, so that brightness stays.
  if (contrast !== 1) picture = picture.linear(contrast, 128 * (1 - contrast))
  return picture.removeAlpha().toColourspace('srgb').raw().toBuffer()
}
