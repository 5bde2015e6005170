import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { basename, isAbsolute, resolve } from 'node:path'
import { expand } from 'brace-expansion'
import { ioError } from '../../../base/files.js'
import { DeclipError } from '../../../errors.js'
import type { Item, Region, Source } from './source.js'
import { indexTar, type TarEntry } from './tar-index.js'

const PICTURES = ['jpg', 'jpeg', 'png', 'webp']

/** The files of one sample, in one archive. */
interface Sample {
  readonly shard: string
  readonly key: string
  readonly picture: TarEntry
  readonly text: TarEntry | undefined
  readonly json: TarEntry | undefined
}

/**
 * Tar files as WebDataset has them: neighbouring files whose names are equal up to the first dot are one
 * sample. `.jpg`, `.png` or `.webp` is the picture, `.txt` its caption, `.json` may hold
 * `{ "caption": "...", "regions": [{ "box": [x, y, width, height], "label": "name" }] }`.
 *
 * @param pattern - a path with braces, such as `train-{000..012}.tar`
 * @throws DeclipError ERR_DECLIP_IO for an archive that cannot be read, ERR_DECLIP_INVALID_ARG if no
 * sample has a picture
 */
export async function openShards(pattern: string): Promise<Source> {
  const shards = expand(pattern).map(path => (isAbsolute(path) ? path : resolve(path)))
  const samples: Sample[] = []
  const digest = createHash('sha256')
  for (const shard of shards) {
    const index = await indexTar(shard)
    digest.update(basename(shard)).update(index.digest)
    samples.push(...group(shard, index.entries))
  }
  if (samples.length === 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data.path: no file of ${pattern} is a picture (${PICTURES.map(e => `.${e}`).join(', ')}).`,
    )
  }
  return {
    length: samples.length,
    digest: digest.digest('hex'),
    read: index => readSample(samples[index] as Sample),
  }
}

function* group(shard: string, entries: readonly TarEntry[]): Iterable<Sample> {
  for (let from = 0, to = 0; from < entries.length; from = to) {
    const [key] = split((entries[from] as TarEntry).path)
    const files = new Map<string, TarEntry>()
    for (; to < entries.length; to++) {
      const entry = entries[to] as TarEntry
      const [other, extension] = split(entry.path)
      if (other !== key) break
      files.set(extension, entry)
    }
    const picture = PICTURES.map(extension => files.get(extension)).find(entry => entry)
    if (picture) yield { shard, key, picture, text: files.get('txt'), json: files.get('json') }
  }
}

/** 'folder/0001.seg.PNG' is sample 'folder/0001' and file 'seg.png', as in WebDataset. */
function split(path: string): [key: string, extension: string] {
  const name = path.lastIndexOf('/') + 1
  const dot = path.indexOf('.', name)
  if (dot < 0) return [path, '']
  return [path.slice(0, dot), path.slice(dot + 1).toLowerCase()]
}

async function readSample({ shard, key, picture, text, json }: Sample): Promise<Item> {
  const files = [picture, text, json].filter(entry => entry !== undefined)
  const start = Math.min(...files.map(({ offset }) => offset))
  const end = Math.max(...files.map(({ offset, size }) => offset + size))
  const bytes = await readSpan(shard, start, end)
  const part = ({ offset, size }: TarEntry) => bytes.subarray(offset - start, offset - start + size)
  const name = `${shard}:${picture.path}`
  const said = json ? parse(`${shard}:${key}.json`, part(json).toString('utf8')) : {}
  return {
    name,
    picture: part(picture),
    caption: text ? part(text).toString('utf8').trim() : said.caption,
    regions: said.regions ?? [],
  }
}

async function readSpan(path: string, start: number, end: number): Promise<Buffer> {
  try {
    const file = await open(path)
    try {
      const { buffer, bytesRead } = await file.read(
        Buffer.allocUnsafe(end - start),
        0,
        end - start,
        start,
      )
      if (bytesRead < end - start) throw new Error('it is shorter than when it was opened')
      return buffer
    } finally {
      await file.close()
    }
  } catch (error) {
    throw ioError('read', path, error)
  }
}

function parse(name: string, text: string): { caption?: string; regions?: Region[] } {
  let json: { caption?: unknown; regions?: unknown }
  try {
    json = JSON.parse(text) ?? {}
  } catch (cause) {
    throw new DeclipError('ERR_DECLIP_IO', `${name} is not JSON.`, { cause })
  }
  const { caption, regions = [] } = json
  const valid =
    (caption === undefined || typeof caption === 'string') &&
    Array.isArray(regions) &&
    regions.every(isRegion)
  if (!valid) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `${name} must hold { "caption": "...", "regions": [{ "box": [x, y, width, height], "label": "name" }] }; both may be left out.`,
    )
  }
  return { ...(caption !== undefined && { caption }), regions }
}

function isRegion(region: unknown): region is Region {
  const { box, label } = (region ?? {}) as { box?: unknown; label?: unknown }
  return (
    Array.isArray(box) &&
    box.length === 4 &&
    box.every(Number.isFinite) &&
    (label === undefined || typeof label === 'string')
  )
}
