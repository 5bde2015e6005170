/** A detector's batches: large-scale jitter by a slow reference, drawn by key, the same kept or new. */
import { createHash } from 'node:crypto'
import { readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { NativeDetectorBatch, NativeTensor } from '../../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../../ts/engine/load-addon.js'
import { resolveConfig } from '../../../../ts/train/config.js'
import type { DetectorFields } from '../../../../ts/train/config-fields.js'
import { DetectorBatches } from '../../../../ts/train/data/detector-batches.js'
import { FileStore, MemoryStore, type ViewStore } from '../../../../ts/train/data/kept-views.js'
import { Sampler } from '../../../../ts/train/data/sampler.js'
import { randomFor } from '../../../../ts/train/data/seeds.js'
import { openSource } from '../../../../ts/train/data/sources/open.js'
import { disposeBatch } from '../../../../ts/train/data/step-batch.js'
import { RECTANGLES, rectanglesOf, writeRectangles } from '../../../support/objects.js'

const addon = loadAddon()
const folder = t.testdir()
await writeRectangles(folder, 6)
const SIDE = 64

const configOf = (detector: Partial<DetectorFields> = {}) =>
  resolveConfig({
    objective: 'fvit',
    out: 'run',
    model: 'a',
    data: {
      kind: 'coco',
      path: join(folder, 'annotations.json'),
      images: join(folder, 'images'),
    },
    batch: 3,
    seed: 5,
    detector: { masks: true, ...detector },
  })

/** Pictures as the tower: halves, so that what is kept tells one from another. */
let passes = 0
const tower = async (image: NativeTensor) => {
  passes++
  return Promise.all(
    [2, 4, 8, 8].map(async parts => {
      const part = image.slice(2, 0, SIDE / parts)
      const map = await addon.joinMaps({ maps: [part], dtype: 'float32' })
      part.dispose()
      return map
    }),
  )
}

async function batchesOf(detector: Partial<DetectorFields> = {}, store?: ViewStore) {
  const config = configOf(detector)
  const source = await openSource(config)
  return new DetectorBatches({
    config,
    detector: config.detector as DetectorFields,
    addon,
    source,
    sampler: new Sampler(source.length, 3, config.seed, { rank: 0, worldSize: 1 }),
    signal: new AbortController().signal,
    side: SIDE,
    classes: RECTANGLES,
    tower,
    store,
  })
}

/** Everything of a batch as plain values. */
async function plain(part: NativeDetectorBatch | undefined) {
  const values = async (tensor: NativeTensor | undefined) =>
    tensor && {
      shape: tensor.shape,
      data: createHash('sha256')
        .update(Buffer.from(await tensor.data()))
        .digest('hex'),
    }
  return {
    images: await values(part?.images),
    maps: await Promise.all((part?.maps ?? []).map(values)),
    samples: await Promise.all(
      (part?.samples ?? []).map(async ({ masks, boxes, labels, ...rest }) => ({
        ...rest,
        boxes: [...boxes],
        labels: [...labels],
        masks: await values(masks),
      })),
    ),
  }
}

async function step(batches: DetectorBatches, n: number) {
  const made = await batches.make(n)
  const out = await plain(made.parts[0])
  disposeBatch(made)
  return out
}

t.test('boxes, labels and masks are where a slow reference finds them', async t => {
  const config = configOf()
  const batches = await batchesOf()
  const sampler = new Sampler(6, 3, config.seed, { rank: 0, worldSize: 1 })
  let seen = 0
  for (const n of [0, 1, 2, 5, 9]) {
    const made = await batches.make(n)
    const [part] = made.parts
    t.strictSame(part?.images?.shape, [3, 3, SIDE, SIDE])
    for (const [i, { epoch, index }] of sampler.step(n).entries()) {
      const { width, height, objects } = rectanglesOf(index)
      const random = randomFor('jitter', config.seed, epoch, index)
      const [scale, u, v] = [random.real(0.1, 2), random.real(0, 1), random.real(0, 1)]
      const mirror = random.real(0, 1) < 0.5
      const factor = Math.floor(SIDE * scale) / Math.max(width, height)
      const [w, h] = [Math.floor(width * factor + 0.5), Math.floor(height * factor + 0.5)]
      const [cw, ch] = [Math.min(w, SIDE), Math.min(h, SIDE)]
      const [left, top] = [Math.floor(u * (w - cw + 1)), Math.floor(v * (h - ch + 1))]
      const sample = part?.samples[i]
      t.match(sample, { width: cw, height: ch })
      const masks = new Uint8Array((await sample?.masks?.data()) ?? new ArrayBuffer(0))
      let at = 0
      for (const { label, box } of objects) {
        // The rectangle's pixels, one by one.
        const mask = new Uint8Array(SIDE * SIDE)
        let [x1, y1, x2, y2] = [SIDE, SIDE, -1, -1]
        for (let y = 0; y < ch; y++) {
          for (let x = 0; x < cw; x++) {
            const column = Math.floor((left + (mirror ? cw - 1 - x : x)) * (1 / (w / width)))
            const row = Math.floor((top + y) * (1 / (h / height)))
            const inside =
              column >= box[0] && column < box[0] + box[2] && row >= box[1] && row < box[1] + box[3]
            if (!inside) continue
            mask[y * SIDE + x] = 1
            ;[x1, y1] = [Math.min(x1, x), Math.min(y1, y)]
            ;[x2, y2] = [Math.max(x2, x), Math.max(y2, y)]
          }
        }
        if (x2 < 0) continue
        t.equal(sample?.labels[at], RECTANGLES.indexOf(label))
        t.strictSame([...(sample?.boxes ?? []).slice(4 * at, 4 * at + 4)], [x1, y1, x2 + 1, y2 + 1])
        t.ok(Buffer.from(mask).equals(masks.subarray(at * SIDE * SIDE, (at + 1) * SIDE * SIDE)))
        at++
        seen++
      }
      t.equal(sample?.labels.length, at)
    }
    disposeBatch(made)
  }
  t.ok(seen > 15)
})

t.test('without masks a box is what the crop leaves of it', async t => {
  const [a, b] = [await batchesOf({ masks: false }), await batchesOf()]
  const [cut, masked] = [await step(a, 3), await step(b, 3)]
  t.strictSame(cut.images, masked.images)
  for (const [i, { boxes, masks }] of cut.samples.entries()) {
    t.equal(masks, undefined)
    for (const [k, x] of boxes.entries()) {
      t.ok(Math.abs(x - (masked.samples[i]?.boxes[k] as number)) <= 1.5)
    }
  }
})

t.test('a step is a function of its number', async t => {
  const [a, b] = [await batchesOf(), await batchesOf()]
  await step(a, 0)
  t.strictSame(await step(a, 4), await step(b, 4))
  t.notSame(await step(a, 5), await step(b, 4))
})

t.test('with views a step is the same whether its maps were kept or are new', async t => {
  const views = { views: 2 }
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const room = (room: number) => ({ addon, dtype, room })
    const memory = new MemoryStore(room(1e9))
    const none = new MemoryStore(room(0))
    const files = await FileStore.open(room(1e9), join(folder, dtype))
    const steps = [0, 1, 2, 3, 4, 5, 6, 7]
    const all = async (store: ViewStore) => {
      const batches = await batchesOf(views, store)
      const before = passes
      const made = []
      for (const n of steps) made.push(await step(batches, n))
      return { made, passes: passes - before }
    }
    const [kept, fresh, filed] = [await all(memory), await all(none), await all(files)]
    t.strictSame(kept.made, fresh.made)
    t.strictSame(filed.made, fresh.made)
    // Two views of six pictures, four epochs.
    t.strictSame([kept.passes, filed.passes, fresh.passes], [12, 12, 24])
    const sampler = new Sampler(6, 3, 5, { rank: 0, worldSize: 1 })
    const of = (epoch: number) =>
      [0, 1]
        .flatMap(n => {
          const at = 2 * epoch + n
          return sampler.step(at).map(({ index }, i) => ({ index, ...kept.made[at]?.samples[i] }))
        })
        .sort((a, b) => a.index - b.index)
    const seen = (epoch: number) => of(epoch).map(({ seed: _, ...rest }) => rest)
    t.strictSame(seen(0), seen(2), 'views take turns')
    t.notSame(seen(0), seen(1))
    t.notSame(of(0), of(2), 'what is sampled is new')

    // A process that goes on finds them; what was cut is made again.
    const [first] = readdirSync(join(folder, dtype))
    truncateSync(join(folder, dtype, first as string), 100)
    writeFileSync(join(folder, dtype, 'left.tmp'), '')
    const again = await all(await FileStore.open(room(1e9), join(folder, dtype)))
    t.strictSame(again.made, fresh.made)
    t.equal(again.passes, 1, 'the cut one, which is written again')
    t.notOk(readdirSync(join(folder, dtype)).includes('left.tmp'))

    // A bound that some fit into.
    const some = await FileStore.open(room(3 * 100_000), join(folder, `${dtype}-some`))
    t.strictSame((await all(some)).made, fresh.made)
    const count = readdirSync(join(folder, `${dtype}-some`)).length
    t.ok(count > 0 && count < 12)
    memory.dispose()
  }
})

t.test('a segmentation of another size is told by its picture', async t => {
  const config = configOf()
  const source = await openSource(config)
  const wrong = new DetectorBatches({
    config,
    detector: config.detector as DetectorFields,
    addon,
    source: {
      ...source,
      shapes: async regions => regions.map(() => ({ size: [4, 4] as const, counts: [16] })),
    },
    sampler: new Sampler(source.length, 3, config.seed, { rank: 0, worldSize: 1 }),
    signal: new AbortController().signal,
    side: SIDE,
    classes: RECTANGLES,
    tower,
  })
  await t.rejects(wrong.make(0), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /^picture-\d\.png: segmentations\[0\]: size must be the picture's height and width/,
  })
})
