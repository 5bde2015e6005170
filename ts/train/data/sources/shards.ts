import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { basename, isAbsolute, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expand } from 'brace-expansion'
import { ioError } from '../../../base/files.js'
import { DeclipError } from '../../../errors.js'
import { PICTURE_ENDING } from '../../../image/format.js'
import { LeftOut } from './left-out.js'
import { checkSomething, isUsable } from './regions.js'
import { type Content, contentOf } from './sample-texts.js'
import type { Item, Needs, Source } from './source.js'
import { indexTar, LONGEST_TEXT, type TarEntry } from './tar-index.js'

/** Which file is the picture where a sample has several. */
const FIRST = ['jpg', 'jpeg', 'png', 'webp']

/** Samples whose texts are looked at in one turn of the event loop. */
const TURN = 500

/** The files of one sample, in one archive. */
interface Sample {
  readonly shard: string
  readonly key: string
  readonly picture: TarEntry
  readonly text: TarEntry | undefined
  readonly json: TarEntry | undefined
}

/** Neighbouring files of one key, by what is behind the first dot of their names. */
interface Group {
  readonly key: string
  readonly files: ReadonlyMap<string, TarEntry>
}

/**
 * Tar files as WebDataset has them: neighbouring files whose names are equal up to the first dot are one
 * sample, and names that begin with a dot count for nothing. `.jpg`, `.png` and the like is the picture,
 * `.txt` its caption, `.json` may hold
 * `{ "caption": "...", "regions": [{ "box": [x, y, width, height], "label": "name" }] }`.
 * Samples without what is needed are left out.
 *
 * @param pattern - a path with braces, such as `train-{000..012}.tar`
 * @throws DeclipError ERR_DECLIP_IO for an archive that cannot be read, ERR_DECLIP_INVALID_ARG if no
 * sample can be learnt from, or where needed files of a sample do not lie together
 */
export async function openShards(pattern: string, needs: Needs): Promise<Source> {
  const shards = expand(pattern).map(path => (isAbsolute(path) ? path : resolve(path)))
  const samples: Sample[] = []
  const labels = new Map<string, string>()
  const leftOut = new LeftOut()
  const digest = createHash('sha256')
  const needsTexts = needs.caption || needs.boxes !== 'none'
  const isText = (name: string) => needsTexts && isLearntFrom(name) && /\.(txt|json)$/i.test(name)
  let boxes = 0
  for (const shard of shards) {
    const index = await indexTar(shard, isText)
    digest.update(basename(shard)).update(index.digest)
    tellOfArchive(shard, index, leftOut)
    const groups = groupsOf(index.entries.filter(({ path }) => isLearntFrom(path)))
    if (needsTexts) checkTogether(shard, groups)
    for (const [i, sample] of samplesOf(shard, groups, leftOut).entries()) {
      if (i % TURN === TURN - 1) await setImmediate()
      const content = needsTexts ? contentFrom(sample, needs, leftOut) : { regions: [] }
      if (!isUsable(content, needs, leftOut, nameOf(sample))) continue
      boxes += content.regions.length
      for (const { label } of content.regions) {
        if (label !== undefined && !labels.has(label)) labels.set(label, nameOf(sample))
      }
      samples.push(withoutContent(sample))
    }
  }
  checkSomething(
    { path: pattern, pictures: samples.length, boxes, labels: labels.size },
    needs,
    leftOut,
  )
  return {
    length: samples.length,
    labels,
    leftOut,
    digest: digest.digest('hex'),
    read: index => readSample(samples[index] as Sample, needs),
  }
}

/** WebDataset's rule; it also passes over what macOS adds, `._0001.jpg`. */
const isLearntFrom = (path: string) => !basename(path).startsWith('.')

const nameOf = ({ shard, picture }: Sample) => `${shard}:${picture.path}`

function tellOfArchive(
  shard: string,
  { unread, isWhole, rest }: { unread: readonly string[]; isWhole: boolean; rest: number },
  leftOut: LeftOut,
): void {
  for (const name of unread.filter(isLearntFrom)) {
    leftOut.add(
      'links and sparse files, which are not followed (tar --dereference --hard-dereference stores files)',
      `${shard}:${name}`,
    )
  }
  if (!isWhole) leftOut.add('archives without an end mark, which may have been cut', shard)
  else if (rest > 0) {
    leftOut.add('archives with other bytes behind their end', `${shard}, ${rest} bytes`)
  }
}

