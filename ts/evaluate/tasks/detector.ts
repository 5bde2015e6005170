/** Detection by a detector's own heads: what it is asked for, and how. */
import type { Call } from '../../base/call.js'
import { fingerprintOf } from '../../base/fingerprint.js'
import { detect } from '../../detect/detect.js'
import type { DetectOptions } from '../../detect/options.js'
import { invalid } from '../../errors.js'
import { presetOf, sameName } from '../../methods/fvit.js'
import { detectorInput, detectorSettings } from '../../model/detector-view.js'
import { storedNames } from '../../model/detector-words.js'
import { Model } from '../../model/model.js'
import type { Detections } from '../../result/detections.js'
import type { ClassList } from '../../words/options.js'
import { Vocabulary } from '../../words/vocabulary.js'
import type { DatasetPicture, OpenDataset } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import { digestOf, wordsOf } from './words.js'

/** A detector that is ready for a data set. @internal */
export interface ReadyDetector {
  find(picture: DatasetPicture<'detection'>, call: Call): Promise<Detections>
  /** The data set's label of one that was found. */
  labelOf(label: number): number
  readonly method: string
  readonly changed: readonly string[]
  readonly values: Readonly<Record<string, unknown>>
  readonly words: readonly (readonly string[])[] | null
}

/** What a run's settings have of a detector's options. */
const ASKED = [
  'preset',
  'nmsThreshold',
  'alpha',
  'beta',
  'temperature',
  'detectorTemperature',
  'inputSize',
  'blocks',
  'mode',
  'denseMode',
  'voteMode',
  'proposals',
  'templates',
  'background',
  'text',
] as const

/** Options of evaluate() that say what is measured and where results go, whatever the model. */
const OF_RUNS = new Set([
  'task',
  'dataset',
  'data',
  'classes',
  'embeddings',
  'limit',
  'shard',
  'out',
  'resume',
  'report',
  'onError',
  'kind',
  'scoreThreshold',
  'base',
  'novel',
  'model',
  'device',
  'dtype',
  'signal',
  'onProgress',
  'priority',
  'client',
  'timeout',
  'order',
  'maxPixels',
])

/**
 * Words and options of a detector for a data set: its stored words where they are the data set's classes, else the
 * data set's; base and novel as the data set splits them.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export async function openDetector(
  model: Model,
  options: EvaluateOptions,
  dataset: OpenDataset<'detection'>,
  { limit, masks }: { limit: number; masks: boolean },
): Promise<ReadyDetector> {
  refuseRegions(options)
  const detector = model.info.detector as NonNullable<Model['info']['detector']>
  const names = dataset.classes.map(({ name }) => name)
  const own = storedNames(detector)
  const isGiven = options.classes !== undefined || options.embeddings !== undefined
  const order = isGiven ? undefined : sameOrder(own, names)
  // Texts of a detector have no prompts of methods: words are those of the caller or the data set.
  const asked = order ? undefined : await wordsOf(options, dataset, undefined)
  const classes = asked?.classes
  const novel = novelOf(options, dataset)
  const spelled = order ? own : classNames(classes, names)
  const given: DetectOptions = {}
  for (const name of ASKED) Object.assign(given, { [name]: options[name] })
  const { device, dtype, scoreThreshold } = options
  const settings: DetectOptions = {
    ...given,
    model,
    device,
    dtype,
    masks,
    limit,
    scoreThreshold,
    ...(novel && { novel: spelled.filter((_, c) => novel.has(order ? (order[c] as number) : c)) }),
  }
  const { text, mode, denseMode, ...rest } = given
  return {
    find: (picture, call) =>
      detect(picture.image, classes as ClassList | Vocabulary | undefined, {
        ...settings,
        ...call,
      }),
    labelOf: label => (order ? (order[label] as number) : label),
    method: 'fvit',
    changed: [...ASKED, 'scoreThreshold', 'base', 'novel'].filter(
      name => options[name as keyof EvaluateOptions] !== undefined,
    ),
    values: {
      ...JSON.parse(JSON.stringify(rest)),
      preset: options.preset ?? presetOf(detector),
      ...detectorSettings(detector, model.info.patchSize, settings),
      input: detectorInput(model, { ...rest, mode: mode ?? denseMode }),
      side: options.inputSize ?? detector.side,
      novel: settings.novel ?? null,
      ...(text?.model instanceof Model && { text: await fingerprintOf(text.model.info.path) }),
      ...(classes instanceof Vocabulary && { vocabulary: await digestOf(classes) }),
    },
    words:
      classes instanceof Vocabulary ? null : ((classes as string[][]) ?? own.map(name => [name])),
  }
}

/** Refused by name, as detect() does it. */
function refuseRegions(options: EvaluateOptions): void {
  const known = new Set<string>([...ASKED, ...OF_RUNS])
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.has(name)) continue
    throw invalid(name, "left out with a detector's heads, which find boxes of their own", value)
  }
}

/** The data set's label of every stored word, where both have the same names. */
function sameOrder(own: readonly string[], names: readonly string[]): number[] | undefined {
  if (own.length !== names.length) return undefined
  const labels = new Map(names.map((name, label) => [sameName(name), label]))
  const order = own.map(name => labels.get(sameName(name)))
  return order.includes(undefined) || new Set(order).size !== order.length
    ? undefined
    : (order as number[])
}

/** What detect() calls the classes: their first words. */
function classNames(classes: unknown, names: readonly string[]): readonly string[] {
  if (classes instanceof Vocabulary) return classes.classes
  if (!Array.isArray(classes)) return names
  return classes.map(group => (group as readonly string[])[0] as string)
}

/** Labels that were not learned, by the caller or the data set; undefined where neither says. */
function novelOf(
  { base, novel }: EvaluateOptions,
  { classes }: OpenDataset<'detection'>,
): ReadonlySet<number> | undefined {
  const isSplit = classes.some(({ split, frequency }) => split ?? frequency)
  if (base === undefined && novel === undefined && !isSplit) return undefined
  const labels = classes.flatMap(({ split, frequency }, label) =>
    split === 'novel' || (split === undefined && frequency === 'r') ? [label] : [],
  )
  return new Set(labels)
}

/**
 * The data set with the caller's split of its classes.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for names that are none of its classes, and for a class in both
 * @internal
 */
export function withSplit(
  dataset: OpenDataset<'detection'>,
  { base, novel }: Pick<EvaluateOptions, 'base' | 'novel'>,
): OpenDataset<'detection'> {
  if (base === undefined && novel === undefined) return dataset
  const known = new Set(dataset.classes.map(({ name }) => sameName(name)))
  const spelled = (option: string, names: readonly string[] | undefined) => {
    const unknown = names?.find(name => !known.has(sameName(name)))
    if (unknown !== undefined) throw invalid(option, `names of ${dataset.name}'s classes`, unknown)
    return names && new Set(names.map(sameName))
  }
  const [bases, novels] = [spelled('base', base), spelled('novel', novel)]
  const both = base?.find(name => novels?.has(sameName(name)))
  if (both !== undefined) throw invalid('base', 'without classes that are novel', both)
  const isNovel = (name: string) =>
    novels ? novels.has(sameName(name)) : !(bases as Set<string>).has(sameName(name))
  return {
    ...dataset,
    classes: dataset.classes.map(one => ({
      ...one,
      split: isNovel(one.name) ? ('novel' as const) : ('base' as const),
    })),
  }
}
