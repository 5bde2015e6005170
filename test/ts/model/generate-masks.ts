import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  decodeMasks,
  encodeMasks,
  loadModel,
  samMasks,
  segment,
  Tensor,
} from '../../../ts/index.js'

const FIXTURE = join(packageRoot, 'test/fixtures/sam-decoder')
const photo = join(FIXTURE, 'small.png')
const model = await loadModel(join(FIXTURE, 'sam.safetensors'), { config: { decoderHeads: 4 } })
t.teardown(() => model.dispose())
/** Few points and no filter: something is found, and quickly. */
const QUICK = { pointsPerSide: 3, predIouThreshold: 0, stabilityThreshold: 0 } as const

t.test('records agree with their masks', async t => {
  const masks = await model.generateMasks(photo, QUICK)
  t.ok(masks.length > 3)
  const sizes = { width: 120, height: 120 }
  const measured = await encodeMasks(
    masks.map(({ rle }) => rle),
    sizes,
  )
  for (const [i, { rle, area, bbox, predictedIou, stability, point, cropBox }] of masks.entries()) {
    const { area: pixels, box } = measured[i] as (typeof measured)[number]
    t.same(rle.size, [120, 120])
    t.equal(area, pixels)
    t.same(bbox, [box[0], box[1], Math.max(0, box[2] - 1), Math.max(0, box[3] - 1)])
    t.ok(Number.isFinite(predictedIou))
    t.ok(Number.isNaN(stability) || (stability >= 0 && stability <= 1))
    t.ok(point.every(at => [20, 60, 100].includes(at)))
    t.same(cropBox, [0, 0, 120, 120])
  }
  const sure = masks.map(({ predictedIou }) => predictedIou)
  t.same(
    sure,
    [...sure].sort((a, b) => b - a),
    'surest first',
  )
})

t.test('one mask for a point, own points, and the batch', async t => {
  const three = await model.generateMasks(photo, { ...QUICK, boxNmsThreshold: 1 })
  const one = await model.generateMasks(photo, { ...QUICK, boxNmsThreshold: 1, multimask: false })
  t.equal(three.length, 27)
  t.equal(one.length, 9)
  const cells = [1 / 6, 0.5, 5 / 6]
  const points = [cells.flatMap(y => cells.map(x => [x, y] as const))]
  const { pointsPerSide: _, ...open } = QUICK
  const own = await model.generateMasks(photo, { ...open, boxNmsThreshold: 1, points })
  t.same(
    own.map(({ area }) => area),
    three.map(({ area }) => area),
  )
  const single = await model.generateMasks(photo, {
    ...QUICK,
    boxNmsThreshold: 1,
    pointsPerBatch: 2,
  })
  t.same(
    single.map(({ area }) => area),
    three.map(({ area }) => area),
  )
})

t.test('grey pictures and those with alpha are as good as RGB', async t => {
  const { data, info } = await sharp(photo).greyscale().raw().toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const grey = await model.generateMasks({ data, width, height }, QUICK)
  const rgb = Uint8Array.from(
    { length: 3 * data.length },
    (_, i) => data[Math.floor(i / 3)] as number,
  )
  const same = await model.generateMasks({ data: rgb, width, height }, QUICK)
  t.ok(grey.length > 0)
  t.same(grey, same)
})

t.test('progress tells points, and a call can be stopped', async t => {
  const told: number[] = []
  await model.generateMasks(photo, {
    ...QUICK,
    pointsPerBatch: 3,
    onProgress: ({ done, total }) => {
      t.equal(total, 9)
      told.push(done)
    },
  })
  t.equal(told.at(-1), 9)
  const stop = new AbortController()
  await t.rejects(
    model.generateMasks(photo, {
      ...QUICK,
      pointsPerSide: 32,
      pointsPerBatch: 1,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    }),
    { code: 'ERR_DECLIP_ABORTED' },
  )
})

t.test('what cannot be done is refused with a way out', async t => {
  await t.rejects(model.generateMasks(Tensor.from(new Float32Array(12), [1, 3, 2, 2])), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /image must be a picture/,
  })
  await t.rejects(model.generateMasks(photo, { pointsPerSide: 0 }), {
    code: 'ERR_DECLIP_INVALID_ARG',
  })
  using clip = await loadModel('words-tiny')
  await t.rejects(clip.generateMasks(photo), { code: 'ERR_DECLIP_WEIGHTS', message: /SAM/ })
})

t.test('a provider of masks gives run lengths by area', async t => {
  const provider = samMasks(model, QUICK)
  t.equal(provider.kind, 'sam')
  const { data, info } = await sharp(photo)
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const pixels = async () => ({ data: new Uint8Array(data), width, height })
  const found = (await provider.masksOf({ width, height, pixels }, {})) as {
    masks: Parameters<typeof decodeMasks>[0]
    order: string
  }
  t.equal(found.order, 'area')
  const alone = await model.generateMasks(photo, QUICK)
  t.same(
    found.masks,
    alone.map(({ rle }) => rle),
  )
  t.throws(() => samMasks(3 as unknown as string), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.throws(() => samMasks(model, { pointsPerSide: 0 }), { code: 'ERR_DECLIP_INVALID_ARG' })
})

t.test('segment() votes within the masks that SAM makes', async t => {
  using clip = await loadModel('words-tiny')
  const options = { model: clip, templates: 'none' } as const
  const masks = samMasks(model, { ...QUICK, multimask: false })
  using voted = await segment(photo, ['pizza', 'banana', 'coffee'], {
    ...options,
    masks,
    refine: 'vote',
  })
  const found = await model.generateMasks(photo, { ...QUICK, multimask: false })
  // The largest mask is painted last: all of it is one region.
  const largest = found.reduce((a, b) => (b.area >= a.area ? b : a))
  using decoded = await decodeMasks([largest.rle], voted)
  const inside = await decoded.data()
  const labels = await voted.labels.data()
  const seen = new Set([...labels].filter((_, i) => inside[i] === 1))
  t.equal(seen.size, 1)
})

/** Bytes of resident memory: 'VmRSS' now, 'VmHWM' at most since clear_refs. */
const resident = (what: string) =>
  1024 *
  Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
const skip = process.platform !== 'linux' && 'resident memory is read from /proc'

t.test('no mask of a photograph of 12 megapixels is there in full size', { skip }, async t => {
  const [width, height] = [4000, 3000]
  const data = new Uint8Array(3 * width * height)
  for (let i = 0; i < data.length; i++) data[i] = (i >> 9) & 255
  const open = { predIouThreshold: 0, stabilityThreshold: 0, boxNmsThreshold: 1 }
  await model.generateMasks(photo, { ...open, pointsPerSide: 2 })
  writeFileSync('/proc/self/clear_refs', '5')
  const before = resident('VmRSS')
  const masks = await model.generateMasks({ data, width, height }, { ...open, pointsPerSide: 6 })
  const grown = resident('VmHWM') - before
  t.equal(masks.length, 108)
  // One batch of logits in full size would be 108 x 48 MB.
  t.ok(grown < 400e6, `${Math.round(grown / 1e6)} MB more`)
})
