/** Batches of CAT-Seg: what is drawn for a picture, and what becomes of it. */
import t from 'tap'
import { prepareAddon } from '../../../../ts/engine/load-addon.js'
import { resolveConfig } from '../../../../ts/train/config.js'
import type { CatSegFields } from '../../../../ts/train/config-fields.js'
import { CatSegBatches, drawSemantic } from '../../../../ts/train/data/cat-seg-batches.js'
import { Sampler } from '../../../../ts/train/data/sampler.js'
import { openSource } from '../../../../ts/train/data/sources/open.js'
import { disposeBatch } from '../../../../ts/train/data/step-batch.js'
import { LABELLED_CLASSES, labelledPicture, writeLabelled } from '../../../support/labelled.js'

const addon = await prepareAddon()
const scenes = t.testdir()
await writeLabelled(scenes, 6)

const SIDE = 40
const configOf = (catSeg: object, seed = 3) =>
  resolveConfig({
    objective: 'cat-seg',
    model: 'words-tiny',
    data: { kind: 'labels', path: scenes },
    batch: 2,
    steps: 9,
    seed,
    catSeg,
    out: 'run',
  })
async function batchesOf(catSeg: object, seed = 3) {
  const config = configOf(catSeg, seed)
  const source = await openSource(config)
  return new CatSegBatches({
    config,
    catSeg: config.catSeg as CatSegFields,
    addon,
    source,
    sampler: new Sampler(source.length, config.batch, config.seed, { rank: 0, worldSize: 1 }),
    signal: new AbortController().signal,
    side: SIDE,
    classes: LABELLED_CLASSES.length,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  })
}
async function read(batches: CatSegBatches, step: number) {
  const made = await batches.make(step)
  const [part] = made.parts as [(typeof made.parts)[0]]
  const out = {
    shape: part.images.shape,
    images: new Float32Array(await part.images.data()),
    labels: Array.from(new BigInt64Array(await part.labels.data()), Number),
  }
  disposeBatch(made)
  return out
}

/** Whether two pictures have the same bytes; a difference of so many numbers would take minutes to print. */
const same = (a: Float32Array, b: Float32Array) =>
  Buffer.from(a.buffer).equals(Buffer.from(b.buffer))

t.test('draws have the published shares and ranges', t => {
  const { catSeg } = configOf({ scale: [1, 2] })
  const N = 4000
  const draws = Array.from({ length: N }, (_, index) =>
    drawSemantic(catSeg as CatSegFields, 384, 1, { epoch: index % 3, index }),
  )
  const share = (holds: (draw: (typeof draws)[0]) => boolean) => draws.filter(holds).length / N
  for (const [name, holds] of Object.entries({
    brightness: (d: (typeof draws)[0]) => d.brightness !== 0,
    contrast: (d: (typeof draws)[0]) => d.contrast !== 1,
    saturation: (d: (typeof draws)[0]) => d.saturation !== 1,
    contrastFirst: (d: (typeof draws)[0]) => d.contrastFirst,
    mirror: (d: (typeof draws)[0]) => d.mirror,
    cropX: (d: (typeof draws)[0]) => d.cropX < 0.5,
    scale: (d: (typeof draws)[0]) => d.shortSide < 576,
  })) {
    t.ok(Math.abs(share(holds) - 0.5) < 0.04, name)
  }
  // A hue that is drawn is 0 once in 37.
  t.ok(Math.abs(share(d => d.hue !== 0) - 0.5 * (36 / 37)) < 0.04)
  // One change says nothing of another.
  t.ok(Math.abs(share(d => d.contrast !== 1 && d.saturation !== 1) - 0.25) < 0.04)
  const spread = (of: (draw: (typeof draws)[0]) => number, low: number, high: number) => {
    const values = draws.map(of)
    const [least, most] = [Math.min(...values), Math.max(...values)]
    t.ok(least >= low && most <= high, `${low} to ${high}`)
    t.ok(least < low + 0.05 * (high - low) && most > high - 0.05 * (high - low))
  }
  spread(d => d.brightness, -32, 32)
  spread(d => d.contrast, 0.5, 1.5)
  spread(d => d.saturation, 0.5, 1.5)
  spread(d => d.hue, -18, 18)
  spread(d => d.shortSide, 384, 768)
  spread(d => d.cropY, 0, 1)
  const { catSeg: still } = configOf({ jitter: 0, mirror: 0 })
  t.match(drawSemantic(still as CatSegFields, 96, 1, { epoch: 0, index: 0 }), {
    shortSide: 96,
    longSide: 1333,
    brightness: 0,
    contrast: 1,
    saturation: 1,
    hue: 0,
    mirror: false,
  })
  t.end()
})

t.test('a step is a function of the seed and its number', async t => {
  const one = await batchesOf({})
  const first = await read(one, 0)
  const fourth = await read(one, 3)
  const other = await batchesOf({})
  const again = await read(other, 3)
  t.ok(same(again.images, fourth.images), 'without the steps before it')
  t.equal(again.labels.join(), fourth.labels.join())
  t.notOk(same(fourth.images, first.images))
  t.notOk(same((await read(await batchesOf({}, 4), 0)).images, first.images))
  t.strictSame(first.shape, [2, 3, SIDE, SIDE])
})

t.test('pixels and their labels stay together', async t => {
  const batches = await batchesOf({ jitter: 0, scale: [1.2, 1.5] })
  const colour = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]
  let [seen, right] = [0, 0]
  for (let step = 0; step < 3; step++) {
    const { images, labels } = await read(batches, step)
    const plane = SIDE * SIDE
    for (const [i, label] of labels.entries()) {
      if (label < 0 || label > 2) continue
      const at = Math.floor(i / plane) * 3 * plane + (i % plane)
      const rgb = [0, 1, 2].map(c => images[at + c * plane] as number)
      seen++
      // The strongest channel is that of the class, but for blended edges.
      right += Number(rgb.indexOf(Math.max(...rgb)) === colour[label]?.indexOf(1))
    }
  }
  t.ok(seen > 500)
  t.ok(right / seen > 0.97, `${right} of ${seen}`)
})

t.test('what a crop does not cover is grey and of no class', async t => {
  const { images, labels } = await read(
    await batchesOf({ jitter: 0, mirror: 0, scale: [0.5, 0.5] }),
    0,
  )
  const { width, height } = labelledPicture(0)
  t.ok(width >= height, 'the drawn pictures are wide')
  const last = SIDE * SIDE - 1
  t.equal(labels[last], -1)
  t.ok(Math.abs((images[last] as number) - (128 / 255 - 0.5) / 0.25) < 1e-6)
  t.ok(labels.slice(0, SIDE / 2).some(label => label >= 0))
})
