/**
 * Regions of COCO's panoptic annotations, chosen as CLIPSelf chooses them (training/data.py, COCOPanopticDataset).
 */
import { join } from 'node:path'
import { eachLine } from '../../base/event-loop.js'
import { DeclipError } from '../../errors.js'
import { type RgbPicture, readRgbPicture } from '../../image/index-png.js'
import { pictureSize } from '../../image/size.js'
import type { Rle } from '../../masks/rle.js'
import { type CocoImage, type CocoPanoptic, type CocoSegment, readPanoptic } from './coco-file.js'
import { COCO_ROOTS, findAnnotations, type Located, locate, notesOn } from './coco-files.js'
import type { DatasetClass, OpenDataset, RegionsTruth, TrueRegion } from './dataset.js'
import { checkSize } from './semantic.js'

/** Segments of a picture that are looked at, in the file's order. */
export const MOST_SEGMENTS = 100
/** Regions whose box is smaller or larger are left out, width x height in pixels. */
const LEAST_AREA = 8 ** 2
const LARGEST_AREA = 1024 ** 2
/** A thing's crop against its box. */
const CROP = 1.5

/**
 * COCO panoptic val2017: `panoptic_val2017.json`, its folder of PNG files, and the pictures.
 *
 * @throws DeclipError ERR_DECLIP_IO for what is missing, ERR_DECLIP_INVALID_ARG for a broken file
 */
export async function openCocoPanoptic(
  data: string,
  signal?: AbortSignal,
): Promise<OpenDataset<'regions'>> {
  const { root, path } = await findAnnotations(data, COCO_ROOTS, [
    'annotations/panoptic_val2017.json',
    'panoptic_val2017.json',
    'panoptic_annotations_trainval2017/annotations/panoptic_val2017.json',
  ])
  const folders = ['images/val2017', 'val2017'].map(folder => join(root, folder))
  const pngs = [path.replace(/\.json$/, ''), join(root, 'panoptic_val2017')]
  return openPanoptic('coco-panoptic', path, folders, pngs, signal)
}

/** Panoptic annotations anywhere. */
export async function openPanoptic(
  name: string,
  path: string,
  imageFolders: readonly string[],
  pngFolders: readonly string[],
  signal?: AbortSignal,
): Promise<OpenDataset<'regions'>> {
  const coco = await readPanoptic(path, signal)
  const images = await locate(
    'pictures',
    imageFolders,
    coco.images.map(({ file }) => file),
  )
  const pngs = await locate(
    'PNG files of the segments',
    pngFolders,
    [...coco.segments.values()].map(({ png }) => png),
  )
  const labels = new Map(coco.categories.map(({ id }, label) => [id, label]))
  return {
    name,
    task: 'regions',
    classes: coco.categories.map(classOf),
    background: -1,
    pictures: coco.images.map(image => ({
      id: String(image.id),
      image: join(images.folder, image.file),
      truth: signal => readRegions(coco, image, images, pngs, labels, signal),
    })),
    notes: [
      ...notesOn(coco.images, images.missing, 'picture'),
      ...notesOn([], pngs.missing, 'segment file'),
    ],
  }
}

export function classOf({
  id,
  name,
  thing = true,
}: {
  readonly id: number
  readonly name: string
  readonly thing?: boolean | undefined
}): DatasetClass {
  return { name, words: [name], id, thing }
}

async function readRegions(
  coco: CocoPanoptic,
  image: CocoImage,
  images: Located,
  pngs: Located,
  labels: ReadonlyMap<number, number>,
  signal: AbortSignal | undefined,
): Promise<RegionsTruth> {
  refuse(image, images)
  const { png, segments } = coco.segments.get(image.id) as { png: string; segments: CocoSegment[] }
  const path = join(pngs.folder, png)
  if (pngs.missing.has(png)) {
    throw new DeclipError('ERR_DECLIP_IO', `${path}, the segments of ${image.file}, is not there.`)
  }
  const [size, picture] = await Promise.all([
    pictureSize(join(images.folder, image.file)),
    readRgbPicture(path, { signal }),
  ])
  checkSize(join(images.folder, image.file), size, path, picture)
  const masks = await masksOf(path, picture, segments)
  const { width, height } = picture
  const regions: TrueRegion[] = []
  for (const [i, segment] of segments.slice(0, MOST_SEGMENTS).entries()) {
    const mask = masks[i] as SegmentMask
    const label = labels.get(segment.category) as number
    const { thing = true } = coco.categories[label] ?? {}
    const region = thing
      ? thingBoxes(segment.box, width, height)
      : { box: mask.box, crop: mask.box }
    const [x1, y1, x2, y2] = region.box
    const [w, h] = thing ? [segment.box[2], segment.box[3]] : [x2 - x1, y2 - y1]
    if (!isMeasured(w, h)) continue
    regions.push({ id: segment.id, label, thing, ...region, mask: mask.rle })
  }
  return { width, height, regions }
}

