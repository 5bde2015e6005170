import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import type {
  NativeCatSegInfo,
  NativeCheckpointInfo,
  NativeDetectorInfo,
  NativeResize,
  NativeTowerInfo,
} from '../engine/addon-types.js'
import { BUNDLED_MODEL } from '../hub/resolve-source.js'
import { presetOf } from '../methods/fvit.js'
import { defaultMethod, methodsOf } from '../methods/preset.js'
import { inspectCheckpoint } from '../model/load.js'
import { readClassFile } from '../text/class-files.js'
import { examples, type Run, table } from './shared.js'

/** Adds `declip info`. */
export function addInfo(program: Command, run: Run): void {
  program
    .command('info')
    .summary('say what a checkpoint is')
    .description('Prints what a checkpoint file or folder holds, without loading it to compute.')
    .argument('<checkpoint>', 'checkpoint file or folder, hub id (downloaded), or bundled model')
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples('declip info words-tiny', 'declip info words-tiny --json'))
    .action(async (checkpoint: string, flags: { json?: boolean }) => {
      const { signal, progress } = run
      const info = await inspectCheckpoint(checkpoint, { signal, onProgress: progress.update })
      const words = checkpoint === BUNDLED_MODEL ? await bundledWords(info.path) : undefined
      progress.clear()
      run.print(flags.json ? JSON.stringify({ ...info, words }) : describeCheckpoint(info, words))
    })
}

/** The names of what the bundled model was taught; it knows nothing else. */
async function bundledWords(path: string): Promise<string[]> {
  return (await readClassFile(join(dirname(path), 'classes.txt'))).map(([name = '']) => name)
}

/** How a whole picture becomes an input, in words. */
function fit({ resize, size, crop, maxPatches, interpolation }: NativeResize): string {
  if (resize === 'patches') return `own shape, at most ${maxPatches} patches (${interpolation})`
  const side = {
    none: '',
    shortest: 'short side to ',
    longest: 'long side to ',
    squash: 'both sides to ',
  }
  const resized = resize === 'none' ? 'as it is' : `${side[resize]}${size} (${interpolation})`
  return crop === null ? resized : `${resized}, middle ${crop} x ${crop}`
}

/** Tokens beside the patches, and a head behind them. */
function beside({ registers, poolingHead }: NativeCheckpointInfo['vision']): string {
  const tokens = registers === 0 ? '' : `, ${registers} register${registers === 1 ? '' : 's'}`
  const head = poolingHead
    ? `, pooling head of ${poolingHead.heads} heads, MLP ${poolingHead.mlp} ${poolingHead.activation}`
    : ''
  return tokens + head
}

/** Which way a text is read, and what its embedding is made of. */
function reading({ causal, pool }: NonNullable<NativeCheckpointInfo['text']>): string {
  const pooled = {
    end: 'pooled at the end of the text',
    first: 'pooled at the first token',
    last: 'pooled at the last of all tokens',
    mean: 'mean of the tokens',
  }
  return `${causal ? 'causal' : 'both ways'}, ${pooled[pool]}`
}

/** A detector's heads: what boxes are found with. */
function detectorRows(detector: NativeDetectorInfo): [string, string][] {
  const { classes, names, novel, masks, rpnNorm, channels, hidden, strides } = detector
  const { side, blocks, mode, temperature, alpha, beta, voteTemperature } = detector
  const like = presetOf(detector) === 'lvis' ? 'OV-LVIS' : 'OV-COCO'
  const told = [
    ...(alpha === null ? [] : [`alpha ${alpha}`]),
    ...(beta === null ? [] : [`beta ${beta}`]),
    ...(voteTemperature === null ? [] : [`vote temperature ${voteTemperature}`]),
  ]
  const called = names ? `from ${names[0]} to ${names.at(-1)}` : 'without names'
  return [
    [
      'detector',
      `F-ViT as for ${like}: boxes${masks ? ' and masks' : ''}, pyramid of ${channels} channels at strides ${strides.join(', ')}${rpnNorm ? ', batch norms in the RPN' : ''}, linear layers of ${hidden}`,
    ],
    ['sees', `${side} x ${side} pixels, blocks ${blocks.join(', ')} (from 0), last one '${mode}'`],
    [
      'detects',
      `${classes} stored words ${called}${novel ? `, ${novel.length} of them novel` : ''}; any others by text tower or vocabulary`,
    ],
    ['scores', [`learned temperature ${temperature.toFixed(2)}`, ...told].join(', ')],
  ]
}

