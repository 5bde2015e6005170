/**
 * F-ViT through the public calls against the authors' code: published class embeddings, and the whole detector on
 * photos, asked at once and by a view, with the words of the file and with the same words given.
 */
import sharp from 'sharp'
import t, { type Test } from 'tap'
import {
  type Detections,
  type DetectOptions,
  detect,
  type EncodeForDetectionOptions,
  loadModel,
  type Model,
  Vocabulary,
} from '../../ts/index.js'
import { sameName } from '../../ts/methods/fvit.js'
import { floats } from '../support/calls.js'
import { pixelsOf } from '../support/rle.js'
import { type Case, compare, Golden } from './support.js'

const golden = new Golden('fvit')

interface Config {
  input_size: number
  taken_blocks: number[]
  classes: string[]
  novel: string[]
  tau_vlm: number
  alpha: number
  beta: number
}

interface Options {
  input_size: number
  per_level: number
  keep_proposals: number
  proposal_nms_iou: number
  score_threshold: number
  nms_iou: number
  keep: number
}

const wholeCases = golden.ids().filter(id => /\.end-to-end/.test(id))
const embeddingCases = golden.ids().filter(id => id.endsWith('.class-embeddings'))
const models = new Map<string, Model>()
t.teardown(() => {
  for (const model of models.values()) model.dispose()
})

async function modelOf({ weights }: Case): Promise<Model> {
  const file = weights as string
  const model =
    models.get(file) ?? (await loadModel(golden.path(file), { device: 'cpu', dtype: 'float32' }))
  models.set(file, model)
  return model
}

function settings(one: Case) {
  const config = one.config as unknown as Config
  const options = one.options as unknown as Options
  const input = {
    inputSize: options.input_size,
    blocks: config.taken_blocks,
    proposals: {
      perLevel: options.per_level,
      keep: options.keep_proposals,
      nmsThreshold: options.proposal_nms_iou,
    },
  } satisfies EncodeForDetectionOptions
  const question = {
    novel: config.novel,
    alpha: config.alpha,
    beta: config.beta,
    temperature: config.tau_vlm,
    scoreThreshold: options.score_threshold,
    nmsThreshold: options.nms_iou,
    limit: options.keep,
  } satisfies DetectOptions
  const { masks_png } = (one.values ?? {}) as { masks_png?: string }
  return { config, input, question: { ...question, masks: masks_png !== undefined }, masks_png }
}

async function checkFound(t: Test, id: string, found: Detections): Promise<void> {
  const expected = golden.expected(id, 'detections')
  const count = expected.shape[0] as number
  t.equal(found.count, count)
  const [boxes, scores] = [await floats(found.boxes), await floats(found.scores)]
  const rows = new Float32Array(5 * count)
  for (let i = 0; i < count; i++) {
    rows.set(boxes.subarray(4 * i, 4 * i + 4), 5 * i)
    rows[5 * i + 4] = scores[i] as number
  }
  await compare(t, `${id}: boxes and scores`, { shape: [count, 5], data: rows }, expected)
  const labels = golden.expected(id, 'labels').data
  t.strictSame([...((await found.labels.data()) as Int32Array)], [...labels].map(Number))
}

for (const id of wholeCases) {
  t.test(id, async t => {
    const one = golden.case(id)
    const model = await modelOf(one)
    const { config, input, question, masks_png } = settings(one)
    const photo = golden.path(one.inputs['photo'] as string)
    using found = await detect(photo, undefined, { model, ...input, ...question })
    t.strictSame([...found.classes], config.classes)
    await checkFound(t, id, found)
    if (masks_png !== undefined) {
      const { least, count } = await maskAgreement(golden.path(masks_png), found)
      t.equal(count, found.count)
      t.ok(least >= (one.values as { mask_min_agreement: number }).mask_min_agreement, `${least}`)
    }
    using view = await model.encodeForDetection(photo, input)
    for (let round = 0; round < 2; round++) {
      using again = await view.detect(undefined, question)
      t.strictSame({ ...again.toJSON(), timings: 0 }, { ...found.toJSON(), timings: 0 })
    }
    // The same words as a list, found among the stored ones.
    using listed = await view.detect(config.classes, question)
    await checkFound(t, id, listed)
  })
}

/** The smallest share of equal pixels of a mask and its picture, which stands in a column of pictures. */
async function maskAgreement(file: string, found: Detections) {
  const { data, info } = await sharp(file).greyscale().raw().toBuffer({ resolveWithObject: true })
  const size = found.width * found.height
  let least = 1
  for (const [i, mask] of (found.masks ?? []).entries()) {
    const own = pixelsOf(mask)
    let same = 0
    for (let at = 0; at < size; at++) {
      if (Number(own[at] !== 0) === Number((data[i * size + at] as number) > 127)) same += 1
    }
    least = Math.min(least, same / size)
  }
  return { least, count: info.height / found.height }
}

for (const id of embeddingCases) {
  t.test(id, async t => {
    const { embeddings, classes, seen } = golden.case(id).inputs as {
      embeddings: string
      classes: string[]
      seen: string[]
    }
    const matrix = golden.expected(id, 'matrix')
    const [width, count] = matrix.shape as [number, number]
    using vocabulary = await Vocabulary.fromFile(golden.path(embeddings), [
      ...classes,
      'background',
    ])
    t.equal(vocabulary.background, classes.length)
    const rows = await floats(vocabulary.features)
    const columns = Float32Array.from(
      rows,
      (_, i) => rows[(i % count) * width + Math.floor(i / count)] as number,
    )
    await compare(t, `${id}: matrix`, { shape: matrix.shape, data: columns }, matrix)
    const base = new Set([...seen, 'background'].map(sameName))
    t.strictSame(
      vocabulary.classes.map(name => Number(base.has(sameName(name)))),
      [...golden.expected(id, 'base').data].map(Number),
    )
    // The detector finds with them what it finds with the words that it stores.
    const whole = wholeCases.find(other => other.startsWith(id.split('.')[0] as string)) as string
    const one = golden.case(whole)
    const model = await modelOf(one)
    const { input, question } = settings(one)
    const photo = golden.path(one.inputs['photo'] as string)
    using found = await detect(photo, vocabulary, { model, ...input, ...question })
    t.strictSame([...found.classes], classes)
    await checkFound(t, whole, found)
  })
}
