/** What a step is made of, against the addon's own preprocessing and by hand. */
import { join } from 'node:path'
import t from 'tap'
import type { NativeTensor } from '../../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../../ts/engine/load-addon.js'
import { loadImage } from '../../../../ts/image/source.js'
import { defaultTokenizer } from '../../../../ts/text/tokenizer.js'
import { resolveConfig } from '../../../../ts/train/config.js'
import type { TrainConfig } from '../../../../ts/train/config-fields.js'
import { Batches } from '../../../../ts/train/data/batches.js'
import { Sampler } from '../../../../ts/train/data/sampler.js'
import { openShards } from '../../../../ts/train/data/sources/shards.js'
import type { Region, Source } from '../../../../ts/train/data/sources/source.js'
import { disposeBatch } from '../../../../ts/train/data/step-batch.js'
import { contrastive, writeShards } from '../../../support/training.js'

const addon = loadAddon()
const folder = t.testdir()
const pattern = await writeShards(folder, 2, 5)
const source = await openShards(pattern, { caption: true, boxes: 'labels' })
const stats = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
}

function batches(size: number, changes: Partial<TrainConfig> = {}, from: Source = source) {
  const config = resolveConfig({
    ...contrastive(pattern, join(folder, 'x')),
    batch: 4,
    augment: undefined,
    ...changes,
  })
  const sampler = new Sampler(source.length, config.batch * config.accumulate, 0, {
    rank: 0,
    worldSize: 1,
  })
  const inputs = {
    size,
    patchSize: 8,
    cropSize: 32,
    ...stats,
    tokenizer: defaultTokenizer(),
    contextLength: 16,
  }
  const { signal } = new AbortController()
  const made = new Batches({
    config,
    addon,
    inputs,
    source: from,
    sampler,
    signal,
    classes: ['red square', 'blue square', 'green square'],
  })
  return { made, visits: (step: number) => sampler.step(step) }
}

const floats = async (tensor: NativeTensor | undefined) =>
  new Float32Array(await (tensor as NativeTensor).data())
const ints = async (tensor: NativeTensor | undefined) =>
  new Int32Array(await (tensor as NativeTensor).data())

for (const size of [32, 48]) {
  t.test(`pictures of ${size} pixels are the addon's own, to the last bit`, async t => {
    const { made, visits } = batches(size)
    const batch = await made.make(0)
    const images = batch.parts[0]?.images
    t.same(images?.shape, [4, 3, size, size])
    const got = await floats(images)
    for (const [i, { index }] of visits(0).entries()) {
      const { data: pixels, width, height } = await loadImage((await source.read(index)).picture)
      const own = await addon.preprocess({ pixels, width, height, fit: 'pad', size, ...stats })
      const plane = 3 * size * size
      t.same(got.subarray(i * plane, (i + 1) * plane), await floats(own))
      own.dispose()
    }
    disposeBatch(batch)
  })
}

t.test('captions, boxes and the captions of their classes', async t => {
  const { made, visits } = batches(48, { templates: ['one {}.', 'two {}.'] })
  const batch = await made.make(0)
  const [part] = batch.parts
  const items = await Promise.all(visits(0).map(({ index }) => source.read(index)))
  const tokenizer = defaultTokenizer()
  const ids = (texts: string[]) => tokenizer.tokenize(texts, { contextLength: 16 }).data
  t.same(await ints(part?.tokens), ids(items.map(({ caption }) => caption as string)))

  t.same(part?.boxes?.shape, [4, 20, 5])
  const boxes = await floats(part?.boxes)
  const labels = await ints(part?.labels)
  const names = [...new Set(items.map(({ regions }) => regions[0]?.label as string))]
  for (const [i, { regions }] of items.entries()) {
    const [x, y, w, h] = (regions[0] as Region).box
    // Shares of the square: the picture is one, of 32 pixels.
    const expected = [x, y, x + w, y + h].map(at => at / 32)
    t.same([...boxes.subarray(i * 100, i * 100 + 5)], [...expected, 1])
    t.ok(boxes.subarray(i * 100 + 5, (i + 1) * 100).every(value => value === 0))
    t.equal(labels[i * 20], names.indexOf(regions[0]?.label as string))
  }
  const regionTokens = await ints(part?.regionTokens)
  t.same(part?.regionTokens?.shape, [names.length, 16])
  for (const [i, name] of names.entries()) {
    const row = regionTokens.subarray(16 * i, 16 * (i + 1))
    const options = [ids([`one ${name}.`]), ids([`two ${name}.`])]
    t.ok(
      options.some(option => Buffer.from(option.buffer).equals(Buffer.from(row.slice().buffer))),
      name,
    )
  }
  disposeBatch(batch)
})

