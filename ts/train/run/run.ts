import { setMaxListeners } from 'node:events'
import { warn, warnOnce } from '../../base/warn.js'
import type { NativeAddon, NativeRuntime, NativeTrainStep } from '../../engine/addon-types.js'
import { prepareAddon } from '../../engine/load-addon.js'
import { aborted, DeclipError, toDeclipError } from '../../errors.js'
import type { ResolvedConfig } from '../config-fields.js'
import { Prefetch } from '../data/prefetch.js'
import type { Share } from '../data/sampler.js'
import { leftOutWarning } from '../data/sources/left-out.js'
import { disposeBatch, type StepBatch } from '../data/step-batch.js'
import { type Ranks, threadsOf } from '../process-group.js'
import type { TrainCallOptions, TrainResult } from '../types.js'
import { type EvaluationFigures, evaluateExport, headlineOf } from './evaluation.js'
import { RunFolder } from './run-folder.js'
import { RunLog } from './run-log.js'
import { type Plan, plan, Setup } from './setup.js'

/** Skipped pictures that a line of the log gives a reason for. */
const REASONS = 5

/**
 * A whole run, or the rest of one. Only rank 0 logs and saves.
 *
 * @throws DeclipError as train()
 */
export async function run(
  config: ResolvedConfig,
  options: TrainCallOptions,
  ranks?: Ranks | undefined,
): Promise<TrainResult> {
  const { signal } = options
  if (signal?.aborted) throw aborted(signal)
  const addon = await prepareAddon()
  const runtime = addon.runtime()
  warnOnce(slowFormat(config, runtime))
  const threads = threadsOf(config.threads ?? runtime.threads, ranks)
  if (threads === runtime.threads) return runWith(addon, config, options, ranks)
  addon.setThreads(threads)
  try {
    return await runWith(addon, config, options, ranks)
  } finally {
    addon.setThreads(runtime.threads)
  }
}

/** The same with the process's threads as they are. */
async function runWith(
  addon: NativeAddon,
  config: ResolvedConfig,
  options: TrainCallOptions,
  ranks: Ranks | undefined,
): Promise<TrainResult> {
  const { signal, resume = false } = options
  const share: Share = ranks ?? { rank: 0, worldSize: 1 }
  const planned = await plan(config, share, signal)
  if (signal?.aborted) throw aborted(signal)
  const folder = new RunFolder(config.out)
  await folder.check(planned.record, resume)

  const decoding = new AbortController()
  // As many listeners as there are pictures in the making.
  setMaxListeners(0, decoding.signal)
  const setup = await Setup.make({
    addon,
    config,
    plan: planned,
    folder,
    ranks,
    signal,
    decoding: decoding.signal,
  })
  let prefetch: Prefetch<StepBatch> | undefined
  try {
    // All ranks have looked at the folder: they have met in Setup.make().
    if (!resume && share.rank === 0) await folder.begin(planned.record)
    const goesOn = resume && (await folder.hasState())
    const done = goesOn ? await setup.trainer.load({ path: folder.state }) : 0
    prefetch = new Prefetch({
      make: step => setup.batches.make(step),
      discard: disposeBatch,
      ahead: config.prefetch,
      start: done,
      end: planned.steps,
    })
    const loop = new Loop({ config, options, share, plan: planned, setup, folder, prefetch })
    return await loop.go(done)
  } finally {
    decoding.abort()
    await prefetch?.close()
    warn(leftOutWarning(setup.batches.leftOut))
    setup.dispose()
  }
}

/** What to say of a number format that the processor has no units for. */
export function slowFormat(
  { dtype, device }: Pick<ResolvedConfig, 'dtype' | 'device'>,
  { bfloat16Units, cpu }: Pick<NativeRuntime, 'bfloat16Units' | 'cpu'>,
): string | null {
  if (dtype !== 'bfloat16' || device !== 'cpu' || bfloat16Units) return null
  return `dtype: this processor (${cpu}) has no units for bfloat16, and training in it is many times slower than in float32.`
}

interface Context {
  readonly config: ResolvedConfig
  readonly options: TrainCallOptions
  readonly share: Share
  readonly plan: Plan
  readonly setup: Setup
  readonly folder: RunFolder
  readonly prefetch: Prefetch<StepBatch>
}

class Loop {
  readonly #context: Context
  /** Of the last saved state. */
  #saved = 0
  #skipped = 0
  /** The best headline of an evaluation so far. */
  #best: number | undefined

  constructor(context: Context) {
    this.#context = context
  }

  async go(done: number): Promise<TrainResult> {
    const { steps } = this.#context.plan
    const log = this.#leads ? await RunLog.open(this.#context.folder.path, done) : undefined
    this.#saved = done
    for (const figures of log?.evaluations ?? []) this.#isBest(figures)
    const meter = new Meter(this.#perStep, done)
    let reasons: string[] = []
    for (let step = done; step < steps; ) {
      const batch = await this.#context.prefetch.take()
      const result = await this.#step(batch, step)
      step = result.step
      this.#skipped += batch.skipped.length
      reasons.push(...batch.skipped)
      const evaluation = await this.#evaluate(step)
      const isLogged = step % this.#context.config.logEvery === 0 || step === steps
      if (log && (isLogged || evaluation)) {
        await log.add({
          time: Date.now() / 1000,
          step,
          epoch: this.#epoch(step),
          loss: result.total,
          losses: result.losses,
          gradientNorm: result.gradientNorm,
          learningRate: result.learningRate,
          picturesPerSecond: meter.lap(step),
          skipped: reasons.length,
          ...(reasons.length > 0 && { reasons: reasons.slice(0, REASONS) }),
          ...(evaluation && { evaluation }),
        })
        reasons = []
      }
      this.#report(result, meter, evaluation)
      const stops = step < steps && (await this.#wantsToStop())
      await this.#saveAndExport(step, stops)
      if (stops) throw this.#stopped(step)
    }
    await log?.plot()
    const averages = this.#context.config.optimizer.emaDecay > 0
    const keepsBest = this.#context.config.evaluate?.keepBest === true
    return {
      steps,
      model: await this.#export('model', false),
      average: averages ? await this.#export('model-average', true) : null,
      best: this.#best !== undefined && keepsBest ? this.#context.folder.file('best') : null,
      log: this.#context.folder.file('log.jsonl'),
      plot: this.#context.folder.file('losses.svg'),
    }
  }

  get #leads(): boolean {
    return this.#context.share.rank === 0
  }

  get #perStep(): number {
    return (
      this.#context.config.batch * this.#context.config.accumulate * this.#context.share.worldSize
    )
  }

