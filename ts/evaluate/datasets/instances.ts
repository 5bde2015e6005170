/** Annotated objects of COCO, LVIS and files in their format. */
import { join } from 'node:path'
import { DeclipError } from '../../errors.js'
import { pictureSize } from '../../image/size.js'
import { toMeasuredRles } from '../../masks/coco-rle.js'
import type { MaskShape } from '../../masks/pack-shapes.js'
import { OV_COCO } from '../../methods/ov-coco.js'
import { readClassFile } from '../../text/class-files.js'
import { type CocoImage, type CocoInstances, type CocoObject, readInstances } from './coco-file.js'
import { COCO_ROOTS, findAnnotations, type Located, locate, notesOn } from './coco-files.js'
import type {
  DatasetClass,
  DetectionTruth,
  OpenDataset,
  RegionsTruth,
  TrueObject,
} from './dataset.js'
import { isFile } from './files.js'
import { classOf, isMeasured, MOST_SEGMENTS, refuse, thingBoxes } from './panoptic.js'
import { checkSize } from './semantic.js'

/** A file of instances with the labels that its categories have in the set. */
interface Opened {
  readonly coco: CocoInstances
  readonly images: Located
  readonly labels: ReadonlyMap<number, number>
}

/** Names of published files with the 65 classes alone, and of COCO's own. */
const OV_FILES = ['zero-shot', 'annotations', 'wusize', '.'].map(
  folder => `${folder}/instances_val2017_all_2.json`,
)
const COCO_FILES = ['annotations', '.', 'annotations_trainval2017/annotations'].map(
  folder => `${folder}/instances_val2017.json`,
)

/**
 * COCO val2017 with the 48 base and 17 novel classes of open-vocabulary detection: of the file that has only these, else
 * of COCO's own, of which the pictures with one of these classes are taken.
 *
 * @param masks - whether objects get their masks
 * @throws DeclipError ERR_DECLIP_IO for what is missing, ERR_DECLIP_INVALID_ARG for a broken file
 */
export async function openOvCoco(
  data: string,
  masks: boolean,
  signal?: AbortSignal,
): Promise<OpenDataset<'detection'>> {
  const { root, path } = await findAnnotations(data, COCO_ROOTS, [...OV_FILES, ...COCO_FILES])
  const coco = await readInstances(path, signal)
  const ids = new Map(coco.categories.map(({ name, id }) => [name, id]))
  const missing = OV_COCO.filter(({ name }) => !ids.has(name)).map(({ name }) => name)
  if (missing.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path} has no category ${missing.slice(0, 3).join(', ')}; the 65 classes of the open-vocabulary split were expected among its categories.`,
    )
  }
  const classes = OV_COCO.map(
    ({ name, split }): DatasetClass => ({
      name,
      words: [name],
      id: ids.get(name) as number,
      split,
    }),
  )
  const labels = new Map(classes.map(({ id }, label) => [id as number, label]))
  const has = ({ id, problem }: CocoImage) =>
    problem !== undefined || (coco.objects.get(id) ?? []).some(one => labels.has(one.category))
  const images = coco.images.filter(has)
  const dataset = await openInstances('coco-ov', { ...coco, images }, classes, labels, {
    folders: ['images/val2017', 'val2017'].map(folder => join(root, folder)),
    masks,
  })
  if (images.length === coco.images.length) return dataset
  const note = `Of ${coco.images.length} pictures of ${path} ${images.length} have an object of the 65 classes, and are measured with; published figures are of 4836.`
  return { ...dataset, notes: [note, ...dataset.notes] }
}

/**
 * LVIS v1 val: federated annotations, pictures of COCO's train2017 and val2017.
 *
 * @throws DeclipError as {@link openOvCoco}
 */
export async function openLvis(
  data: string,
  masks: boolean,
  signal?: AbortSignal,
): Promise<OpenDataset<'detection'>> {
  const { root, path } = await findAnnotations(
    data,
    ['', 'lvis', 'lvis_v1', 'coco'],
    ['annotations/lvis_v1_val.json', 'lvis_v1_val.json', 'lvis_v1/annotations/lvis_v1_val.json'],
  )
  const coco = await readInstances(path, signal)
  const bare = coco.categories.find(({ frequency }) => frequency === undefined)
  if (bare) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path}: category ${bare.id} (${bare.name}) has no "frequency" of r, c or f; expected LVIS v1's annotations.`,
    )
  }
  const federated = coco.images.find(image => image.negative === undefined)
  if (federated) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path}: image ${federated.id} has no "neg_category_ids" and "not_exhaustive_category_ids"; expected LVIS v1's annotations.`,
    )
  }
  const classes = coco.categories.map(
    ({ id, name, frequency }): DatasetClass => ({
      name,
      words: [name.replaceAll('_', ' ')],
      id,
      frequency,
    }),
  )
  const labels = new Map(coco.categories.map(({ id }, label) => [id, label]))
  const folders = ['', 'images', 'coco', 'coco/images', '../coco', '../coco/images']
  return openInstances('lvis', coco, classes, labels, {
    folders: folders.map(folder => join(root, folder)),
    masks,
  })
}

