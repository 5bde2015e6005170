import { rm } from 'node:fs/promises'
import { DeclipError, invalid, toDeclipError } from '../errors.js'
import { resolveSource } from '../hub.js'
import { prepareAddon } from '../load-addon.js'
import { inspectCheckpoint, loadModel, tokenizerFor } from '../model.js'
import type { NativeAddon, NativeTensor, NativeTrainer, NativeTrainStep } from '../native.js'
import { checkCall } from '../native-call.js'
import { encodeTexts } from '../word-features.js'
import { Batches, disposeBatch, type Inputs } from './batches.js'
import { resolveConfig } from './config.js'
import type { ResolvedConfig, TrainConfig } from './config-fields.js'
import { Prefetch } from './prefetch.js'
import { type LogLine, RunFolder } from './run-folder.js'
import { Sampler, type Share } from './sampler.js'
import { openSource } from './sources/open.js'
import type { Source } from './sources/source.js'

/** How far a run is: told after every step. */
export interface TrainProgress {
  /** Steps done. */
  readonly step: number
  /** Steps in all. */
  readonly steps: number
  /** Passes over the data so far, the running one included. */
  readonly epoch: number
  /** Weighted losses of the step by name; their sum is `loss`. */
  readonly losses: Readonly<Record<string, number>>
  readonly loss: number
  /** L2 norm of all gradients, before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
  /** Since this call began. */
  readonly picturesPerSecond: number
  readonly secondsLeft: number
  /** Pictures that were replaced because they cannot be used, since this call began. */
  readonly skipped: number
}

/** Options of {@link train}. */
export interface TrainCallOptions {
  /**
   * Ends the run after the step that is running: its state is saved and the call rejects with
   * ERR_DECLIP_ABORTED.
   */
  signal?: AbortSignal | undefined
  /** Told after every step. */
  onProgress?: ((progress: TrainProgress) => void) | undefined
  /** Goes on with the run in the folder `out`, bit for bit. Default false: the folder has no run. */
  resume?: boolean | undefined
}

/** What a run has made. */
export interface TrainResult {
  /** Steps done in all. */
  readonly steps: number
  /** Folder with the trained weights, for {@link loadModel}. */
  readonly model: string
  /** The same of the running average, if one was kept. */
  readonly average: string | null
  /** JSON lines, one per logged step. */
  readonly log: string
}

/**
 * Trains a model: CLIPSelf, DeCLIP, region-text or contrastive, as the configuration says.
 *
 * Everything is written into the folder `config.out`: `config.json`, `log.jsonl`, `state.safetensors`, from
 * which a run goes on bit for bit, and the trained weights in `model/`.
 *
 * @param config - every field is in docs/guides/training.md; relative paths start at the working folder
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG with a sentence per wrong field, for a folder that has
 * a run already, or another configuration than the run's that is resumed; ERR_DECLIP_ABORTED;
 * ERR_DECLIP_IO where something cannot be read or written; ERR_DECLIP_IMAGE if most pictures cannot be
 * used; ERR_DECLIP_INTERNAL for a loss that is not finite; and what {@link loadModel} throws. The last
 * saved state is left as it is.
 *
 * @example
 * ```ts
 * await train({
 *   objective: 'clipself',
 *   model: 'ViT-B-16.pt',
 *   data: { kind: 'folder', path: 'photos' },
 *   imageSize: 560,
 *   alpha: 0.7,
 *   out: 'runs/clipself',
 * })
 * const model = await loadModel('runs/clipself/model')
 * ```
 */
export async function train(
  config: TrainConfig,
  options: TrainCallOptions = {},
): Promise<TrainResult> {
  const { signal, onProgress, resume = false } = options
  checkCall({ signal, onProgress: onProgress as never })
  if (typeof resume !== 'boolean') throw invalid('resume', 'true or false', resume)
  const run = new Run(resolveConfig(config), options, { rank: 0, worldSize: 1 })
  try {
    return await run.go()
  } catch (error) {
    throw toDeclipError(error)
  } finally {
    await run.close()
  }
}

class Run {
  readonly #config: ResolvedConfig
  readonly #options: TrainCallOptions
  readonly #share: Share
  readonly #folder: RunFolder
  /** Ends decoding when the run ends for whatever reason. */
  readonly #decoding = new AbortController()
  #trainer: NativeTrainer | undefined
  #prefetch: Prefetch<Awaited<ReturnType<Batches['make']>>> | undefined
  #classFeatures: NativeTensor | undefined

  constructor(config: ResolvedConfig, options: TrainCallOptions, share: Share) {
    this.#config = config
    this.#options = options
    this.#share = share
    this.#folder = new RunFolder(config.out)
  }