  #epoch(step: number): number {
    return Math.ceil(step / this.#context.plan.sampler.stepsPerEpoch)
  }

  async #step(batch: StepBatch, step: number): Promise<NativeTrainStep> {
    try {
      // Without the caller's signal: a step that has begun is finished, and then saved.
      return await this.#context.setup.trainer.step({ parts: batch.parts })
    } catch (error) {
      const { code, message } = toDeclipError(error)
      const advice =
        code === 'ERR_DECLIP_DIVERGED'
          ? ' A smaller schedule.rate, a longer schedule.warmup or optimizer.clipNorm 1 may help.'
          : ''
      const text = `Step ${step + 1}: ${message} The last saved state is that of step ${this.#saved}.${advice}`
      throw new DeclipError(code, text, { cause: error })
    } finally {
      disposeBatch(batch)
    }
  }

  /** Figures of the weights after a step, where it is time to, and the best weights; of rank 0 alone. */
  async #evaluate(step: number): Promise<EvaluationFigures | undefined> {
    const { config, plan, folder, options } = this.#context
    const { evaluate, optimizer } = config
    if (!evaluate || !this.#leads) return undefined
    if (step % evaluate.every !== 0 && step !== plan.steps) return undefined
    const averages = optimizer.emaDecay > 0
    const path = await this.#export('evaluated', averages)
    const figures = await evaluateExport(path, config, plan.source.novel ?? [], options.signal)
    await folder.remove('evaluated')
    if (figures && this.#isBest(figures) && evaluate.keepBest) await this.#export('best', averages)
    return figures
  }

  /** Whether figures are better than all before them, and remembers them then. */
  #isBest(figures: EvaluationFigures): boolean {
    const value = headlineOf(figures)
    if (value === undefined || value <= (this.#best ?? Number.NEGATIVE_INFINITY)) return false
    this.#best = value
    return true
  }

  #report(result: NativeTrainStep, meter: Meter, evaluation: EvaluationFigures | undefined): void {
    const { step } = result
    const { steps } = this.#context.plan
    const speed = meter.speed(step)
    this.#context.options.onProgress?.({
      step,
      steps,
      epoch: this.#epoch(step),
      losses: result.losses,
      loss: result.total,
      gradientNorm: result.gradientNorm,
      learningRate: result.learningRate,
      picturesPerSecond: speed,
      secondsLeft: (this.#perStep * (steps - step)) / speed,
      skipped: this.#skipped,
      ...(evaluation && { evaluation }),
    })
  }

  /** Whether the caller wants to, here or at another rank: all stop after the same step. */
  async #wantsToStop(): Promise<boolean> {
    const value = this.#context.options.signal?.aborted === true
    if (this.#context.share.worldSize === 1) return value
    return this.#context.setup.trainer.anyRank({ value })
  }

  /** Saves and exports where it is time to. */
  async #saveAndExport(step: number, stops: boolean): Promise<void> {
    const { saveEvery, exportEvery, optimizer } = this.#context.config
    const { steps } = this.#context.plan
    if (this.#leads && (step % saveEvery === 0 || step === steps || stops)) {
      await this.#context.setup.trainer.save({ path: this.#context.folder.state })
      this.#saved = step
    }
    if (!stops && exportEvery !== undefined && step % exportEvery === 0 && step < steps) {
      const name = `exports/step-${String(step).padStart(7, '0')}`
      await this.#export(name, optimizer.emaDecay > 0)
    }
  }

  #stopped(step: number): DeclipError {
    const { options, plan, folder } = this.#context
    return new DeclipError(
      'ERR_DECLIP_ABORTED',
      `The run was stopped after step ${step} of ${plan.steps}, which is saved in ${folder.path}; go on with --resume (resume: true).`,
      { cause: options.signal?.reason },
    )
  }

  /** Weights for loadModel. */
  async #export(name: string, average: boolean): Promise<string> {
    if (!this.#leads) return this.#context.folder.file(name)
    const { alpha } = this.#context.config
    return this.#context.folder.place(name, path =>
      this.#context.setup.trainer.exportCheckpoint({ path, alpha, average }),
    )
  }
}

/** Pictures per second, since the beginning and since the last lap. */
class Meter {
  readonly #perStep: number
  readonly #start: { at: number; step: number }
  #lap: { at: number; step: number }

  constructor(perStep: number, step: number) {
    this.#perStep = perStep
    this.#start = { at: performance.now(), step }
    this.#lap = this.#start
  }

  speed(step: number): number {
    return this.#since(this.#start, performance.now(), step)
  }

  lap(step: number): number {
    const at = performance.now()
    const speed = this.#since(this.#lap, at, step)
    this.#lap = { at, step }
    return speed
  }

  #since(from: { at: number; step: number }, at: number, step: number): number {
    const speed = (this.#perStep * (step - from.step)) / Math.max((at - from.at) / 1000, 1e-3)
    return Number(speed.toPrecision(4))
  }
}