function groupsOf(entries: readonly TarEntry[]): Group[] {
  const groups: { key: string; files: Map<string, TarEntry> }[] = []
  for (const entry of entries) {
    const [key, extension] = split(entry.path)
    const last = groups.at(-1)
    if (last?.key === key) last.files.set(extension, entry)
    else groups.push({ key, files: new Map([[extension, entry]]) })
  }
  return groups
}

/** 'folder/0001.seg.PNG' is sample 'folder/0001' and file 'seg.png', as in WebDataset. */
function split(path: string): [key: string, extension: string] {
  const name = path.lastIndexOf('/') + 1
  const dot = path.indexOf('.', name)
  if (dot < 0) return [path, '']
  return [path.slice(0, dot), path.slice(dot + 1).toLowerCase()]
}

/** Refuses files of a sample that come after those of another: each group would lack the rest. */
function checkTogether(shard: string, groups: readonly Group[]): void {
  const seen = new Map<string, Group>()
  for (const group of groups) {
    const earlier = seen.get(group.key)
    seen.set(group.key, group)
    // The same files again are another sample of that name.
    if (!earlier || [...group.files.keys()].some(extension => earlier.files.has(extension)))
      continue
    const [one] = earlier.files.values()
    const [other] = group.files.values()
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data.path: the files of sample '${group.key}' do not lie together in ${shard}: others stand between ${one?.path} and ${other?.path}. Make the archive in the order of its names: tar --sort=name -cf ...`,
    )
  }
}

/** '.jpg', but not '.seg.png'. */
const isPicture = (extension: string) =>
  PICTURE_ENDING.test(extension) && extension.lastIndexOf('.') === 0

/** Groups with a picture; `leftOut` is told of the others. */
function samplesOf(shard: string, groups: readonly Group[], leftOut: LeftOut): Sample[] {
  const samples: Sample[] = []
  const pictured = new Set<string>()
  for (const { key, files } of groups) {
    const extensions = [...FIRST, ...files.keys()]
    const picture = extensions.find(ext => isPicture(`.${ext}`) && files.has(ext))
    if (picture === undefined) continue
    pictured.add(key)
    samples.push({
      shard,
      key,
      picture: files.get(picture) as TarEntry,
      text: files.get('txt'),
      json: files.get('json'),
    })
  }
  for (const { key, files } of groups) {
    if (pictured.has(key)) continue
    const hidden = [...files].filter(([extension]) => PICTURE_ENDING.test(extension))
    for (const [extension, { path }] of hidden) {
      leftOut.add(
        "pictures with dots in their names, of which a sample's name ends at the first",
        `${shard}:${path} is file '${extension}' of sample '${key}'`,
      )
    }
    const [file] = files.values()
    if (hidden.length > 0) continue
    leftOut.add(
      'samples without a picture (.jpg, .png, .webp and the like)',
      `${shard}:${file?.path}`,
    )
  }
  return samples
}

function contentFrom(
  { shard, key, text, json }: Omit<Sample, 'picture'>,
  needs: Needs,
  leftOut: LeftOut,
): Content {
  for (const entry of [text, json]) {
    if (entry && !entry.content) {
      leftOut.add('texts of more than 1 MiB', `${shard}:${entry.path}, ${entry.size} bytes`)
    }
  }
  const files = { text: text?.content, json: json?.content }
  return contentOf(`${shard}:${key}`, files, needs, leftOut)
}

function withoutContent({ shard, key, picture, text, json }: Sample): Sample {
  const bare = ({ path, offset, size }: TarEntry) => ({ path, offset, size })
  return { shard, key, picture, text: text && bare(text), json: json && bare(json) }
}

async function readSample(sample: Sample, needs: Needs): Promise<Item> {
  const { shard, key, picture, text, json } = sample
  const files = [picture, text, json].filter(entry => entry !== undefined)
  const start = Math.min(...files.map(({ offset }) => offset))
  const end = Math.max(...files.map(({ offset, size }) => offset + size))
  const bytes = await readSpan(shard, start, end)
  const part = ({ offset, size }: TarEntry) => bytes.subarray(offset - start, offset - start + size)
  const filled = (entry: TarEntry | undefined) =>
    entry && (entry.size > LONGEST_TEXT ? entry : { ...entry, content: part(entry) })
  const leftOut = new LeftOut() // told at the start
  const content = contentFrom(
    { shard, key, text: filled(text), json: filled(json) },
    needs,
    leftOut,
  )
  const name = nameOf(sample)
  if (isUsable(content, needs, leftOut, name)) return { name, picture: part(picture), ...content }
  throw new DeclipError('ERR_DECLIP_IO', `${name} has changed since the run began: ${leftOut}.`)
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