/** @throws DeclipError for a picture that is not there or whose annotations cannot be used */
export function refuse(image: CocoImage, { folder, missing }: Located): void {
  if (image.problem !== undefined) throw new DeclipError('ERR_DECLIP_INVALID_ARG', image.problem)
  if (missing.has(image.file)) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `The picture ${join(folder, image.file)} (image ${JSON.stringify(image.id)}) is not there.`,
    )
  }
}

/** Whether a region of this size, in pixels, is measured. */
export function isMeasured(width: number, height: number): boolean {
  return width * height >= LEAST_AREA && width * height <= LARGEST_AREA
}

/** A thing's box, and what the crop baseline sees of it: more around it, clipped to the picture. */
export function thingBoxes(
  [x, y, w, h]: readonly [number, number, number, number],
  width: number,
  height: number,
): Pick<TrueRegion, 'box' | 'crop'> {
  const [cx, cy] = [x + w / 2, y + h / 2]
  const [rx, ry] = [(w * CROP) / 2, (h * CROP) / 2]
  return {
    box: [x, y, x + w, y + h],
    crop: [
      Math.max(cx - rx, 0),
      Math.max(cy - ry, 0),
      Math.min(cx + rx, width),
      Math.min(cy + ry, height),
    ],
  }
}

interface SegmentMask {
  readonly rle: Rle
  /** Smallest and largest column and row, both inclusive: x1, y1, x2, y2. */
  readonly box: readonly [number, number, number, number]
}

/** Runs of a segment down the columns, and what they span. */
class Runs {
  readonly counts: number[] = []
  #end = 0
  readonly #box: [number, number, number, number] = [Infinity, Infinity, -1, -1]

  add(x: number, y: number, length: number, height: number): void {
    const start = x * height + y
    if (start === this.#end && this.counts.length > 0) {
      this.counts[this.counts.length - 1] = (this.counts.at(-1) as number) + length
    } else this.counts.push(start - this.#end, length)
    this.#end = start + length
    const box = this.#box
    box[0] = Math.min(box[0], x)
    box[1] = Math.min(box[1], y)
    box[2] = Math.max(box[2], x)
    box[3] = Math.max(box[3], y + length - 1)
  }

  finish(width: number, height: number): SegmentMask {
    const rest = width * height - this.#end
    if (rest > 0) this.counts.push(rest)
    return { rle: { size: [height, width], counts: this.counts }, box: this.#box }
  }
}

/** Masks of segments, in one pass over the pixels. */
async function masksOf(
  path: string,
  { width, height, data }: RgbPicture,
  segments: readonly CocoSegment[],
): Promise<SegmentMask[]> {
  const runs = new Map(segments.map(({ id }) => [id, new Runs()]))
  const unknown = new Map<number, { x: number; y: number }>()
  await eachLine(width, height, x => {
    let last = 0
    let begin = 0
    let at = 3 * x
    for (let y = 0; y <= height; y++, at += 3 * width) {
      const id =
        y < height
          ? (data[at] as number) + 256 * (data[at + 1] as number) + 65536 * (data[at + 2] as number)
          : -1
      if (id === last) continue
      if (last > 0) {
        const own = runs.get(last)
        if (own) own.add(x, begin, y - begin, height)
        else if (!unknown.has(last)) unknown.set(last, { x, y: begin })
      }
      last = id
      begin = y
    }
  })
  for (const [id, { x, y }] of unknown) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path}: the pixel at x ${x}, y ${y} is of segment ${id}, which its annotation does not have${unknown.size > 1 ? ` (so are ${unknown.size - 1} more ids)` : ''}. Check that PNG files and JSON are of one release.`,
    )
  }
  return segments.map(({ id, name }) => {
    const own = runs.get(id) as Runs
    if (own.counts.length === 0) {
      throw new DeclipError('ERR_DECLIP_INVALID_ARG', `${path}: ${name} has no pixel.`)
    }
    return own.finish(width, height)
  })
}
