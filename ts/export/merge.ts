import { link, mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ioError, toPath } from '../base/files.js'
import { DeclipError, invalid } from '../errors.js'
import { finish } from './exporter.js'
import { PARTS, PartIndex, PartWriter, partFiles, partName, shardOf } from './parts.js'
import { putPicture } from './pictures.js'
import {
  checkEmpty,
  checkSame,
  type ExportSettings,
  readSettings,
  writeSettings,
} from './settings.js'

/** What {@link mergeExports} gives. */
export interface MergedExport {
  /** Pictures of all parts. */
  readonly pictures: number
  /** Parts of which there is nothing: 'i/n'. */
  readonly missing: readonly string[]
  /** The files that tell of all pictures. */
  readonly files: readonly string[]
}

/** Whether a folder has an export or parts of one in it. @internal */
export async function isExport(folder: string): Promise<boolean> {
  return (await readSettings(folder)) !== undefined
}

/** Names of the pictures that a data set has already. @internal */
export async function exportedNames(out: string): Promise<{ has(name: string): boolean }> {
  const index = new PartIndex()
  for (const path of await partFiles(out)) await index.read(path)
  return index
}

/**
 * Makes one data set of the parts that `shard` has made, in one folder or in several, on one machine or on many: the
 * same, byte for byte, as if all had been done in one go.
 *
 * @param folders - of the parts
 * @param options - `out`: folder of the data set. Default: the parts' own, where it is one
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for parts of different data sets or without `out`,
 * ERR_DECLIP_IO also for a picture that is in two parts
 *
 * @example
 * ```ts
 * await mergeExports(['part-1', 'part-2'], { out: 'pets' })
 * ```
 */
export async function mergeExports(
  folders: readonly (string | URL)[],
  options: { out?: string | URL | undefined; signal?: AbortSignal | undefined } = {},
): Promise<MergedExport> {
  if (!Array.isArray(folders) || folders.length === 0) {
    throw invalid('folders', 'a list of the folders of parts', folders)
  }
  const { signal } = options
  const sources = [...new Set(folders.map(folder => resolve(toPath('folders', folder))))]
  const out = options.out === undefined ? onlyOne(sources) : resolve(toPath('out', options.out))
  const settings = await commonSettings(sources)
  const index = new PartIndex()
  const parts: { folder: string; path: string }[] = []
  for (const folder of sources) {
    for (const path of await partFiles(folder)) parts.push({ folder, path })
  }
  const missing = missingParts(parts.map(({ path }) => basename(path)))
  for (const { path } of parts) await index.read(path)
  if (!sources.includes(out)) await bringTogether(parts, out, settings, signal)
  else if (sources.length > 1) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `out must be a folder of its own where there are several parts, received ${out}.`,
    )
  }
  const files = await finish(out, index, settings, signal)
  return { pictures: index.count, missing, files }
}

function onlyOne(sources: readonly string[]): string {
  const [only, another] = sources
  if (only !== undefined && another === undefined) return only
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    'Parts in several folders need one for the data set: give out (--out DIR).',
  )
}

async function commonSettings(sources: readonly string[]): Promise<ExportSettings> {
  let first: { settings: ExportSettings; folder: string } | undefined
  for (const folder of sources) {
    const settings = await readSettings(folder)
    if (!settings) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `There is no export in ${folder}; give folders that declip export has written.`,
      )
    }
    if (first) checkSame(first.settings, settings, folder, 'these are parts of different data sets')
    else first = { settings, folder }
  }
  return (first as { settings: ExportSettings }).settings
}

/**
 * Parts of which there are no lines.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for parts of different divisions
 */
function missingParts(names: readonly string[]): string[] {
  const shards = names.map(shardOf).filter(shard => shard !== undefined && shard !== 'all')
  const counts = new Set(shards.map(({ count }) => count))
  const [count = 0, other] = counts
  if (other !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `There are parts of ${count} and parts of ${other} among these; a data set is divided in one way.`,
    )
  }
  const found = new Set(shards.map(({ index }) => index))
  return Array.from({ length: count }, (_, i) => i + 1)
    .filter(i => !found.has(i))
    .map(i => `${i}/${count}`)
}

/** Takes files and lines of all parts over; files of the same disk are linked, not copied. */
async function bringTogether(
  parts: readonly { readonly folder: string; readonly path: string }[],
  out: string,
  settings: ExportSettings,
  signal: AbortSignal | undefined,
): Promise<void> {
  const there = await readSettings(out)
  if (there) checkSame(settings, there, out, 'choose another folder')
  else await checkEmpty(out)
  await writeSettings(out, settings)
  // of a merge that ended early
  await rm(join(out, PARTS, partName(undefined)), { force: true })
  const merged = new PartIndex()
  const writer = await PartWriter.open(join(out, PARTS, partName(undefined)), merged, 0)
  try {
    for (const { folder, path } of parts) {
      const index = new PartIndex()
      await index.read(path)
      for await (const record of index.records()) {
        if (signal?.aborted) throw new DeclipError('ERR_DECLIP_ABORTED', 'The call was aborted.')
        for (const file of record.files) await bring(join(folder, file), join(out, file))
        await writer.append(record)
      }
    }
  } finally {
    await writer.close()
  }
}

async function bring(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true }).catch(error => {
    throw ioError('write', target, error)
  })
  await rm(target, { force: true })
  await link(source, target).catch(() => putPicture(source, target, 'copy'))
}
