import { join } from 'node:path'
import { DeclipError } from '../../../errors.js'
import { filesBelow, isFolder } from '../../../evaluate/datasets/files.js'
import { plainTable } from '../../../evaluate/datasets/label-table.js'
import { STUFF_OF_STUFFTHING } from '../../../evaluate/datasets/label-values.js'
import { DATASETS } from '../../../methods/benchmarks.js'
import type { ResolvedConfig } from '../../config-fields.js'
import { openPairs } from './labels.js'
import type { Source } from './source.js'

const CLASSES = DATASETS['coco-stuff'].labels

/** Where the root may be below the folder that is given. */
const ROOTS = ['', 'coco_stuff164k', 'coco-stuff', 'coco']

/** Folders of label files: with 171 consecutive values as CAT-Seg's script makes them, or as they are published. */
const TRAIN_IDS = ['stuffthingmaps_detectron2', 'annotations_detectron2']
const PUBLISHED = ['stuffthingmaps', 'annotations', 'stuffthingmaps_trainval2017']

/**
 * COCO-Stuff164k: `images/train2017/*.jpg` and `stuffthingmaps/train2017/*.png` with its 171 classes, in the folder
 * that is given or in `coco_stuff164k`, `coco-stuff` or `coco` below it. Labels may be as published (0 to 181), as
 * mmsegmentation converts them (`*_labelTrainIds.png`), or as CAT-Seg does (`stuffthingmaps_detectron2`).
 *
 * @throws DeclipError ERR_DECLIP_IO naming the folders that were looked for
 */
export async function openCocoStuff({
  path,
  images,
  labels,
  split = 'train2017',
}: ResolvedConfig['data']): Promise<Source> {
  const roots = ROOTS.map(root => join(path, root))
  const pictures =
    images ?? (await firstFolder(roots, [join('images', split), split])) ?? missing(roots, split)
  const converted = await firstFolder(
    roots,
    TRAIN_IDS.map(folder => join(folder, split)),
  )
  const folder =
    labels ??
    converted ??
    (await firstFolder(
      roots,
      PUBLISHED.map(folder => join(folder, split)),
    )) ??
    missing(roots, split)
  const common = { images: pictures, labels: folder, classes: CLASSES }
  if (folder === converted) {
    return openPairs({ ...common, endings: ['.png'], table: plainTable(CLASSES.length) })
  }
  const files = (await filesBelow(folder)) ?? []
  const ending = '_labelTrainIds.png'
  return files.some(file => file.endsWith(ending))
    ? openPairs({ ...common, endings: [ending], table: plainTable(CLASSES.length) })
    : openPairs({ ...common, endings: ['.png'], table: STUFF_OF_STUFFTHING })
}

async function firstFolder(
  roots: readonly string[],
  names: readonly string[],
): Promise<string | undefined> {
  for (const root of roots) {
    for (const name of names) {
      const folder = join(root, name)
      if (await isFolder(folder)) return folder
    }
  }
  return undefined
}

function missing(roots: readonly string[], split: string): never {
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `data.path: found no pictures in images/${split} with labels in stuffthingmaps/${split}. Looked below ${roots.join(', ')}.`,
  )
}
