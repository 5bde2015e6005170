import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../../base/files.js'
import type { Device } from '../../base/names.js'
import { warn } from '../../base/warn.js'
import type { NativeAddon, NativeTrainer } from '../../engine/addon-types.js'
import { callNative } from '../../engine/call-native.js'
import { DeclipError } from '../../errors.js'
import { type ResolvedSource, resolveSource } from '../../hub/resolve-source.js'
import { inspectCheckpoint, loadModel, tokenizerFor } from '../../model/load.js'
import type { Model } from '../../model/model.js'
import { type Classes, openClasses } from '../classes.js'
import { told } from '../config.js'
import type { ResolvedConfig } from '../config-fields.js'
import { Batches, type Inputs } from '../data/batches.js'
import { Sampler, type Share } from '../data/sampler.js'
import { leftOutWarning } from '../data/sources/left-out.js'
import { openSource } from '../data/sources/open.js'
import type { Source } from '../data/sources/source.js'
import { deviceOf, type Ranks } from '../process-group.js'
import { teacherFeatures } from '../teacher.js'
import type { RunFolder, RunRecord } from './run-folder.js'

/** What a run learns from, and its length. */
export interface Plan {
  readonly source: Source
  readonly sampler: Sampler
  readonly steps: number
  readonly record: RunRecord
  /** Where the named models lie; none for `model` if it is to be made. */
  readonly models: Readonly<Partial<Record<ModelField, ResolvedSource>>>
}

type ModelField = 'model' | 'pretrained' | 'teacher.model'

/** Looks at the data and the weights; nothing is written yet. */
export async function plan(
  config: ResolvedConfig,
  share: Share,
  signal: AbortSignal | undefined,
): Promise<Plan> {
  const source = await openSource(config)
  if (share.rank === 0) warn(leftOutWarning(source.leftOut))
  const perStep = config.batch * config.accumulate
  const sampler = new Sampler(source.length, perStep, config.seed, share)
  const steps = config.steps ?? config.epochs * sampler.stepsPerEpoch
  checkSchedule(config, steps)
  const models: Partial<Record<ModelField, ResolvedSource>> = {}
  const weights: Record<string, string> = {}
  const named = {
    model: config.model,
    pretrained: config.pretrained,
    'teacher.model': config.teacher?.model,
  }
  for (const [field, name] of Object.entries(named) as [ModelField, string | undefined][]) {
    if (name === undefined) continue
    const found = await resolveSource(name, { signal })
    models[field] = found
    weights[field] = await digestWeights(found.path)
  }
  const data = { samples: source.length, digest: source.digest }
  return {
    source,
    sampler,
    steps,
    models,
    record: { config, data, weights, processes: share.worldSize },
  }
}

function checkSchedule({ schedule }: ResolvedConfig, steps: number): void {
  const { kind, warmup, cooldown } = schedule
  const least = kind === 'constant' ? 0 : warmup + (kind === 'constant-cooldown' ? cooldown : 0)
  if (steps > least || kind === 'constant') return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `schedule.warmup and schedule.cooldown must be fewer steps than the run has, ${steps}, received ${warmup} and ${cooldown}.`,
  )
}

/** All that makes steps; to be disposed of. */
export class Setup {
  readonly trainer: NativeTrainer
  readonly batches: Batches
  readonly #classes: Classes | undefined
  readonly #teacher: Model | undefined

  private constructor(
    trainer: NativeTrainer,
    batches: Batches,
    classes: Classes | undefined,
    teacher: Model | undefined,
  ) {
    this.trainer = trainer
    this.batches = batches
    this.#classes = classes
    this.#teacher = teacher
  }