  async go(): Promise<TrainResult> {
    const { resume = false } = this.#options
    this.#checkSignal()
    const config = this.#config
    const addon = await prepareAddon()
    if (config.threads !== undefined) addon.setThreads(config.threads)
    const source = await openSource(config.data)
    const sampler = new Sampler(
      source.length,
      config.batch * config.accumulate,
      config.seed,
      this.#share,
    )
    const steps = config.steps ?? config.epochs * sampler.stepsPerEpoch
    const data = { samples: source.length, digest: source.digest }
    await this.#folder.open({ config, data }, resume)

    const student = await this.#student(addon)
    const inputs = await this.#inputs(student)
    const classes = await this.#classes(source)
    this.#trainer = await this.#create(addon, student, steps, classes)
    let done = 0
    if (resume && (await this.#folder.hasState())) {
      done = await this.#trainer.load({ path: this.#folder.state })
    }
    await this.#folder.rewindLog(done)

    const batches = new Batches({
      config,
      addon,
      inputs,
      source,
      sampler,
      classes,
      signal: this.#decoding.signal,
    })
    this.#prefetch = new Prefetch({
      make: step => batches.make(step),
      discard: disposeBatch,
      ahead: config.prefetch,
      start: done,
      end: steps,
    })
    await this.#loop(done, steps, sampler)
    const model = await this.#export('model', false)
    const average = config.optimizer.emaDecay > 0 ? await this.#export('model-average', true) : null
    return { steps, model, average, log: this.#folder.log }
  }

  async close(): Promise<void> {
    this.#decoding.abort()
    await this.#prefetch?.close()
    this.#trainer?.dispose()
    this.#classFeatures?.dispose()
  }

  async #loop(done: number, steps: number, sampler: Sampler): Promise<void> {
    const { logEvery, saveEvery, exportEvery, batch, accumulate } = this.#config
    const trainer = this.#trainer as NativeTrainer
    const perStep = batch * accumulate * this.#share.worldSize
    const began = performance.now()
    let skipped = 0
    let logged = { at: began, step: done, skipped: 0 }
    let saved = done
    for (let step = done; step < steps; ) {
      const made = await (this.#prefetch as Prefetch<Awaited<ReturnType<Batches['make']>>>).take()
      let result: NativeTrainStep
      try {
        result = await trainer.step({ parts: made.parts })
      } catch (error) {
        throw this.#explain(error, step, saved)
      } finally {
        disposeBatch(made)
      }
      step = result.step
      skipped += made.skipped.length
      const now = performance.now()
      const speed = (perStep * (step - done)) / ((now - began) / 1000)
      if (step % logEvery === 0 || step === steps) {
        const line: LogLine = {
          step,
          epoch: Math.ceil(step / sampler.stepsPerEpoch),
          loss: result.total,
          losses: result.losses,
          gradientNorm: result.gradientNorm,
          learningRate: result.learningRate,
          picturesPerSecond: round((perStep * (step - logged.step)) / ((now - logged.at) / 1000)),
          skipped: skipped - logged.skipped,
        }
        if (this.#leads) await this.#folder.append([line])
        logged = { at: now, step, skipped }
      }
      this.#options.onProgress?.({
        step,
        steps,
        epoch: Math.ceil(step / sampler.stepsPerEpoch),
        losses: result.losses,
        loss: result.total,
        gradientNorm: result.gradientNorm,
        learningRate: result.learningRate,
        picturesPerSecond: round(speed),
        secondsLeft: round((perStep * (steps - step)) / speed),
        skipped,
      })
      const stopped = this.#options.signal?.aborted === true && step < steps
      if (step % saveEvery === 0 || step === steps || stopped) {
        if (this.#leads) await trainer.save({ path: this.#folder.state })
        saved = step
      }
      if (exportEvery !== undefined && step % exportEvery === 0 && step < steps) {
        const name = `exports/step-${String(step).padStart(7, '0')}`
        await this.#export(name, this.#config.optimizer.emaDecay > 0)
      }
      if (stopped) throw this.#stopped(step)
    }
  }

