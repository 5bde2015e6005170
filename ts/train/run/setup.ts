import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../../base/files.js'
import type { Device } from '../../base/names.js'
import { warn } from '../../base/warn.js'
import type {
  NativeAddon,
  NativeCatSegTrainer,
  NativeCatSegTrainOptions,
  NativeCheckpointInfo,
  NativeDetectorTrainer,
  NativeDetectorTrainOptions,
  NativeTensor,
  NativeTrainer,
  NativeTrainOptions,
  NativeTrainStep,
} from '../../engine/addon-types.js'
import { callNative } from '../../engine/call-native.js'
import { DeclipError } from '../../errors.js'
import { type ResolvedSource, resolveSource } from '../../hub/resolve-source.js'
import { WEIGHTS_FILE } from '../../hub/select-files.js'
import { loadResolved, tokenizerFor } from '../../model/load.js'
import type { Model } from '../../model/model.js'
import { type Classes, openClasses } from '../classes.js'
import { withoutUndefined } from '../config.js'
import type { CatSegFields, DetectorFields, ResolvedConfig } from '../config-fields.js'
import { Batches, type Inputs } from '../data/batches.js'
import { CatSegBatches } from '../data/cat-seg-batches.js'
import { DetectorBatches } from '../data/detector-batches.js'
import { FileStore, MemoryStore, type ViewStore } from '../data/kept-views.js'
import { Sampler, type Share } from '../data/sampler.js'
import { leftOutWarning } from '../data/sources/left-out.js'
import { openSource } from '../data/sources/open.js'
import type { Source } from '../data/sources/source.js'
import type { BatchMaker, StepBatch } from '../data/step-batch.js'
import { deviceOf, type Ranks } from '../process-group.js'
import { teacherOf } from '../teacher.js'
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

/**
 * Looks at the data and the weights; nothing is written yet.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_NETWORK for weights that cannot be found or read,
 * ERR_DECLIP_INVALID_ARG for a schedule or data that do not fit, ERR_DECLIP_ABORTED
 */
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
  const least = warmup + (kind === 'constant-cooldown' ? cooldown : 0)
  if (steps > least || kind === 'constant' || kind === 'step') return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `schedule.warmup and schedule.cooldown must be fewer steps than the run has, ${steps}, received ${warmup} and ${cooldown}.`,
  )
}

/** What {@link Setup.make} makes a run of. */
export interface SetupOptions {
  readonly addon: NativeAddon
  readonly config: ResolvedConfig
  readonly plan: Plan
  readonly folder: RunFolder
  readonly ranks?: Ranks | undefined
  /** Ends loading. */
  readonly signal?: AbortSignal | undefined
  /** Ends the making of batches. */
  readonly decoding: AbortSignal
}

/** What both trainers do in the same way. */
type AnyTrainer = Pick<
  NativeTrainer,
  'anyRank' | 'save' | 'load' | 'exportCheckpoint' | 'dispose' | 'info'
> & { step(options: { parts: StepBatch['parts'] }): Promise<NativeTrainStep> }

/** All that makes steps; to be disposed of. */
export class Setup {
  readonly trainer: AnyTrainer
  readonly batches: BatchMaker
  readonly #made: readonly { dispose(): void }[]

  private constructor(
    trainer: NativeTrainer | NativeDetectorTrainer | NativeCatSegTrainer,
    batches: BatchMaker,
    made: readonly { dispose(): void }[],
  ) {
    // Its batches are those of `batches`, which was made for it.
    this.trainer = trainer as AnyTrainer
    this.batches = batches
    this.#made = made
  }

