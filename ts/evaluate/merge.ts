import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { CallOptions } from '../base/call.js'
import { ioError } from '../base/files.js'
import type { Shard } from '../base/shard.js'
import { admit } from '../engine/admission.js'
import { aborted, DeclipError, invalid } from '../errors.js'
import type { EvaluationResult } from './result.js'
import { ResultsFile, readResults } from './results-file.js'
import {
  compareHeaders,
  openFolder,
  type RunHeader,
  readHeader,
  resultName,
  resultsName,
  shardOf,
  writeResult,
} from './run-folder.js'
import { writeRunReport } from './run-report.js'
import { Tally } from './tally.js'

/** Options of {@link merge}. */
export interface MergeOptions extends CallOptions {
  /** A folder for the united results, the figures and a report, as {@link evaluate} writes them. Default: none. */
  out?: string | undefined
  /** Writes `out`/report.html. Default: true. */
  report?: boolean | undefined
}

/** What {@link merge} gives. */
export interface MergeResult {
  /** As {@link evaluate} gives it for the whole run; pictures that no part has are listed in `missing`. */
  readonly result: EvaluationResult
  /** Parts that were read, as paths of their files. */
  readonly parts: readonly string[]
  /** Parts that others say there are, such as '3/4', and that were not given. */
  readonly missingParts: readonly string[]
  /** Pictures that several parts have, with the same measurements; each counts once. */
  readonly doubled: readonly string[]
}

/** A results file and the settings beside it. */
interface Part {
  readonly path: string
  readonly shard: Shard | null
  readonly header: RunHeader
}

/**
 * Unites the parts of an evaluation. Counts are whole numbers and their order does not matter, so that the figures are
 * those of a run in one go, to the last digit.
 *
 * @param parts - folders that {@link evaluate} wrote, whose results files are all read, or results files
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for parts of runs with other settings, for a picture that was
 * measured twice with different results, and for damaged files; ERR_DECLIP_IO, ERR_DECLIP_ABORTED
 *
 * @example
 * ```ts
 * const { result, missingParts } = await merge(['part-1', 'part-2'], { out: 'whole' })
 * ```
 */
export async function merge(
  parts: readonly string[],
  options: MergeOptions = {},
): Promise<MergeResult> {
  return admit(options, call => unite(parts, call), { counts: false })
}

async function unite(given: readonly string[], options: MergeOptions): Promise<MergeResult> {
  const { out, report = true, signal } = options
  const isPath = (part: unknown) => typeof part === 'string' && part !== ''
  if (!Array.isArray(given) || given.length === 0 || !given.every(isPath)) {
    throw invalid('parts', 'a list of folders or results files of an evaluation', given)
  }
  const parts = (await Promise.all(given.map(partsOf))).flat()
  const [first] = parts as [Part]
  const { header } = first
  for (const part of parts.slice(1)) {
    const differences = compareHeaders(header, part.header)
    if (differences.length === 0) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${part.path} was made with other settings than ${first.path}: ${differences.join('; ')} (there is the latter). Only parts of one run can be united.`,
    )
  }
  const tally = new Tally(header)
  for (const { path } of parts) {
    for await (const line of readResults(path)) {
      if (signal?.aborted) throw aborted(signal)
      tally.add(line, path)
    }
  }
  const scored = await tally.score(header.pictures, signal)
  if (out !== undefined) {
    await writeLines(out, header, parts, tally)
    await writeResult(join(out, resultName(undefined)), scored.result)
    if (report) await writeRunReport(out, { header, scored }, options)
  }
  const { result, doubled } = scored
  return { result, parts: parts.map(({ path }) => path), missingParts: absent(parts), doubled }
}

/** The results files of a folder, or a results file. */
async function partsOf(given: string): Promise<Part[]> {
  const isFolder = await stat(given).then(
    found => found.isDirectory(),
    error => {
      throw ioError('read', given, error)
    },
  )
  const folder = isFolder ? given : dirname(given)
  const names = isFolder ? (await readdir(given)).sort() : [basename(given)]
  const found = names.flatMap(name => {
    const shard = shardOf(name)
    return shard === undefined ? [] : [{ path: join(folder, name), shard }]
  })
  const header = await readHeader(folder)
  if (found.length === 0 || !header) {
    const lacks = header ? 'no results (results.jsonl or results-1-of-2.jsonl)' : 'no settings.json'
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${given} is no part of an evaluation: there is ${lacks}. Give the folders that declip eval wrote with --out.`,
    )
  }
  return found.map(part => ({ ...part, header }))
}

/** Parts of the commonest number of parts that were not given; none where a run in one go is among them. */
function absent(parts: readonly Part[]): string[] {
  if (parts.some(({ shard }) => shard === null)) return []
  const counts = new Set(parts.flatMap(({ shard }) => (shard ? [shard.count] : [])))
  const [count] = counts
  if (counts.size !== 1 || count === undefined) return []
  const there = new Set(parts.map(({ shard }) => shard?.index))
  return Array.from({ length: count }, (_, i) => i + 1)
    .filter(index => !there.has(index))
    .map(index => `${index}/${count}`)
}

/** The lines of all parts, each picture once. */
async function writeLines(
  out: string,
  header: RunHeader,
  parts: readonly Part[],
  tally: Tally,
): Promise<void> {
  await openFolder(out, header, { shard: undefined, resume: false })
  const file = await ResultsFile.open(join(out, resultsName(undefined)))
  const written = new Set<string>()
  try {
    for (const { path } of parts) {
      for await (const line of readResults(path)) {
        if (written.has(line.id) || (line.error && tally.isMeasured(line.id))) continue
        written.add(line.id)
        await file.append(line)
      }
    }
  } finally {
    await file.close()
  }
}
