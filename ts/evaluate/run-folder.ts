/** The folder of an evaluation: settings.json, results of pictures, result.json, the report. */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError, writeFileAtomic } from '../base/files.js'
import type { Shard } from '../base/shard.js'
import { DeclipError } from '../errors.js'
import type { DatasetClass } from './datasets/dataset.js'
import type { EvaluationResult, EvaluationSettings, EvaluationVersions } from './result.js'

/** What a run's lines are to be read with: settings.json. @internal */
export interface RunHeader {
  /** Of this file. */
  readonly format: 1
  readonly settings: EvaluationSettings
  readonly versions: EvaluationVersions
  /** In label order. */
  readonly classes: readonly Omit<DatasetClass, 'words'>[]
  /** Index of the background class, -1 for none. */
  readonly background: number
  /** What the data set's reader has to say, such as files that are missing. */
  readonly notes: readonly string[]
  /** Ids of all pictures of the run, of every part, in the data set's order. */
  readonly pictures: readonly string[]
}

/** 'results.jsonl', of a part 'results-1-of-3.jsonl'. @internal */
export function resultsName(shard: Shard | undefined): string {
  return `results${suffix(shard)}.jsonl`
}

/** 'result.json', of a part 'result-1-of-3.json'. @internal */
export function resultName(shard: Shard | undefined): string {
  return `result${suffix(shard)}.json`
}

function suffix(shard: Shard | undefined): string {
  return shard ? `-${shard.index}-of-${shard.count}` : ''
}

/** The part that a results file is of; undefined for what is no such file, null for a run in one go. @internal */
export function shardOf(name: string): Shard | null | undefined {
  if (name === 'results.jsonl') return null
  const [, index, count] = /^results-(\d+)-of-(\d+)\.jsonl$/.exec(name) ?? []
  return index && count ? { index: Number(index), count: Number(count) } : undefined
}

/**
 * Takes a folder for a run: makes it, and writes settings.json or compares it with the one that is there.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where the folder holds results and `resume` is not set, or those of a run
 * with other settings; ERR_DECLIP_IO
 * @internal
 */
export async function openFolder(
  out: string,
  header: RunHeader,
  { shard, resume }: { shard: Shard | undefined; resume: boolean },
): Promise<void> {
  await mkdir(out, { recursive: true }).catch(error => {
    throw ioError('write', out, error)
  })
  const results = join(out, resultsName(shard))
  const size = await stat(results).then(
    found => found.size,
    () => 0,
  )
  if (size > 0 && !resume) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${results} holds results of an earlier run. Go on with it by resume: true (--resume), or choose another folder.`,
    )
  }
  const existing = await readHeader(out)
  if (existing) {
    const names = await readdir(out)
    const hasResults = names.some(name => shardOf(name) !== undefined)
    const differences = compareHeaders(existing, header)
    if (differences.length === 0) return
    if (hasResults) throw otherSettings(out, differences)
  }
  await writeFileAtomic(join(out, 'settings.json'), Buffer.from(`${laidOut(header, 2)}\n`))
}

/** JSON whose objects have an entry per line down to a depth; lists stay on theirs. */
function laidOut(value: object, depth: number, indent = ''): string {
  const inner = `${indent} `
  const entries = Object.entries(value).map(([name, entry]) => {
    const text =
      isObject(entry) && depth > 0 ? laidOut(entry, depth - 1, inner) : JSON.stringify(entry)
    return `${inner}${JSON.stringify(name)}: ${text ?? 'null'}`
  })
  return `{\n${entries.join(',\n')}\n${indent}}`
}

function otherSettings(out: string, differences: readonly string[]): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${out} holds results that were made with other settings: ${differences.join('; ')}. Use the same ones, or choose another folder.`,
  )
}

/** @internal */
export async function writeResult(path: string, result: EvaluationResult): Promise<void> {
  await writeFileAtomic(path, Buffer.from(`${laidOut(result, 2)}\n`))
}

/** settings.json of a folder, undefined where there is none. @throws DeclipError naming the file @internal */
export async function readHeader(folder: string): Promise<RunHeader | undefined> {
  const path = join(folder, 'settings.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw ioError('read', path, error)
  }
  let header: Partial<RunHeader> = {}
  try {
    header = JSON.parse(text) as RunHeader
  } catch {
    // named below
  }
  const { format, settings, versions, classes, pictures } = header ?? {}
  if (
    format !== 1 ||
    !settings ||
    !versions ||
    !Array.isArray(classes) ||
    !Array.isArray(pictures)
  ) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path} is not the settings of an evaluation of this release. Choose the folder that declip eval wrote, or another one for a new run.`,
    )
  }
  return header as RunHeader
}

/** How many differences a message names. */
const MOST_NAMED = 6

/** What of two runs differs that their figures depend on: 'values.stride is 112 there and 56 here'. @internal */
export function compareHeaders(there: RunHeader, here: RunHeader): string[] {
  const compared = ({ settings, versions, classes, background, pictures }: RunHeader) => ({
    ...settings,
    versions: { package: versions.package, libtorch: versions.libtorch },
    classes,
    background,
    pictures,
  })
  const found = differences(plain(compared(there)), plain(compared(here)), '')
  if (found.length <= MOST_NAMED) return found
  return [...found.slice(0, MOST_NAMED), `and ${found.length - MOST_NAMED} more`]
}

/** As it is read from a file. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function differences(there: unknown, here: unknown, name: string): string[] {
  if (isObject(there) && isObject(here)) {
    const keys = new Set([...Object.keys(there), ...Object.keys(here)])
    return [...keys].flatMap(key =>
      differences(there[key], here[key], name === '' ? key : `${name}.${key}`),
    )
  }
  if (JSON.stringify(there) === JSON.stringify(here)) return []
  if (Array.isArray(there) && Array.isArray(here)) {
    if (there.length !== here.length) {
      return [`${name} are ${there.length} there and ${here.length} here`]
    }
    const first = there.findIndex((item, i) => JSON.stringify(item) !== JSON.stringify(here[i]))
    return [`${name}[${first}] is ${short(there[first])} there and ${short(here[first])} here`]
  }
  return [`${name} is ${short(there)} there and ${short(here)} here`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