  get #leads(): boolean {
    return this.#share.rank === 0
  }

  #checkSignal(): void {
    const { signal } = this.#options
    if (!signal?.aborted) return
    throw new DeclipError('ERR_DECLIP_ABORTED', 'The call was aborted.', { cause: signal.reason })
  }

  #stopped(step: number): DeclipError {
    return new DeclipError(
      'ERR_DECLIP_ABORTED',
      `The run was stopped after step ${step}, which is saved in ${this.#folder.path}; go on with --resume (resume: true).`,
      { cause: this.#options.signal?.reason },
    )
  }

  #explain(error: unknown, step: number, saved: number): DeclipError {
    const { code, message } = toDeclipError(error)
    if (!/finite/.test(message)) return new DeclipError(code, message, { cause: error })
    return new DeclipError(
      code,
      `Step ${step + 1}: ${message} The last saved state is that after step ${saved}. ` +
        'A smaller schedule.rate, a longer schedule.warmup or optimizer.clipNorm 1 may help.',
      { cause: error },
    )
  }

  /** Where the weights to begin with are. */
  async #student(addon: NativeAddon): Promise<{ path: string; name: string | undefined }> {
    const { model, newModel, seed } = this.#config
    if (model !== undefined) {
      const { path, name } = await resolveSource(model, { signal: this.#options.signal })
      return { path, name }
    }
    const path = this.#folder.file('initial')
    const { activation, mean, std, ...sizes } = newModel as NonNullable<typeof newModel>
    await addon.createCheckpoint({ path, seed, model: { ...sizes, activation, mean, std } })
    return { path, name: undefined }
  }

  async #inputs({ path }: { path: string }): Promise<Inputs> {
    const info = await inspectCheckpoint(path)
    const { objective, imageSize } = this.#config
    const size = imageSize ?? info.imageSize
    if (size % info.patchSize !== 0) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `imageSize must be a multiple of the patch size, ${info.patchSize}, received ${size}.`,
      )
    }
    if (objective === 'contrastive' && info.text === null) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        "objective 'contrastive' needs a model with a text tower; this one has none.",
      )
    }
    return {
      size,
      patchSize: info.patchSize,
      cropSize: info.imageSize,
      mean: info.mean,
      std: info.std,
      tokenizer: await tokenizerFor(path, info.format),
      contextLength: info.text?.contextLength ?? 77,
    }
  }

  /** region-text: class names in the order of their labels. */
  async #classes(source: Source): Promise<readonly string[] | undefined> {
    if (this.#config.objective !== 'region-text') return undefined
    const { classes } = this.#config
    const names = Array.isArray(classes) ? classes : source.classes
    return names
  }

  async #create(
    addon: NativeAddon,
    student: { path: string; name: string | undefined },
    steps: number,
    classes: readonly string[] | undefined,
  ): Promise<NativeTrainer> {
    const { schedule, optimizer, pretrained, ...config } = this.#config
    if (classes) this.#classFeatures = await this.#encodeClasses(addon, classes)
    const other =
      pretrained === undefined
        ? undefined
        : await resolveSource(pretrained, { signal: this.#options.signal })
    return addon.createTrainer({
      student: student.path,
      pretrained: other?.path,
      config: { name: student.name },
      train: {
        objective: config.objective,
        mode: config.mode,
        contentWeight: config.contentWeight,
        contextWeight: config.contextWeight,
        classFeatures: this.#classFeatures,
        leastClasses: config.leastClasses,
        regionLoss: config.regionLoss,
        regionWeight: config.regionWeight,
        unlockedGroups: config.unlockedGroups,
        trainText: config.trainText,
        schedule: { ...schedule, total: steps },
        ...optimizer,
        device: config.device,
        dtype: config.dtype,
        checkpointActivations: config.checkpointActivations,
        seed: config.seed,
      },
    })
  }

  async #encodeClasses(addon: NativeAddon, classes: readonly string[]): Promise<NativeTensor> {
    const { model, templates } = this.#config
    const tower = await loadModel(model, { dtype: 'float32', device: 'cpu' })
    try {
      const texts = classes.map(text => ({ text, owner: `class '${text}'` }))
      const rows = await encodeTexts(tower.textModel, texts, templates, {})
      const width = rows[0]?.length ?? 0
      const flat = new Float32Array(rows.length * width)
      for (const [i, row] of rows.entries()) flat.set(row, i * width)
      return addon.tensor(flat, [rows.length, width], 'float32')
    } finally {
      tower.dispose()
    }
  }

  /** Weights for loadModel in a folder, whole or not at all. */
  async #export(name: string, average: boolean): Promise<string> {
    const target = this.#folder.file(name)
    if (!this.#leads) return target
    const temporary = `${target}.tmp`
    await rm(temporary, { recursive: true, force: true })
    const { alpha } = this.#config
    await (this.#trainer as NativeTrainer).exportCheckpoint({ path: temporary, alpha, average })
    return this.#folder.place(temporary, name)
  }
}

const round = (x: number) => Number(x.toPrecision(4))