  /**
   * Loads models and makes the trainer.
   *
   * @param signal - ends loading
   * @param decoding - ends the making of batches
   */
  static async make(
    addon: NativeAddon,
    config: ResolvedConfig,
    { source, sampler, steps, models }: Plan,
    folder: RunFolder,
    ranks: Ranks | undefined,
    signal: AbortSignal | undefined,
    decoding: AbortSignal,
  ): Promise<Setup> {
    const student = models.model ?? { path: await makeModel(addon, config, folder, ranks) }
    const inputs = await readInputs(config, student.path)
    const device = deviceOf(config.device, ranks, addon.runtime().cudaDevices)
    const undo: { dispose(): void }[] = []
    try {
      const classes =
        config.objective === 'region-text'
          ? await openClasses(addon, config, source, { signal })
          : undefined
      if (classes) undo.push(classes.features)
      const teacher = await loadTeacher({ ...config, device }, models['teacher.model'], signal)
      if (teacher) undo.push(teacher)
      const grid = inputs.size / inputs.patchSize
      const features = teacher && teacherFeatures(addon, teacher, grid, config.teacher?.mode)
      const trainer = await callNative(addon, { signal }, call =>
        addon.createTrainer({
          ...call,
          student: student.path,
          pretrained: models.pretrained?.path,
          config: { ...config.modelConfig, name: student.name },
          train: trainOptions({ ...config, device }, steps, classes),
          processGroup: ranks,
        }),
      )
      if (ranks && ranks.rank > 0 && !models.model) {
        await rm(student.path, { recursive: true, force: true })
      }
      const batches = new Batches({
        config,
        addon,
        inputs,
        source,
        sampler,
        classes: classes?.names,
        teacher: features,
        signal: decoding,
      })
      return new Setup(trainer, batches, classes, teacher)
    } catch (error) {
      for (const thing of undo) thing.dispose()
      throw error
    }
  }

  dispose(): void {
    this.trainer.dispose()
    this.#classes?.features.dispose()
    this.#teacher?.dispose()
  }
}

/** A model that has learnt nothing, in the run's folder; ranks above 0 start from rank 0's weights. */
async function makeModel(
  addon: NativeAddon,
  { newModel, seed }: ResolvedConfig,
  folder: RunFolder,
  ranks: Ranks | undefined,
): Promise<string> {
  const { start, ...model } = newModel as NonNullable<typeof newModel>
  const name = ranks && ranks.rank > 0 ? `initial-${ranks.rank}` : 'initial'
  return folder.place(name, path => addon.createCheckpoint({ path, seed, model, start }))
}

async function readInputs(config: ResolvedConfig, path: string): Promise<Inputs> {
  const { text, ...info } = await inspectCheckpoint(path, { config: told(config.modelConfig) })
  const { objective, imageSize, multiscale = [] } = config
  const size = imageSize ?? info.imageSize
  for (const side of [size, ...multiscale]) {
    if (side % info.patchSize === 0) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `imageSize and multiscale must be multiples of the patch size, ${info.patchSize}, received ${side}.`,
    )
  }
  if (objective === 'contrastive' && text === null) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      "model: objective 'contrastive' needs a checkpoint with a text tower; this one has none.",
    )
  }
  return {
    size,
    patchSize: info.patchSize,
    cropSize: info.imageSize,
    mean: info.mean,
    std: info.std,
    tokenizer: await tokenizerFor(path, { ...info, text }),
    contextLength: text?.contextLength ?? 77,
  }
}

/** DeCLIP's foundation model. */
async function loadTeacher(
  { teacher, device }: ResolvedConfig,
  found: ResolvedSource | undefined,
  signal: AbortSignal | undefined,
): Promise<Model | undefined> {
  if (!teacher || !found) return undefined
  return loadModel(teacher.model, {
    dtype: teacher.dtype,
    device: device as Device,
    config: told(teacher.config),
    signal,
  })
}

function trainOptions(config: ResolvedConfig, steps: number, classes: Classes | undefined) {
  return {
    objective: config.objective,
    mode: config.mode,
    contentWeight: config.contentWeight,
    contextWeight: config.contextWeight,
    classFeatures: classes?.features,
    leastClasses: config.leastClasses,
    regionLoss: config.regionLoss,
    regionWeight: config.regionWeight,
    unlockedGroups: config.unlockedGroups,
    trainText: config.trainText,
    schedule: { ...config.schedule, total: steps },
    ...config.optimizer,
    device: config.device,
    dtype: config.dtype,
    checkpointActivations: config.checkpointActivations,
    seed: config.seed,
  }
}

/** SHA-256 of a file, or of the files of a folder that are no text about it. */
async function digestWeights(path: string): Promise<string> {
  const digest = createHash('sha256')
  try {
    const folder = (await stat(path)).isDirectory()
    const names = folder ? (await readdir(path)).filter(name => WEIGHTS.test(name)).sort() : []
    for (const file of folder ? names.map(name => join(path, name)) : [path]) {
      for await (const part of createReadStream(file)) digest.update(part)
    }
  } catch (error) {
    throw ioError('read', path, error)
  }
  return digest.digest('hex')
}

const WEIGHTS = /\.(safetensors|bin|pth?|json)$/