  /**
   * Loads models and makes the trainer.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for a configuration that the model does not fit, and what
   * loadModel and the core's trainers throw; nothing stays loaded then
   */
  static async make(options: SetupOptions): Promise<Setup> {
    const { addon, folder, ranks, signal } = options
    const { source, models } = options.plan
    const config = {
      ...options.config,
      device: deviceOf(options.config.device, ranks, addon.runtime().cudaDevices),
    }
    const student = models.model ?? { path: await makeModel(addon, config, folder, ranks) }
    const made: { dispose(): void }[] = []
    const keep = <T extends { dispose(): void }>(thing: T): T => {
      made.push(thing)
      return thing
    }
    try {
      const hasClasses = config.objective === 'region-text' || config.objective === 'fvit'
      const classes = hasClasses
        ? await openClasses(addon, config, source, student, { signal })
        : undefined
      if (classes) keep(classes.features)
      const parts: Parts = { ...options, config, student, classes, keep }
      const { trainer, batches } = await partsOf(parts)
      return new Setup(trainer, batches, made)
    } catch (error) {
      for (const thing of made.reverse()) thing.dispose()
      throw error
    }
  }

  dispose(): void {
    for (const thing of this.#made) thing.dispose()
  }
}

/** What a trainer and its batches are made of. */
interface Parts extends SetupOptions {
  readonly student: Pick<ResolvedSource, 'path'> & { readonly name?: string | undefined }
  readonly classes: Classes | undefined
  readonly keep: <T extends { dispose(): void }>(thing: T) => T
}

function partsOf(parts: Parts) {
  switch (parts.config.objective) {
    case 'fvit':
      return detectorOf(parts)
    case 'cat-seg':
      return catSegOf(parts)
    default:
      return towersOf(parts)
  }
}

/** Training of a model's towers. */
async function towersOf(parts: Parts): Promise<{ trainer: NativeTrainer; batches: Batches }> {
  const { addon, config, student, classes, ranks, signal, decoding, keep } = parts
  const { source, sampler, steps, models } = parts.plan
  const trainer = await callNative(addon, { signal }, call =>
    addon.createTrainer({
      ...call,
      student: student.path,
      pretrained: models.pretrained?.path,
      config: { ...config.modelConfig, name: student.name },
      train: trainOptions(config, schedule(config, sampler, steps), classes),
      processGroup: ranks,
    }),
  )
  keep(trainer)
  if (ranks && ranks.rank > 0 && !models.model) {
    await rm(student.path, { recursive: true, force: true })
  }
  const inputs = await inputsOf(config, student.path, trainer.info)
  const teacher = await loadTeacher(config, models['teacher.model'], signal)
  if (teacher) keep(teacher)
  const batches = new Batches({
    config,
    addon,
    inputs,
    source,
    sampler,
    classes: classes?.names,
    teacher: teacher && teacherOf(teacher, inputs.size / inputs.patchSize, config.teacher?.mode),
    signal: decoding,
  })
  return { trainer, batches }
}

/** Training of a detector's heads. */
async function detectorOf(
  parts: Parts,
): Promise<{ trainer: NativeDetectorTrainer; batches: DetectorBatches }> {
  const { addon, config, student, ranks, signal, decoding, keep, folder } = parts
  const { source, sampler, steps } = parts.plan
  const classes = parts.classes as Classes
  const detector = config.detector as DetectorFields
  const modelConfig = { ...config.modelConfig, name: student.name }
  const info = await callNative(addon, { signal }, call =>
    addon.inspect({ ...call, path: student.path, config: modelConfig }),
  )
  const side = config.imageSize ?? info.detector?.side ?? sideOf(info, detector)
  const trainer = await callNative(addon, { signal }, call =>
    addon.createDetectorTrainer({
      ...call,
      student: student.path,
      config: modelConfig,
      train: {
        ...detectorOptions(config, detector),
        side,
        classes: classes.names,
        novel: source.novel ?? [],
        words: classes.features,
        schedule: schedule(config, sampler, steps),
      },
      processGroup: ranks,
    }),
  )
  keep(trainer)
  const store = await openStore(detector, addon, folder, ranks)
  if (store) keep(store)
  const batches = new DetectorBatches({
    config,
    detector,
    addon,
    source,
    sampler,
    signal: decoding,
    side,
    classes: classes.names,
    tower: images => trainer.towerMaps({ images }),
    store,
  })
  return { trainer, batches }
}

/** Of a new head, as the released configurations have them. */
const CAT_SEG_PROMPT = 'A photo of a {} in the scene'
const CAT_SEG_SIDE = 384

/** Training of CAT-Seg: its head, and what of the towers attends. */
async function catSegOf(
  parts: Parts,
): Promise<{ trainer: NativeCatSegTrainer; batches: CatSegBatches }> {
  const { addon, config, student, ranks, signal, decoding, keep } = parts
  const { source, sampler, steps } = parts.plan
  const names = source.classes as readonly string[]
  const catSeg = config.catSeg as CatSegFields
  const modelConfig = { ...config.modelConfig, name: student.name }
  const info = await callNative(addon, { signal }, call =>
    addon.inspect({ ...call, path: student.path, config: modelConfig }),
  )
  if (!info.text) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `model: ${config.model} has no text tower, and CAT-Seg learns with names of classes; take a CLIP, an EVA-CLIP, or a CAT-Seg that learns further.`,
    )
  }
  if (info.catSeg && catSeg.head !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `catSeg.head has the sizes of a new head, but ${config.model} has a head already, which learns further; leave catSeg.head out.`,
    )
  }
  const prompt = catSeg.prompt ?? info.catSeg?.prompt ?? CAT_SEG_PROMPT
  const side = config.imageSize ?? catSeg.cut ?? info.catSeg?.cut ?? CAT_SEG_SIDE
  const tokens = await promptTokens(addon, student.path, info, names, prompt)
  try {
    const trainer = await callNative(addon, { signal }, call =>
      addon.createCatSegTrainer({
        ...call,
        student: student.path,
        config: modelConfig,
        train: {
          ...catSegOptions(config, catSeg, prompt),
          tokens,
          classes: names,
          schedule: schedule(config, sampler, steps),
        },
        processGroup: ranks,
      }),
    )
    keep(trainer)
    const { mean, std } = info
    const classes = names.length
    const made = { config, catSeg, addon, source, sampler, signal: decoding, side, classes }
    return { trainer, batches: new CatSegBatches({ ...made, mean, std }) }
  } finally {
    tokens.dispose()
  }
}

