import { createHash } from 'node:crypto'
import { isAbsolute, join } from 'node:path'
import type { LeftOut } from './left-out.js'
import { checkSomething } from './regions.js'
import type { Item, Needs, Source } from './source.js'

/**
 * A source of pictures that are files of their own, all of which is known from the start.
 *
 * @param path - for the error of a source that has nothing to learn from
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 */
export function fileSource(
  items: readonly Item[],
  {
    path,
    needs,
    leftOut,
    classes,
    ...more
  }: {
    readonly path: string
    readonly needs: Needs
    readonly leftOut: LeftOut
  } & Pick<Source, 'classes' | 'novel' | 'shapes'>,
): Source {
  const digest = createHash('sha256')
  const labels = new Map<string, string>()
  let boxes = 0
  for (const { name, caption, regions } of items) {
    digest.update(JSON.stringify([name, caption, regions]))
    boxes += regions.length
    for (const { label } of regions) {
      if (label !== undefined && !labels.has(label)) labels.set(label, name)
    }
  }
  checkSomething({ path, pictures: items.length, boxes, labels: labels.size }, needs, leftOut)
  return {
    length: items.length,
    classes,
    labels,
    leftOut,
    digest: digest.digest('hex'),
    read: async index => items[index] as Item,
    ...more,
  }
}

/** A file's name as a list has it, from the list's folder. */
export function fromFolder(folder: string, name: string): string {
  return isAbsolute(name) ? name : join(folder, name)
}
