import { dirname, join } from 'node:path'
import { DeclipError } from '../../../errors.js'
import { fileSource, parseJson, readText } from './files.js'
import type { Item, Region, Source } from './source.js'

interface Picture {
  id?: unknown
  file_name?: unknown
  coco_url?: unknown
}

interface Annotation {
  image_id?: unknown
  category_id?: unknown
  bbox?: unknown
}

/**
 * A COCO-style JSON file: pictures, and boxes as proposals or with labels. LVIS names pictures by
 * `coco_url`, of which the last two parts count. DeCLIP's plain list of objects with `image` is read too.
 * Labels are ranked by category id (CLIPSelf, training/data.py).
 *
 * @param folder - where file names start; default: the file's folder
 * @param labelled - leaves out pictures without a box
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG for another structure
 */
export async function openCoco(
  path: string,
  folder: string | undefined,
  labelled: boolean,
): Promise<Source> {
  const json = parseJson(path, await readText(path))
  const root = folder ?? dirname(path)
  const none = `data.path: ${path} has no picture${labelled ? ' with a box' : ''}.`
  if (Array.isArray(json)) {
    return fileSource(
      json.map((entry, i) => item(path, `entry ${i}`, root, entry?.image, [])),
      none,
    )
  }
  const { images, annotations = [], categories = [] } = (json ?? {}) as Record<string, unknown>
  if (![images, annotations, categories].every(Array.isArray)) {
    throw structure(path, 'it must have lists "images" and, for boxes, "annotations", "categories"')
  }
  const names = classNames(path, categories as unknown[])
  const regions = group(path, annotations as Annotation[], names)
  const items = (images as Picture[])
    .map((picture, i) =>
      item(path, `images[${i}]`, root, nameOf(picture), regions.get(picture?.id) ?? []),
    )
    .filter(({ regions }) => !labelled || regions.length > 0)
  return fileSource(items, none, [...names.values()])
}

/** File name, or for LVIS the folder and name in the address. */
function nameOf({ file_name, coco_url }: Picture): unknown {
  if (file_name !== undefined) return file_name
  return typeof coco_url === 'string' ? coco_url.split('/').slice(-2).join('/') : undefined
}

function item(path: string, what: string, root: string, name: unknown, regions: Region[]): Item {
  if (typeof name === 'string' && name !== '') return { name, picture: join(root, name), regions }
  throw structure(path, `${what} must have a "file_name", a "coco_url" or an "image"`)
}

/** Names by category id, in ascending order of the ids. */
function classNames(path: string, categories: readonly unknown[]): Map<number, string> {
  const names = new Map<number, string>()
  const taken = new Set<string>()
  const entries = categories as { id?: unknown; name?: unknown }[]
  for (const { id, name } of entries.toSorted((a, b) => Number(a?.id) - Number(b?.id))) {
    if (typeof id !== 'number' || typeof name !== 'string' || taken.has(name)) {
      throw structure(path, 'every category must have a number "id" and a "name" of its own')
    }
    names.set(id, name)
    taken.add(name)
  }
  return names
}

function group(
  path: string,
  annotations: readonly Annotation[],
  names: ReadonlyMap<number, string>,
): Map<unknown, Region[]> {
  const groups = new Map<unknown, Region[]>()
  for (const [i, annotation] of annotations.entries()) {
    const { image_id, category_id, bbox } = annotation ?? {}
    if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) {
      throw structure(path, `annotations[${i}].bbox must be [x, y, width, height]`)
    }
    const region = {
      box: bbox as unknown as Region['box'],
      label: names.get(category_id as number),
    }
    const regions = groups.get(image_id)
    if (regions) regions.push(region)
    else groups.set(image_id, [region])
  }
  return groups
}

function structure(path: string, problem: string): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `data.path: ${path} is no COCO-style file: ${problem}.`,
  )
}
