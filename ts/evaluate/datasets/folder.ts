import { join } from 'node:path'
import { DeclipError } from '../../errors.js'
import { PICTURE_ENDING } from '../../image/format.js'
import { readClassFile } from '../../text/class-files.js'
import { findBackground } from '../../words/classes.js'
import type { DatasetClass, OpenDataset } from './dataset.js'
import { count, filesBelow, findRoot, isFile, some } from './files.js'
import { plainTable } from './label-table.js'
import { labelledPicture, readPicture } from './semantic.js'

/** Classes of a class file: the first word is the name. */
export async function classesOf(path: string): Promise<DatasetClass[]> {
  const words = await readClassFile(path)
  return words.map(words => ({ name: words[0] as string, words }))
}

/** Pictures of a folder by their id: path below it without the ending. */
export async function picturesBelow(
  folder: string,
  signal?: AbortSignal,
): Promise<Map<string, string>> {
  const names = (await filesBelow(folder, signal))?.filter(name => PICTURE_ENDING.test(name))
  if (!names || names.length === 0) {
    throw new DeclipError('ERR_DECLIP_IO', `data: ${folder} has no pictures in it.`)
  }
  const pictures = new Map<string, string>()
  for (const name of names) {
    const id = name.replace(PICTURE_ENDING, '')
    const other = pictures.get(id)
    if (other !== undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `data: ${join(folder, other)} and ${join(folder, name)} differ in their endings only, so that it is not clear whose labels ${id}.png are; remove one of them.`,
      )
    }
    pictures.set(id, name)
  }
  return pictures
}

/**
 * A plain folder: `images/*`, `labels/*.png` of the same stems (class indices, 255 for what is not counted), and
 * `classes.txt`, one class a line. A class called background is the background.
 *
 * @param classesFile - in the place of `classes.txt`
 * @throws DeclipError ERR_DECLIP_IO for what is missing, ERR_DECLIP_INVALID_ARG for pictures of one stem and classes
 */
export async function openLabelFolder(
  data: string,
  classesFile: string | undefined,
  signal?: AbortSignal,
): Promise<OpenDataset<'semantic'>> {
  const found = await findRoot(
    data,
    [''],
    async root => filesBelow(join(root, 'labels'), signal),
    'folder labels with index pictures (labels/*.png)',
  )
  const images = join(data, 'images')
  const pictures = await picturesBelow(images, signal)
  const list = classesFile ?? join(data, 'classes.txt')
  if (classesFile === undefined && !(await isFile(list))) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data: ${list} is not there; write a file with one class a line, synonyms after ', ', or name another one with classesFile (--classes-file).`,
    )
  }
  const classes = await classesOf(list)
  const table = plainTable(classes.length)
  const labels = new Set(found.filter(name => /\.png$/i.test(name)))
  const absent: string[] = []
  const listed = [...pictures].map(([id, name]) => {
    const file = [`${id}.png`, `${id}.PNG`].find(name => labels.delete(name))
    const path = join(data, 'labels', file ?? `${id}.png`)
    if (!file) absent.push(name)
    const missing = file ? undefined : `${path}, the labels of ${name}, is not there.`
    return labelledPicture(id, join(images, name), path, table, readPicture, missing)
  })
  if (absent.length === listed.length) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data: no picture of ${images} has labels in ${join(data, 'labels')}: labels are PNG files with their pictures' stems, such as labels/${[...pictures.keys()][0]}.png.`,
    )
  }
  const notes: string[] = []
  if (absent.length > 0)
    notes.push(
      `${count(absent.length, 'picture has', 'pictures have')} no labels: ${some(absent)}.`,
    )
  if (labels.size > 0) {
    notes.push(
      `${count(labels.size, 'label file has', 'label files have')} no picture in images: ${some([...labels])}.`,
    )
  }
  const names = classes.map(({ name }) => name)
  return {
    name: 'folder',
    task: 'semantic',
    classes,
    background: findBackground(names, undefined),
    pictures: listed,
    notes,
  }
}