/**
 * Objects of a plain folder: `images/*` and `annotations.json`; and `novel.txt`, a name a line, where some of the
 * classes are those that detectors do not learn.
 */
export async function openObjectFolder(
  data: string,
  masks: boolean,
  signal?: AbortSignal,
): Promise<OpenDataset<'detection'>> {
  const { path } = await findAnnotations(data, [''], ['annotations.json'])
  const coco = await readInstances(path, signal)
  const labels = new Map(coco.categories.map(({ id }, label) => [id, label]))
  const novel = await novelNames(join(data, 'novel.txt'), coco)
  const classes = coco.categories.map(
    ({ id, name, frequency }): DatasetClass => ({
      name,
      words: [name],
      id,
      ...(frequency && { frequency }),
      ...(novel && { split: novel.has(name) ? 'novel' : 'base' }),
    }),
  )
  const folders = [join(data, 'images'), data]
  return openInstances('folder', coco, classes, labels, { folders, masks })
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG for a name of no category */
async function novelNames(
  path: string,
  { categories, file }: CocoInstances,
): Promise<ReadonlySet<string> | undefined> {
  if (!(await isFile(path))) return undefined
  const names = (await readClassFile(path)).map(([name = '']) => name)
  const unknown = names.find(one => !categories.some(({ name }) => name === one))
  if (unknown === undefined) return new Set(names)
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${path} has '${unknown}', which is no category of ${file.path}; write their names as they stand there.`,
  )
}

/** Regions of a plain folder: the masks of `annotations.json`, each an object's, chosen as panoptic segments are. */
export async function openRegionFolder(
  data: string,
  path: string,
  signal?: AbortSignal,
): Promise<OpenDataset<'regions'>> {
  const coco = await readInstances(path, signal)
  const folders = [join(data, 'images'), data]
  const files = coco.images.map(({ file }) => file)
  const images = await locate('pictures', folders, files)
  const labels = new Map(coco.categories.map(({ id }, label) => [id, label]))
  const opened: Opened = { coco, images, labels }
  return {
    name: 'folder',
    task: 'regions',
    classes: coco.categories.map(classOf),
    background: -1,
    pictures: coco.images.map(image => ({
      id: String(image.id),
      image: join(images.folder, image.file),
      truth: signal => readRegions(opened, image, signal),
    })),
    notes: notesOn(coco.images, images.missing, 'picture'),
  }
}

async function openInstances(
  name: string,
  coco: CocoInstances,
  classes: readonly DatasetClass[],
  labels: ReadonlyMap<number, number>,
  { folders, masks }: { readonly folders: readonly string[]; readonly masks: boolean },
): Promise<OpenDataset<'detection'>> {
  const files = coco.images.map(({ file }) => file)
  const opened: Opened = { coco, images: await locate('pictures', folders, files), labels }
  checkFederated(coco, labels)
  return {
    name,
    task: 'detection',
    classes,
    background: -1,
    pictures: coco.images.map(image => ({
      id: String(image.id),
      image: join(opened.images.folder, image.file),
      truth: signal => readObjects(opened, image, masks, signal),
    })),
    notes: notesOn(coco.images, opened.images.missing, 'picture'),
  }
}

/** Marks pictures whose lists of categories have unknown ids. */
function checkFederated(coco: CocoInstances, labels: ReadonlyMap<number, number>): void {
  for (const image of coco.images) {
    for (const id of [...(image.negative ?? []), ...(image.notExhaustive ?? [])]) {
      if (labels.has(id)) continue
      image.problem ??= `${coco.file.path}: image ${image.id} lists the category ${id}, which is none of the categories.`
    }
  }
}

async function readObjects(
  { coco, images, labels }: Opened,
  image: CocoImage,
  masks: boolean,
  signal: AbortSignal | undefined,
): Promise<DetectionTruth> {
  refuse(image, images)
  await checkPicture(coco, image, images)
  const objects = (coco.objects.get(image.id) ?? []).filter(({ category }) => labels.has(category))
  const measured = masks ? await readMasks(coco, image, objects, signal) : []
  const toLabels = (ids: readonly number[]) => ids.map(id => labels.get(id) as number)
  return {
    width: image.width,
    height: image.height,
    objects: objects.map(({ id, category, box, area, crowd }, i): TrueObject => {
      const mask = measured[i]
      return {
        id,
        label: labels.get(category) as number,
        box,
        area: area ?? mask?.area ?? box[2] * box[3],
        crowd,
        ...(mask && { mask: mask.rle }),
      }
    }),
    ...(image.negative && { negative: toLabels(image.negative) }),
    ...(image.notExhaustive && { notExhaustive: toLabels(image.notExhaustive) }),
  }
}

async function readRegions(
  { coco, images, labels }: Opened,
  image: CocoImage,
  signal: AbortSignal | undefined,
): Promise<RegionsTruth> {
  refuse(image, images)
  await checkPicture(coco, image, images)
  const objects = (coco.objects.get(image.id) ?? [])
    .filter(({ crowd }) => !crowd)
    .slice(0, MOST_SEGMENTS)
    .filter(({ box: [, , w, h] }) => isMeasured(w, h))
  const masks = await readMasks(coco, image, objects, signal)
  const { width, height } = image
  return {
    width,
    height,
    regions: objects.map(({ id, category, box }, i) => {
      const label = labels.get(category) as number
      const thing = coco.categories[label]?.thing ?? true
      const boxes = thingBoxes(box, width, height)
      const own = thing ? boxes : { box: boxes.box, crop: boxes.box }
      return { id, label, thing, ...own, mask: (masks[i] as (typeof masks)[0]).rle }
    }),
  }
}

async function checkPicture(
  coco: CocoInstances,
  image: CocoImage,
  { folder }: Located,
): Promise<void> {
  const path = join(folder, image.file)
  const entry = `image ${JSON.stringify(image.id)} of ${coco.file.path}`
  checkSize(path, await pictureSize(path), entry, image)
}

/** Masks of objects, whose segmentations are read from the file again. */
async function readMasks(
  { file }: CocoInstances,
  { width, height }: CocoImage,
  objects: readonly CocoObject[],
  signal: AbortSignal | undefined,
) {
  if (objects.length === 0) return []
  const annotations = await file.read(objects.map(({ range }) => range))
  const shapes = objects.map(({ name }, i) => {
    const { segmentation } = annotations[i] as { segmentation?: unknown }
    const what = `${file.path}: ${name}`
    if (!segmentation || (Array.isArray(segmentation) && segmentation.length === 0)) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${what} has no segmentation, of which masks are made; give it one, or measure boxes.`,
      )
    }
    return { shape: segmentation as MaskShape, width, height, name: `${what}: segmentation` }
  })
  return toMeasuredRles(shapes, { signal })
}
