/**
 * Every case as data: `kind` names the file in kinds/ that runs it and says what else it takes.
 * `model`: a checkpoint with random weights (scripts/make/make-random-checkpoint.mjs), or undefined for
 * the bundled model. `repeat`: timed runs. `slow`: how long it takes; run only when named in full,
 * or with --slow.
 */
import { familyCases } from './families.mjs'
import { goalCases } from './goals.mjs'
import { kernelCases } from './kernel-cases.mjs'

/** DINO ViT-B/8 */
const DINO = { patch: 8, channels: 768 }

/** All presets; `skip` those that do not go with a tower. */
const presets = [
  { method: 'vanilla' },
  { method: 'maskclip' },
  { method: 'sclip' },
  { method: 'clearclip' },
  { method: 'naclip' },
  { method: 'proxyclip', proxy: DINO },
  { method: 'corrclip', proxy: DINO },
  { method: 'clipself' },
  { method: 'declip', variant: 'qq', options: { mode: 'qq' } },
  { method: 'declip', variant: 'csa', options: { mode: 'csa' } },
  // on the photograph 60 windows in five copies each
  { method: 'itaclip', options: { dataset: 'voc21' }, slow: 'minutes' },
]

const fullSize = ['vit-b-16', 'eva02-b-16', 'vit-l-14-336'].flatMap(model =>
  presets.map(preset => ({
    name: ['full-size', model, preset.method, preset.variant].filter(Boolean).join('/'),
    kind: 'segment',
    model,
    repeat: preset.slow || model === 'vit-l-14-336' ? 1 : 3,
    ...preset,
  })),
)

/** The bundled model on a 12-megapixel picture, which it sees at 240 pixels. */
const camera = { shortSide: 240, method: 'vanilla', pamr: false }

const eventLoop = [
  { job: 'idle', repeat: 1 },
  { job: 'start', repeat: 1 },
  { job: 'load', model: 'vit-b-16', repeat: 3 },
  {
    job: 'segment',
    variant: 'naclip',
    model: 'vit-b-16',
    options: { method: 'naclip' },
    repeat: 3,
  },
  { job: 'segment', variant: 'sclip', model: 'vit-b-16', options: { method: 'sclip' }, repeat: 3 },
  { job: 'text', model: 'vit-b-16', repeat: 1 },
  { job: 'decode', repeat: 5 },
  { job: 'pixels', repeat: 5 },
  { job: 'rgba', repeat: 5 },
  { job: 'labels', options: camera, repeat: 5 },
  { job: 'toPNG', options: camera, repeat: 3 },
  { job: 'overlay', options: camera, repeat: 3 },
  { job: 'toRLE', options: camera, repeat: 3 },
  { job: 'compressedRLE', options: camera, repeat: 3 },
  { job: 'toPolygons', options: camera, repeat: 3 },
  { job: 'simplePolygons', options: camera, repeat: 3 },
].map(one => ({
  ...one,
  name: ['event-loop', one.job, one.variant].filter(Boolean).join('/'),
  kind: 'event-loop',
}))

const encode = [
  ...[1, 8].map(batch => ({
    name: `encode/image/vit-b-16/${batch}`,
    kind: 'encode-image',
    model: 'vit-b-16',
    batch,
    repeat: 10,
  })),
  { name: 'encode/text/vit-b-16', kind: 'encode-text', model: 'vit-b-16', classes: 21, repeat: 5 },
]

const pixels = [
  { variant: '20-words', classes: 20, options: { pamr: false } },
  { variant: '171-words', classes: 171, options: { pamr: false } },
  { variant: '21-words-pamr', classes: 21, options: {} },
].map(one => ({
  ...one,
  name: `pixels/${one.variant}`,
  kind: 'requery',
  model: 'vit-b-16',
  method: 'naclip',
  width: 640,
  height: 480,
  repeat: 5,
}))

const many = [{ name: 'many/200', kind: 'many', pictures: 200, options: { pamr: false } }]

/** Small scenes, on which all that is not the model weighs most. */
const evaluation = [
  {
    name: 'evaluate/throughput',
    kind: 'evaluate',
    blocks: 6,
    pictures: 40,
    side: 240,
    options: { method: 'vanilla', shortSide: 240, pamr: false },
  },
]

const coldStart = [{ name: 'cold-start/segment', kind: 'cold-start', repeat: 7 }]

/** Default calls on photographs, whole processes. */
const photo = [{}, { out: 'mask' }, { out: 'overlay' }].map(({ out }) => ({
  name: `photo/${out ?? 'labels'}`,
  kind: 'photo',
  megapixels: [3, 12, 24],
  out,
  repeat: 3,
}))

const busy = [
  { variant: 'words-tiny', width: 128, height: 96, pictures: 200, block: 50, options: {} },
  {
    variant: 'vit-b-16',
    model: 'vit-b-16',
    width: 224,
    height: 224,
    pictures: 24,
    block: 8,
    options: { method: 'vanilla', shortSide: 224 },
  },
].map(one => ({ ...one, name: `busy/${one.variant}`, kind: 'busy' }))

export const cases = [
  ...eventLoop,
  ...coldStart,
  ...encode,
  ...pixels,
  ...many,
  ...evaluation,
  ...photo,
  ...busy,
  ...kernelCases,
  ...goalCases,
  ...fullSize,
  ...familyCases,
]