t.test('a step is the same whenever it is made', async t => {
  const augment = contrastive(pattern, 'x').augment
  const one = batches(32, { augment, accumulate: 2 }).made
  const two = batches(32, { augment, accumulate: 2 }).made
  const other = batches(32, { augment, accumulate: 2, seed: 1 }).made
  const early = await Promise.all([0, 1, 2].map(step => one.make(step)))
  const late = await two.make(2)
  t.equal(late.parts.length, 2)
  for (const p of [0, 1]) {
    for (const key of ['images', 'boxes', 'tokens', 'regionTokens', 'labels'] as const) {
      const [a, b] = [early[2]?.parts[p]?.[key], late.parts[p]?.[key]]
      t.same(
        Buffer.from(await (a as NativeTensor).data()),
        Buffer.from(await (b as NativeTensor).data()),
        key,
      )
    }
  }
  const changed = await other.make(2)
  const bytes = async (tensor: NativeTensor | undefined) =>
    Buffer.from(await (tensor as NativeTensor).data())
  // tap would compare the numbers one by one, for half a minute
  t.notOk((await bytes(changed.parts[0]?.images)).equals(await bytes(late.parts[0]?.images)))
  for (const batch of [...early, late, changed]) disposeBatch(batch)
})

t.test('region-text labels are places in the list of classes', async t => {
  const { made, visits } = batches(32, {
    objective: 'region-text',
    newModel: undefined,
    model: 'x',
    regionWeight: 0,
    classes: ['red square', 'blue square', 'green square'],
  })
  const batch = await made.make(0)
  const labels = await ints(batch.parts[0]?.labels)
  for (const [i, { index }] of visits(0).entries()) {
    const { regions } = await source.read(index)
    t.equal(
      ['red square', 'blue square', 'green square'][labels[20 * i] as number],
      regions[0]?.label,
    )
  }
  t.equal(batch.parts[0]?.tokens, undefined)
  disposeBatch(batch)
})

t.test('a region-text batch without a box gets another picture that has one', async t => {
  const outside = [{ box: [90, 90, 9, 9], label: 'red square' }] as const
  const few: Source = {
    ...source,
    read: async i => ({ ...(await source.read(i)), ...(i > 1 && { regions: outside }) }),
  }
  const changes: Partial<TrainConfig> = {
    objective: 'region-text',
    newModel: undefined,
    model: 'x',
    regionWeight: 0,
    classes: ['red square', 'blue square', 'green square'],
    batch: 1,
  }
  const values = async ({ made }: ReturnType<typeof batches>) => {
    const out: number[][] = []
    for (const step of [0, 1, 2, 3]) {
      const batch = await made.make(step)
      const boxes = await floats(batch.parts[0]?.boxes)
      t.equal(boxes[4], 1, 'there is a box')
      out.push([...boxes.subarray(0, 5)])
      disposeBatch(batch)
    }
    return out
  }
  t.same(await values(batches(32, changes, few)), await values(batches(32, changes, few)))

  const none: Source = {
    ...source,
    read: async i => ({ ...(await source.read(i)), regions: outside }),
  }
  const { made } = batches(32, changes, none)
  await t.rejects(made.make(0), { code: 'ERR_DECLIP_IMAGE', message: /No labelled box is left/ })
  t.match(String(made.leftOut), /boxes outside their pictures/)
})