/** CAT-Seg's head: how it sees a picture, and what it learned. */
function catSegRows(head: NativeCatSegInfo, patchSize: number): [string, string][] {
  const { channels, layers, heads, window, prompts, blocks, mode, unitPatches } = head
  const { side, canvas, cut, stride, wordLimit, prompt, names } = head
  const grid = Math.floor(side / patchSize)
  const steps = cut >= canvas ? 1 : Math.floor((canvas - cut) / stride) + 1
  return [
    [
      'CAT-Seg',
      `head of ${layers} layers, ${channels} channels in ${heads} heads, attention in windows of ${window} x ${window} of ${grid} x ${grid} patches`,
    ],
    [
      'sees',
      `${steps * steps} windows of ${cut} every ${stride} pixels of ${canvas} x ${canvas}, and the whole picture, each as ${side} x ${side}`,
    ],
    [
      'tower',
      `last block '${mode}'${unitPatches ? ', patches of length 1' : ''}; blocks ${blocks.join(' and ')} (from 0) guide the decoder`,
    ],
    [
      'words',
      `any, by '${prompt}'${prompts > 1 ? ` and ${prompts - 1} prompts more` : ''}; at most ${wordLimit} of a window`,
    ],
    [
      'learned',
      names.length > 0
        ? `${names.length} classes from ${names[0]} to ${names.at(-1)}`
        : 'classes that the file does not name',
    ],
  ]
}

/** What a reader wants to know, as aligned lines. */
export function describeCheckpoint(
  info: NativeCheckpointInfo,
  words: readonly string[] = [],
): string {
  const { vision, text, notes, denseModes } = info
  const tower = ({ width, layers, heads }: NativeTowerInfo) =>
    `width ${width}, ${layers} layers, ${heads} heads`
  const rounded = (values: readonly number[]) => values.map(v => v.toFixed(4)).join(' ')
  const size = (info.parameters / 1e6).toFixed(1)
  const rows: [string, string][] = [
    ['path', info.path],
    ['format', info.format],
    ['family', info.family],
    ['size', `${size} million parameters in ${info.tensors} tensors, ${info.storedDtype}`],
    ['image', `${info.imageSize} x ${info.imageSize} pixels, patches of ${info.patchSize}`],
    ['features', `${info.embedDim} channels`],
    ['vision tower', `${tower(vision)}, MLP ${vision.mlp} ${vision.activation}${beside(vision)}`],
    [
      'text tower',
      text
        ? `${tower(text)}, ${text.activation}, ${text.contextLength} tokens of ${text.vocab} (${info.tokenizer}), ${reading(text)}`
        : info.textSpace
          ? 'none: text features must be supplied'
          : 'none: a vision foundation model has no texts in its space',
    ],
    [
      'preprocessing',
      `${fit(info.preprocess)}, mean ${rounded(info.mean)}, std ${rounded(info.std)}`,
    ],
    ['logit scale', info.logitScale?.toFixed(3) ?? 'none'],
    ...(info.logitBias === null
      ? []
      : [['logit bias', info.logitBias.toFixed(3)] satisfies [string, string]]),
    ['dense mode', info.denseMode ?? 'not fine-tuned for one, as far as name and metadata tell'],
    ...(denseModes.length > 0
      ? ([
          ['dense modes', denseModes.join(', ')],
          ['methods', `${defaultMethod(info)} by default; ${methodsOf(info).join(', ')} run`],
        ] satisfies [string, string][])
      : []),
    ...(info.maskDecoder === null
      ? []
      : ([
          [
            'mask decoder',
            `masks of points, boxes and masks: ${info.maskDecoder.layers} layers, ${info.maskDecoder.heads} heads, ${info.maskDecoder.masks} masks of ${info.maskDecoder.lowResSize} x ${info.maskDecoder.lowResSize}`,
          ],
        ] satisfies [string, string][])),
    ...(info.detector === null ? [] : detectorRows(info.detector)),
    ...(info.catSeg === null ? [] : catSegRows(info.catSeg, info.patchSize)),
    ['licence', info.license ?? 'not stated in the file'],
  ]
  if (info.epoch !== null) rows.push(['epoch', String(info.epoch)])
  for (const note of notes) rows.push(['note', note])
  for (let i = 0; i < words.length; i += WORDS_A_LINE) {
    rows.push([i === 0 ? `${words.length} words` : '', words.slice(i, i + WORDS_A_LINE).join(', ')])
  }
  return table(rows)
}

const WORDS_A_LINE = 10
