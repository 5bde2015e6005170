import { countText } from '../masks/count-text.js'
import type { Ring } from '../masks/polygons.js'
import type { Annotation } from './annotations.js'
import {
  type ExportedSet,
  type Format,
  type FormatSettings,
  foreground,
  lines,
  round,
} from './format.js'
import { joinedRings, signedArea } from './rings.js'

/** What is kept of an annotation: enough for both files. */
interface CocoRecord {
  readonly label: number
  readonly score: number
  readonly area: number
  /** x, y, width, height. */
  readonly bbox: readonly [number, number, number, number]
  readonly counts: readonly number[]
  /** x and y in turn; absent for a mask with holes or several parts. */
  readonly polygon?: readonly number[] | undefined
}

/**
 * COCO's instances: polygons, or run lengths with `iscrowd: 1` for masks with holes or several parts, and the
 * same annotations with their scores as COCO's results. Polygons run along the pixels' sides, so that
 * pycocotools' annToMask() gives every mask again.
 */
export const coco: Format = {
  text: 'COCO json with polygons and run lengths, results with scores beside it (CVAT, FiftyOne, Roboflow, Detectron2)',
  pictures: 'copy',
  usesStems: false,
  placeOf: file => `images/${file}`,
  async write({ annotations }) {
    const data: CocoRecord[] = []
    for (const annotation of annotations) data.push(await toRecord(annotation))
    return { files: [], data }
  },
  finish: (set, settings) => [
    { path: 'annotations/instances_default.json', text: instances(set, settings) },
    { path: 'results.json', text: results(set, settings) },
  ],
}

async function toRecord(annotation: Annotation): Promise<CocoRecord> {
  const { label, score, box, area, counts, polygons } = annotation
  const [x1, y1, x2, y2] = box
  const rings = await joinedRings(polygons)
  const [ring] = rings
  const isSimple = ring !== undefined && rings.length === 1 && signedArea(ring) > 0
  return {
    label,
    score: round(score),
    area,
    bbox: [x1, y1, x2 - x1, y2 - y1],
    counts,
    ...(isSimple && { polygon: flat(ring) }),
  }
}

function flat(ring: Ring): number[] {
  return ring.flat()
}

/** Ids of categories from 1 on, by label. */
function categoryIds(settings: FormatSettings): Map<number, number> {
  return new Map(foreground(settings).map(({ label }, i) => [label, i + 1]))
}

async function* instances(
  set: ExportedSet,
  settings: FormatSettings,
): AsyncGenerator<string, void, undefined> {
  const info = {
    description: `Annotated by ${settings.madeBy}. Sizes and masks are those of the upright pictures.`,
  }
  const categories = foreground(settings).map(({ name }, i) => ({
    id: i + 1,
    name,
    supercategory: '',
  }))
  yield `{"info":${JSON.stringify(info)},\n"licenses":[],\n"categories":${JSON.stringify(categories)},\n"images":[`
  let imageId = 0
  for await (const { file, width, height } of set.records()) {
    imageId += 1
    const image = { id: imageId, file_name: file, width, height }
    yield `${imageId > 1 ? ',' : ''}\n${JSON.stringify(image)}`
  }
  yield '\n],\n"annotations":['
  const ids = categoryIds(settings)
  imageId = 0
  let id = 0
  for await (const { width, height, data } of set.records()) {
    imageId += 1
    for (const record of data as CocoRecord[]) {
      id += 1
      const { label, score, area, bbox, counts, polygon } = record
      const annotation = {
        id,
        image_id: imageId,
        category_id: ids.get(label),
        segmentation: polygon ? [polygon] : { size: [height, width], counts },
        area,
        bbox,
        iscrowd: polygon ? 0 : 1,
        score,
      }
      yield `${id > 1 ? ',' : ''}\n${JSON.stringify(annotation)}`
    }
  }
  yield '\n]}\n'
}

async function* results(
  set: ExportedSet,
  settings: FormatSettings,
): AsyncGenerator<string, void, undefined> {
  const ids = categoryIds(settings)
  let [imageId, count] = [0, 0]
  yield '['
  for await (const { width, height, data } of set.records()) {
    imageId += 1
    // Without a box: beside one, pycocotools would take the box's area for the mask's.
    for (const { label, score, counts } of data as CocoRecord[]) {
      const result = {
        image_id: imageId,
        category_id: ids.get(label),
        score,
        segmentation: { size: [height, width], counts: countText(counts) },
      }
      yield `${count++ > 0 ? ',' : ''}\n${JSON.stringify(result)}`
    }
  }
  yield* lines('\n]')
}
