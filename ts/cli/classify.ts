import { type Command, Option } from 'commander'
import { ahead } from '../base/ahead.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { PICTURES_ARGUMENT, type Picture } from './pictures.js'
import {
  addClassOptions,
  addModelOptions,
  type ClassFlags,
  examplePicture,
  examples,
  type ModelFlags,
  openModel,
  type Run,
  readClasses,
  readTemplates,
  shareTable,
  whole,
} from './shared.js'

/** Options of `declip classify` as commander gives them. */
export interface ClassifyFlags extends ModelFlags, ClassFlags, BatchFlags {
  top: number
}

/** A class and its probability. */
export interface Guess {
  name: string
  probability: number
}

/** exp(logit_scale) of CLIP's released models, for checkpoints that have none. */
const LOGIT_SCALE = 100

/** Adds `declip classify`. */
export function addClassify(program: Command, run: Run): void {
  const command = program
    .command('classify')
    .summary('say which of your classes a whole picture shows')
    .description(
      'Classifies whole pictures by words (zero-shot) and prints the most probable classes.',
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, false)
  addClassOptions(command)
  addModelOptions(command)
    .optionsGroup('Output:')
    .addOption(new Option('--top <n>', 'how many classes to print').argParser(whole(1)).default(5))
    .option('--json', 'print one JSON object per picture and line')
    .addHelpText(
      'after',
      examples(
        `declip classify ${examplePicture('music.png')} --classes "guitar; pizza; elephant" --top 2`,
        `declip classify "${examplePicture('*.png')}" --shard 2/6 --classes "guitar; pizza; elephant" --json`,
      ),
    )
    .action((images: string[], flags: ClassifyFlags) => classify(images, flags, run))
}

async function classify(given: string[], flags: ClassifyFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  const classes = await readClasses(flags)
  const templates = await readTemplates(flags.templates)
  const plan = async (pictures: readonly Picture[]) => pictures.map(() => ({}))
  const batch = await Batch.open(given, { flags, plan }, run)
  if (batch.jobs.length === 0) return
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const call = { signal, onProgress: progress.update }
  using vocabulary = await model.vocabulary(classes, { templates, background: false, ...call })
  const words = (await vocabulary.features.data()) as Float32Array
  const { device, dtype, logitScale, logitBias } = model.info
  const logits = { scale: logitScale ?? LOGIT_SCALE, bias: logitBias }
  const each = batch.total === 1 ? call : { signal }
  const work = async ({ picture }: Job) => {
    const { name: image, input } = picture
    using encoded = await model.encodeImage(input, each)
    const features = (await encoded.data()) as Float32Array
    const guesses = rank(features, words, vocabulary, logits).slice(0, flags.top)
    if (flags.json) {
      return JSON.stringify({ image, classes: guesses, model: source, device, dtype })
    }
    const names = guesses.map(({ name }) => name)
    const shares = guesses.map(({ probability }) => probability)
    return `${image}\n${shareTable(names, shares)}`
  }
  await batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
}

/**
 * Probability of every class, the most probable first. A model with a logit bias was trained to judge every pair of
 * picture and text on its own (SigLIP): the sigmoid of the scaled and shifted cosine with the class's best word,
 * and the probabilities of all classes need not add up to 1. Others are given the softmax over classes.
 *
 * @param picture [D], length 1
 * @param words [Q, D], length 1 each
 */
export function rank(
  picture: Float32Array,
  words: Float32Array,
  { classes, wordClass }: { classes: readonly string[]; wordClass: Int32Array },
  { scale, bias }: { scale: number; bias: number | null },
): Guess[] {
  const logits: number[] = classes.map(() => Number.NEGATIVE_INFINITY)
  wordClass.forEach((c, q) => {
    const cosine = picture.reduce((sum, x, d) => sum + x * (words[q * picture.length + d] ?? 0), 0)
    logits[c] = Math.max(logits[c] ?? 0, scale * cosine)
  })
  const probabilities =
    bias === null ? softmax(logits) : logits.map(logit => 1 / (1 + Math.exp(-(logit + bias))))
  return classes
    .map((name, c) => ({ name, probability: probabilities[c] ?? 0 }))
    .sort((a, b) => b.probability - a.probability)
}

function softmax(logits: readonly number[]): number[] {
  const highest = Math.max(...logits)
  const exponentials = logits.map(logit => Math.exp(logit - highest))
  const sum = exponentials.reduce((a, b) => a + b, 0)
  return exponentials.map(x => x / sum)
}
