/**
 * A run is a folder below OUT:
 *
 *   run.json            classes and options, the same for all its pictures
 *   masks/PLACE.png     palette indices are the classes
 *   results/PLACE.json  written after the mask: what has one is done
 *   results.jsonl, failed.jsonl, missing.txt   by the collector
 *
 * PLACE is the picture's path below PICTURES. Files are written under a temporary name in the run's .tmp
 * and renamed, so that whoever looks sees the old file, the new one or none. Two workers with the
 * same picture write the same file twice.
 */
import { randomUUID } from 'node:crypto'
import { access, mkdir, open, opendir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { OUT, PICTURES } from './settings.mjs'

const PICTURE = /\.(avif|gif|jpe?g|png|tiff?|webp)$/i

/** Places of all pictures below PICTURES, with slashes. */
export async function* listPictures(below = '') {
  for await (const entry of await opendir(join(PICTURES, below))) {
    const place = below + entry.name
    if (entry.isDirectory()) yield* listPictures(`${place}/`)
    else if (PICTURE.test(entry.name)) yield place
  }
}

export function checkName(run) {
  if (/^[\w.-]{1,60}$/.test(run) && !/^\.+$/.test(run)) return run
  throw new Error(`A run's name is letters, digits, '.', '_' and '-', received '${run}'.`)
}

const folderOf = run => join(OUT, run)
export const pictureFile = place => join(PICTURES, place)
export const maskFile = (run, place) => join(folderOf(run), 'masks', `${place}.png`)
export const resultFile = (run, place) => join(folderOf(run), 'results', `${place}.json`)

/** `{ classes, options }`. */
export async function readRun(run) {
  return JSON.parse(await readFile(join(folderOf(run), 'run.json'), 'utf8'))
}

/** Begins a run, or goes on with one that was begun for the same. */
export async function beginRun(run, asked) {
  const known = await readRun(run).catch(error => {
    if (error.code !== 'ENOENT') throw error
  })
  if (known === undefined) return writeWhole(run, 'run.json', JSON.stringify(asked, null, 2))
  if (isDeepStrictEqual(known, asked)) return
  const file = join(folderOf(run), 'run.json')
  throw new Error(
    `Run '${run}' was begun for other classes or options (${file}). Take another --run.`,
  )
}

export function isDone(run, place) {
  return access(resultFile(run, place)).then(
    () => true,
    () => false,
  )
}

/** The mask first: the result says that it is there. */
export async function writeResult(run, place, mask, result) {
  await writeWhole(run, relative(folderOf(run), maskFile(run, place)), mask)
  const text = JSON.stringify({ picture: place, maskBytes: mask.length, ...result })
  await writeWhole(run, relative(folderOf(run), resultFile(run, place)), text)
}

/** Writes a file of a run whole or not at all. `contents`: what FileHandle.writeFile() takes. */
export async function writeWhole(run, name, contents) {
  const target = join(folderOf(run), name)
  const temporary = join(folderOf(run), '.tmp', randomUUID())
  await Promise.all([target, temporary].map(path => mkdir(dirname(path), { recursive: true })))
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(contents)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** What killed workers have left; call it only while none works. */
export function removeTemporary(run) {
  return rm(join(folderOf(run), '.tmp'), { recursive: true, force: true })
}

/** Items mapped by an async function, some at a time, in order. */
export async function* inChunks(items, work, size = 64) {
  const chunk = []
  const mapped = () => Promise.all(chunk.splice(0).map(work))
  for await (const item of items) {
    if (chunk.push(item) === size) yield* await mapped()
  }
  yield* await mapped()
}

/** All items of an async iterable. */
export async function listOf(items) {
  const list = []
  for await (const item of items) list.push(item)
  return list
}
