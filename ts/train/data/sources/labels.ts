import { join } from 'node:path'
import { DeclipError } from '../../../errors.js'
import { byCodeUnits, filesBelow, isFile } from '../../../evaluate/datasets/files.js'
import { picturesBelow } from '../../../evaluate/datasets/folder.js'
import {
  IGNORED,
  type LabelTable,
  plainTable,
  toLabels,
  UNKNOWN,
} from '../../../evaluate/datasets/label-table.js'
import { readIndexPicture } from '../../../image/index-png.js'
import { readClasses } from '../../../words/classes.js'
import type { ResolvedConfig } from '../../config-fields.js'
import { fileSource } from './files.js'
import { LeftOut } from './left-out.js'
import type { Item, Source } from './source.js'

type DataFields = ResolvedConfig['data']

/**
 * A folder of pictures and one of index pictures of the same names, as `declip eval --dataset folder` reads them:
 * `images`, `labels` and `classes.txt`, each of which may lie elsewhere. Folders in them count too.
 *
 * @param classes - names, or a file with one class a line; of several words of a class the first is its name
 * @throws DeclipError ERR_DECLIP_IO for what is missing, ERR_DECLIP_INVALID_ARG for classes, and for values that
 * name no class
 */
export async function openLabels(
  data: DataFields,
  classes: ResolvedConfig['classes'],
): Promise<Source> {
  const list = classes ?? join(data.path, 'classes.txt')
  if (classes === undefined && !(await isFile(list as string))) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data.path: ${list} is not there; write a file with one class a line, or give classes: a list of names or another file.`,
    )
  }
  const { names } = await readClasses(list, false)
  return openPairs({
    images: data.images ?? join(data.path, 'images'),
    labels: data.labels ?? join(data.path, 'labels'),
    endings: ['.png', '.PNG', '.tif', '.tiff'],
    classes: names,
    table: tableOf(data, names.length),
  })
}

/** What the values of label files mean. */
function tableOf({ ignore, reduceZero, labelMap }: DataFields, classes: number): LabelTable {
  const isIgnored = (value: number, wide: boolean) =>
    ignore === undefined ? value === 255 || (wide && value === 65_535) : value === ignore
  const ignored = ignore ?? '255'
  if (labelMap) {
    const map = new Map(Object.entries(labelMap).map(([key, label]) => [Number(key), label]))
    const beyond = [...map].find(([, label]) => label !== null && label >= classes)
    if (beyond) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `data.labelMap: ${beyond[0]} is given the class ${beyond[1]}, but there are ${classes} classes, counted from 0.`,
      )
    }
    return {
      classes,
      of: (value, wide) => {
        const label = map.get(value)
        if (label === null) return IGNORED
        return label ?? (isIgnored(value, wide) ? IGNORED : UNKNOWN)
      },
      values: `what data.labelMap has, and ${ignored} for no class`,
    }
  }
  const first = reduceZero ? 1 : 0
  const plain = plainTable(classes)
  return {
    classes,
    of: (value, wide) => {
      const label = value - first
      // Without a value of its own what a class can be is one.
      const none =
        ignore === undefined ? label >= classes && isIgnored(value, wide) : isIgnored(value, wide)
      if (label < 0 || none) return IGNORED
      return label < classes ? label : UNKNOWN
    },
    values:
      ignore === undefined && !reduceZero
        ? plain.values
        : `${first} to ${classes - 1 + first}, and ${reduceZero ? '0 or ' : ''}${ignored} for no class`,
  }
}

/**
 * Pictures and their label files.
 *
 * @param options.endings - of label files after a picture's name without its own, the first that is there
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG where no picture has labels
 */
export async function openPairs({
  images,
  labels,
  endings,
  classes,
  table,
}: {
  readonly images: string
  readonly labels: string
  readonly endings: readonly string[]
  readonly classes: readonly string[]
  readonly table: LabelTable
}): Promise<Source> {
  const [pictures, found] = await Promise.all([picturesBelow(images), filesBelow(labels)])
  if (!found) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data: there is no folder ${labels}; it holds the index pictures, with the names of those in ${images}.`,
    )
  }
  const files = new Set(found)
  const leftOut = new LeftOut()
  const items: Item[] = []
  for (const [id, name] of [...pictures].sort(([a], [b]) => byCodeUnits(a, b))) {
    const file = endings.map(ending => id + ending).find(file => files.delete(file))
    if (file === undefined) {
      leftOut.add('pictures without labels', join(images, name))
      continue
    }
    const path = join(labels, file)
    items.push({
      name,
      picture: join(images, name),
      regions: [],
      truth: async signal => toLabels(await readIndexPicture(path, { signal }), table, path),
    })
  }
  for (const file of files) {
    if (endings.some(ending => file.endsWith(ending))) {
      leftOut.add('label files without a picture', join(labels, file))
    }
  }
  if (items.length === 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data: no picture of ${images} has labels in ${labels}, such as ${[...pictures.keys()][0]}${endings[0]}.`,
    )
  }
  return fileSource(items, {
    path: images,
    needs: { caption: false, boxes: 'none' },
    leftOut,
    classes,
  })
}