/** Token ids [T, L] of the classes' names in the prompt. */
async function promptTokens(
  addon: NativeAddon,
  path: string,
  { text, ...info }: NativeCheckpointInfo,
  names: readonly string[],
  prompt: string,
): Promise<NativeTensor> {
  const tokenizer = await tokenizerFor(path, { ...info, text })
  const texts = names.map(name => prompt.replace('{}', () => name))
  const { data, shape } = tokenizer.tokenize(texts, { contextLength: text?.contextLength ?? 77 })
  return addon.tensor(data, shape, 'int32')
}

function catSegOptions(
  { optimizer, device, dtype, seed, checkpointActivations }: ResolvedConfig,
  catSeg: CatSegFields,
  prompt: string,
): Omit<NativeCatSegTrainOptions, 'tokens' | 'classes' | 'schedule'> {
  const { clip, clipRate, pooling, sampledWords, head } = catSeg
  const { side, canvas, cut, stride, blocks, mode, unitPatches } = catSeg
  const given = { ...head, side, canvas, cut, stride, blocks, mode, unitPatches, prompt }
  return {
    // What is not given is as released, or the student's own.
    head: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    clip,
    clipRate,
    pooling,
    sampledWords,
    ...optimizer,
    checkpointActivations,
    device,
    dtype,
    seed,
  }
}

/** Of the network's square, as the released configurations have it. */
function sideOf({ patchSize }: NativeCheckpointInfo, { variant }: DetectorFields): number {
  if (patchSize === 14) return 896
  return variant === 'lvis' ? 1024 : 640
}

const GIGABYTE = 1e9

