import { join } from 'node:path'
import { ahead } from '../base/ahead.js'
import type { Call } from '../base/call.js'
import { checkFields } from '../base/field.js'
import { fingerprintOf } from '../base/fingerprint.js'
import { inShard, parseShard, type Shard } from '../base/shard.js'
import { admit, refuseIfBusy } from '../engine/admission.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { aborted, invalid, isOfEveryPicture, toDeclipError } from '../errors.js'
import type { AnyDataset, DatasetPicture, OpenDataset } from './datasets/dataset.js'
import { openDataset } from './datasets/open.js'
import { EVALUATE_FIELDS, type EvaluateOptions } from './options.js'
import type { EvaluationResult } from './result.js'
import { ResultsFile, readResults } from './results-file.js'
import { openFolder, type RunHeader, resultName, resultsName, writeResult } from './run-folder.js'
import { writeRunReport } from './run-report.js'
import { Tally } from './tally.js'
import { withSplit } from './tasks/detector.js'
import { openTask } from './tasks/open.js'
import type { ReadyTask } from './tasks/task.js'
import { versionsOf } from './versions.js'

/**
 * Measures a model and method on a data set with the truth.
 *
 * Pictures and truths are decoded beside the engine, and of a picture only counts are kept. With `out` every picture's
 * result is appended to a file as soon as there is one, so that a run that ends early, however it does, goes on with
 * `resume` and comes to the same figures to the last digit.
 *
 * @returns what `declip eval --json` prints. A picture that cannot be measured is listed in `failed`, and no figure
 * counts it.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG where options, the data set or an earlier run's settings do not
 * fit, ERR_DECLIP_IO, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, and as {@link loadModel}
 *
 * @example
 * ```ts
 * const { miou, classes } = await evaluate({ dataset: 'voc21', data: 'VOCdevkit', method: 'naclip', out: 'run' })
 * ```
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  return admit(
    options,
    async call => {
      refuseIfBusy()
      checkFields(call, EVALUATE_FIELDS)
      return run(call)
    },
    { counts: false },
  )
}

async function run(options: EvaluateOptions & Call): Promise<EvaluationResult> {
  const { dataset: name, data, limit, out, resume = false, report = true, signal } = options
  const shard = options.shard === undefined ? undefined : parseShard(options.shard)
  const { classes, task } = options
  const opened = await openDataset({
    task,
    dataset: name,
    data,
    classesFile: typeof classes === 'string' ? classes : undefined,
    masks: options.kind === undefined ? undefined : options.kind === 'segm',
    signal,
  })
  const dataset = split(opened, options)
  const pictures = dataset.pictures.slice(0, limit)
  const ready = await openTask(options, dataset)
  try {
    const header = await headerOf(options, ready, dataset, pictures)
    const mine = shard ? pictures.filter(({ id }) => inShard(id, shard)) : pictures
    if (out !== undefined) await openFolder(out, header, { shard, resume })
    const tally = new Tally(header)
    await measureAll(mine, ready, { options, tally, shard })
    const scored = await tally.score(
      mine.map(({ id }) => id),
      signal,
    )
    if (out !== undefined) {
      await writeResult(join(out, resultName(shard)), scored.result)
      if (report && !shard) {
        await writeRunReport(out, { header, scored, shown: { task: ready, pictures } }, options)
      }
    }
    return scored.result
  } finally {
    ready.dispose()
  }
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG for a split of what is no detection */
function split(dataset: AnyDataset, options: EvaluateOptions): AnyDataset {
  if (dataset.task === 'detection') return withSplit(dataset, options)
  const name = options.novel === undefined ? 'base' : 'novel'
  if (options[name] === undefined) return dataset
  throw invalid(name, "left out: it is of the task 'detection'", options[name])
}

async function headerOf(
  { limit, dtype: _ }: EvaluateOptions,
  { model, method, changed, values, words }: ReadyTask,
  { name, task, classes, background, notes }: OpenDataset,
  pictures: readonly DatasetPicture[],
): Promise<RunHeader> {
  const { path, family, imageSize, patchSize, width, layers, dtype, denseMode } = model.info
  const fingerprint = await fingerprintOf(path)
  const header: RunHeader = {
    format: 1,
    settings: {
      task,
      dataset: name,
      limit: limit ?? null,
      model: { fingerprint, family, imageSize, patchSize, width, layers, dtype, denseMode },
      method,
      changed,
      values,
      words,
    },
    versions: versionsOf(model),
    classes: classes.map(({ words: _, ...rest }) => rest),
    background,
    notes,
    pictures: pictures.map(({ id }) => id),
  }
  // As it is read from a file, so that results of parts are those of the whole.
  return JSON.parse(JSON.stringify(header)) as RunHeader
}

/** Where measurements go. */
interface Run {
  readonly options: EvaluateOptions & Call
  readonly tally: Tally
  readonly shard: Shard | undefined
}

/** Measures the pictures of which the folder has no results yet, as many at a time as keep the threads busy. */
async function measureAll(
  pictures: readonly DatasetPicture[],
  task: ReadyTask,
  { options, tally, shard }: Run,
): Promise<void> {
  const { out, onProgress, onError } = options
  const path = out === undefined ? undefined : join(out, resultsName(shard))
  const file = path === undefined ? undefined : await ResultsFile.open(path)
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const inFlight = new Set<Promise<unknown>>()
  try {
    if (path !== undefined) for await (const line of readResults(path)) tally.add(line, path)
    const left = pictures.filter(({ id }) => !tally.isMeasured(id))
    let done = pictures.length - left.length
    const tell = () => onProgress?.({ step: 'pictures', done, total: pictures.length })
    tell()
    const measureOne = async (picture: DatasetPicture) => {
      const { id } = picture
      const line = await lineOf(picture, task, { ...options, signal })
      if (line.error) onError?.(line.reason, id)
      const { reason: _, ...kept } = line
      await file?.append(kept)
      tally.add(kept, path ?? 'the run')
      done += 1
      tell()
    }
    const begin = (picture: DatasetPicture) => {
      const work = measureOne(picture)
      inFlight.add(work)
      const forget = () => inFlight.delete(work)
      work.then(forget, forget)
      return work
    }
    const results = ahead(left.values(), begin, {
      limit: picturesInFlight(),
      signal: options.signal,
    })
    for await (const { result } of results) {
      if (result.status === 'fulfilled') continue
      throw options.signal?.aborted ? aborted(options.signal) : result.reason
    }
  } finally {
    stop.abort()
    // What is being written is written whole before the file is closed.
    await Promise.allSettled(inFlight)
    await file?.close()
  }
}

/** A picture's line; what only this picture met is part of it. @throws what every picture would meet */
async function lineOf(picture: DatasetPicture, task: ReadyTask, options: EvaluateOptions & Call) {
  const { id } = picture
  const start = performance.now()
  const { priority, client, signal } = options
  try {
    // Pictures are counted, not their steps.
    const call = { priority, client, signal, onProgress: undefined }
    const measured = task.admits
      ? await task.measure(picture, call)
      : await admit(call, call => task.measure(picture, call), { refusable: false })
    return { id, ...measured, ms: Math.round(performance.now() - start) }
  } catch (thrown) {
    const error = toDeclipError(thrown)
    if (signal?.aborted || isOfEveryPicture(error)) throw error
    const { code, message } = error
    return { id, error: { code, message }, reason: error }
  }
}