async function openStore(
  { views, cache }: DetectorFields,
  addon: NativeAddon,
  folder: RunFolder,
  ranks: Ranks | undefined,
): Promise<ViewStore | undefined> {
  if (views === undefined) return undefined
  const { kind = 'memory', gigabytes = 4, dtype = 'float32' } = cache ?? {}
  const shared = ranks?.worldSize ?? 1
  const options = { addon, dtype, room: (gigabytes * GIGABYTE) / shared }
  if (kind === 'memory') return new MemoryStore(options)
  return FileStore.open(options, folder.file('maps'), shared)
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

async function inputsOf(
  config: ResolvedConfig,
  path: string,
  { text, ...info }: NativeCheckpointInfo,
): Promise<Inputs> {
  const { imageSize, multiscale = [] } = config
  const size = imageSize ?? info.imageSize
  for (const side of [size, ...multiscale]) {
    if (side % info.patchSize === 0) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `imageSize and multiscale must be multiples of the patch size, ${info.patchSize}, received ${side}.`,
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
  return loadResolved(found, {
    dtype: teacher.dtype,
    device: device as Device,
    config: withoutUndefined(teacher.config),
    signal,
  })
}

/** In steps. */
function schedule(
  { schedule: { milestones = [], ...rest } }: ResolvedConfig,
  { stepsPerEpoch }: Sampler,
  total: number,
): NativeTrainOptions['schedule'] {
  const steps = milestones.map(epoch => Math.round(epoch * stepsPerEpoch))
  return { ...rest, milestones: steps.sort((a, b) => a - b), total }
}

function trainOptions(
  config: ResolvedConfig,
  schedule: NativeTrainOptions['schedule'],
  classes: Classes | undefined,
): NativeTrainOptions {
  return {
    objective: config.objective as NativeTrainOptions['objective'],
    mode: config.mode,
    contentWeight: config.contentWeight,
    contextWeight: config.contextWeight,
    classFeatures: classes?.features,
    leastClasses: config.leastClasses,
    regionLoss: config.regionLoss,
    regionWeight: config.regionWeight,
    unlockedGroups: config.unlockedGroups,
    trainText: config.trainText,
    schedule,
    ...config.optimizer,
    device: config.device,
    dtype: config.dtype,
    checkpointActivations: config.checkpointActivations,
    seed: config.seed,
  }
}

function detectorOptions(
  { optimizer, device, dtype, seed }: ResolvedConfig,
  detector: DetectorFields,
): Omit<NativeDetectorTrainOptions, 'side' | 'classes' | 'novel' | 'words' | 'schedule'> {
  const {
    masks = false,
    rpnNorm = false,
    backgroundWeight = 0.6,
    lowQualityBoxes = false,
  } = detector
  const { channels, hidden, convolutions, blocks, mode, temperature } = detector
  const { rpnSamples, perLevel, proposals, proposalNms } = detector
  const { boxSamples, boxPositiveShare, boxIou, normMomentum } = detector
  return {
    channels,
    hidden,
    convolutions,
    masks,
    rpnNorm,
    blocks,
    mode,
    temperature,
    backgroundWeight,
    rpnSamples,
    perLevel,
    proposals,
    proposalNms,
    boxSamples,
    boxPositiveShare,
    boxIou,
    lowQualityBoxes,
    normMomentum,
    ...optimizer,
    device,
    dtype,
    seed,
  }
}

/** SHA-256 of a file, or of the weights and configurations in a folder. */
async function digestWeights(path: string): Promise<string> {
  const digest = createHash('sha256')
  try {
    const folder = (await stat(path)).isDirectory()
    const counts = (name: string) => WEIGHTS_FILE.test(name) || name.endsWith('.json')
    const names = folder ? (await readdir(path)).filter(counts).sort() : []
    for (const file of folder ? names.map(name => join(path, name)) : [path]) {
      for await (const part of createReadStream(file)) digest.update(part)
    }
  } catch (error) {
    throw ioError('read', path, error)
  }
  return digest.digest('hex')
}
