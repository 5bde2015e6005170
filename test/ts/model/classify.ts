import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  type Boxes,
  type ClassifyOptions,
  loadModel,
  type MaskInput,
  Model,
  type RankedClass,
  type RawImage,
  Tensor,
  Vocabulary,
} from '../../../ts/index.js'
import { fixture, floats, picture, random } from '../../support/calls.js'
import { npy, npz } from '../../support/npz.js'

const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())
const WORDS = ['pizza, cheese', 'banana', 'coffee', 'wall', 'dog', 'guitar']
const SIDE = model.info.imageSize
const photo = picture(150, 110)
const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }

const boxes = [
  [10, 20, 90, 100],
  [0.5, 0.25, 40.75, 33.3],
  [-20, 50, 60, 140],
]
const rectangle = (x1: number, y1: number, x2: number, y2: number, { width, height } = photo) =>
  new Uint8Array(width * height).map((_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    return x >= x1 && x < x2 && y >= y1 && y < y2 ? 1 : 0
  })
const planes = [rectangle(5, 10, 80, 60), rectangle(60, 30, 150, 110)]
const masks = Tensor.from(Uint8Array.from(planes.flatMap(plane => [...plane])), [2, 110, 150])

/** Rows [D] of a tensor [K, D]. */
async function rows(tensor: Tensor): Promise<number[][]> {
  const [, width = 1] = tensor.shape
  const data = await floats(tensor)
  return Array.from({ length: data.length / width }, (_, k) => [
    ...data.subarray(k * width, (k + 1) * width),
  ])
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, x, d) => sum + x * (b[d] as number), 0)
const unit = (a: readonly number[]) => a.map(x => x / Math.sqrt(dot(a, a)))

/** What classify() should say of features, in double precision. */
async function expected(features: number[][], topK = 5): Promise<RankedClass[][]> {
  const names = WORDS.map(line => line.split(', '))
  const words = await Promise.all(
    names.map(async group => rows((await model.vocabulary([group])).features)),
  )
  const scale = model.info.logitScale as number
  return features.map(feature => {
    const scores = words.map(group =>
      Math.max(...group.map(word => dot(unit(feature), unit(word)))),
    )
    const sum = scores.reduce((total, score) => total + Math.exp(scale * score), 0)
    return scores
      .map((score, index) => ({
        class: names[index]?.[0] as string,
        index,
        score,
        probability: Math.exp(scale * score) / sum,
      }))
      .sort((a, b) => b.score - a.score)
      .slice(0, topK)
  })
}

function compare(t: Test, got: readonly RankedClass[], want: readonly RankedClass[], name: string) {
  t.strictSame(
    got.map(({ class: label, index }) => [label, index]),
    want.map(({ class: label, index }) => [label, index]),
    name,
  )
  got.forEach(({ score, probability }, i) => {
    const { score: s, probability: p } = want[i] as RankedClass
    t.ok(Math.abs(score - s) < 2e-6, `${name}: cosine ${score}, ${s}`)
    t.ok(Math.abs(probability - p) < 1e-4, `${name}: probability ${probability}, ${p}`)
  })
}

/** The picture's part as a model's input, black around it: no side of it is resized. */
function cropInput({ data, width }: RawImage, box: readonly number[]): Tensor {
  const [x1, y1, x2, y2] = box as [number, number, number, number]
  const { mean, std } = model.info
  const left = Math.floor((SIDE - (x2 - x1)) / 2)
  const top = Math.floor((SIDE - (y2 - y1)) / 2)
  const out = new Float32Array(3 * SIDE * SIDE)
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [sx, sy] = [x - left + x1, y - top + y1]
        const inside = sx >= x1 && sx < x2 && sy >= y1 && sy < y2
        const value = inside ? (data[3 * (sy * width + sx) + c] as number) / 255 : 0
        out[(c * SIDE + y) * SIDE + x] = (value - (mean[c] as number)) / (std[c] as number)
      }
    }
  }
  return Tensor.from(out, [1, 3, SIDE, SIDE])
}

t.test('a whole picture', async t => {
  const found = await model.classify(photo, WORDS)
  t.strictSame(found.classes, ['pizza', 'banana', 'coffee', 'wall', 'dog', 'guitar'])
  const [want] = await expected(await rows(await model.encodeImage(photo)))
  t.equal(found.regions.length, 1)
  t.equal(found.regions[0]?.box, undefined)
  compare(t, found.regions[0]?.ranked ?? [], want ?? [], 'image embedding')
  t.same(await model.classify(photo, WORDS, { pool: 'mean', mode: 'qq' }), found)
  const one = await model.classify(photo, WORDS, { topK: 1 })
  t.equal(one.regions[0]?.ranked.length, 1)
  t.equal((await model.classify(photo, WORDS, { topK: 99 })).regions[0]?.ranked.length, 6)
  const input = cropInput(picture(SIDE, SIDE), [0, 0, SIDE, SIDE])
  const [own] = await expected(await rows(await model.encodeImage(input)))
  const { regions } = await model.classify(input, WORDS)
  compare(t, regions[0]?.ranked ?? [], own ?? [], 'a normalised tensor')
})

t.test(
  'dense: boxes and masks of one pass are those of encodeBoxes() and encodeMasks()',
  async t => {
    let passes = 0
    const { native } = model
    const counting = new Proxy(native, {
      get(target, name) {
        if (name === 'encodeRegionMap') passes++
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    Object.assign(model, { native: counting })
    t.teardown(() => Object.assign(model, { native }))
    for (const options of [{}, { mode: 'qq', size: 160, normalizeBeforePooling: false }] as const) {
      passes = 0
      const { regions } = await model.classify(photo, WORDS, { boxes, masks, topK: 3, ...options })
      t.equal(passes, 1, 'one pass')
      const features = [
        ...(await rows(await model.encodeBoxes(photo, boxes, options))),
        ...(await rows(await model.encodeMasks(photo, masks, options))),
      ]
      const want = await expected(features, 3)
      t.equal(regions.length, 5)
      regions.forEach(({ ranked }, k) => {
        compare(t, ranked, want[k] ?? [], `region ${k}`)
      })
      t.strictSame(
        regions.map(({ box }) => box),
        [...boxes, [5, 10, 80, 60], [60, 30, 150, 110]],
        'boxes as given, and around masks',
      )
    }
  },
)

t.test('crop: parts of the picture as pictures of their own, black around them', async t => {
  const large = picture(220, 180)
  const wide = [30, 40, 30 + SIDE, 40 + SIDE / 2]
  const side = SIDE / 1.5
  const small = [60, 50, 60 + side, 50 + side]
  const enlarged = [60 - side / 4, 50 - side / 4, 60 + side * 1.25, 50 + side * 1.25]
  const edge = [-40, 100, SIDE, 400]
  for (const [box, cropped, cropScale] of [
    [wide, wide, 1],
    [small, enlarged, undefined],
    [edge, [0, 100, SIDE, 180], 1],
  ] as const) {
    const options = { boxes: [box], pool: 'crop', cropScale } as const
    const { regions } = await model.classify(large, WORDS, options)
    const [want] = await expected(await rows(await model.encodeImage(cropInput(large, cropped))))
    compare(t, regions[0]?.ranked ?? [], want ?? [], `box ${box}`)
    t.strictSame(regions[0]?.box, box)
  }
  // Of a mask its tight box, not enlarged.
  const plane = rectangle(30, 40, 30 + SIDE, 40 + SIDE / 2, large)
  const { regions } = await model.classify(large, WORDS, {
    masks: Tensor.from(plane, [1, 180, 220]),
    pool: 'crop',
  })
  const [want] = await expected(await rows(await model.encodeImage(cropInput(large, wide))))
  compare(t, regions[0]?.ranked ?? [], want ?? [], 'mask')
})

t.test('mean: of both unit vectors', async t => {
  const large = picture(220, 180)
  const box = [30, 40, 30 + SIDE, 40 + SIDE]
  const [dense = []] = await rows(await model.encodeBoxes(large, [box]))
  const [crop = []] = await rows(await model.encodeImage(cropInput(large, box)))
  const [want] = await expected([dense.map((x, d) => x + (crop[d] as number))])
  const { regions } = await model.classify(large, WORDS, {
    boxes: [box],
    pool: 'mean',
    cropScale: 1,
  })
  compare(t, regions[0]?.ranked ?? [], want ?? [], 'mean')
})

t.test('masks in every form', async t => {
  const of = async (given: MaskInput) =>
    (await model.classify(photo, WORDS, { masks: given })).regions
  const wanted = await of(masks)
  const runs = (plane: Uint8Array) => {
    const counts: number[] = []
    let [last, length] = [0, 0]
    for (let x = 0; x < 150; x++) {
      for (let y = 0; y < 110; y++) {
        const value = plane[y * 150 + x] as number
        if (value !== last) {
          counts.push(length)
          length = 0
          last = value
        }
        length++
      }
    }
    return { size: [110, 150] as const, counts: [...counts, length] }
  }
  t.strictSame(await of(planes.map(runs)), wanted, 'run lengths')
  t.strictSame(
    await of([[[5, 10, 80, 10, 80, 60, 5, 60]], [[60, 30, 150, 30, 150, 110, 60, 110]]]),
    wanted,
    'polygons',
  )
  const label = new Uint8Array(150 * 110).fill(255)
  planes[1]?.forEach((inside, i) => {
    if (inside) label[i] = 7
  })
  const [region] = await of({ data: label, width: 150, height: 110 })
  t.match(region, { value: 7, box: [60, 30, 150, 110] }, 'a label picture, whose value is told')
  compare(t, region?.ranked ?? [], wanted[1]?.ranked ?? [], 'a label picture')
})

t.test('any number of regions', async t => {
  const next = random(3)
  const many = Array.from({ length: 4100 }, () => {
    const [x, y] = [next() * 100, next() * 80]
    return [x, y, x + 5 + next() * 40, y + 5 + next() * 25]
  })
  const steps: number[] = []
  const { regions } = await model.classify(photo, WORDS, {
    boxes: many,
    topK: 1,
    onProgress: ({ step, done, total }) => {
      if (step !== 'regions') return
      t.equal(total, 4100)
      steps.push(done)
    },
  })
  t.strictSame(steps, [4096, 4100], 'some at a time')
  const ends = [0, 4095, 4096, 4099]
  const want = await expected(
    await rows(
      await model.encodeBoxes(
        photo,
        ends.map(k => many[k] as number[]),
      ),
    ),
    1,
  )
  ends.forEach((k, i) => {
    compare(t, regions[k]?.ranked ?? [], want[i] ?? [], `box ${k}`)
  })

  // 64 MB hold 67 masks of a megapixel.
  const large = picture(1000, 1000)
  const run = (k: number) => ({
    size: [1000, 1000] as const,
    counts: [k * 12_000, 9_000, 991_000 - k * 12_000],
  })
  const list = Array.from({ length: 70 }, (_, k) => run(k))
  const found = await model.classify(large, WORDS, { masks: list, topK: 2 })
  t.equal(found.regions.length, 70)
  t.strictSame(found.regions[69]?.box, [828, 0, 837, 1000])
  const last = await model.classify(large, WORDS, { masks: list.slice(69), topK: 2 })
  compare(t, found.regions[69]?.ranked ?? [], last.regions[0]?.ranked ?? [], 'mask 69')
  await t.rejects(
    model.classify(large, WORDS, {
      masks: [...list.slice(0, 69), { size: [1000, 1000], counts: [1e6] }],
    }),
    {
      ...invalid,
      message: /^masks\[69\] must have a pixel/,
    },
  )
  await t.rejects(
    model.classify(large, WORDS, {
      masks: [...list.slice(0, 69), { size: [1000, 1000], counts: [5] }],
    }),
    {
      ...invalid,
      message: /^masks\[69\]/,
    },
  )

  // 100 stripes of a label picture, and what is of none.
  const data = new Uint8Array(1e6).map((_, i) =>
    (i % 1000) % 10 === 9 ? 255 : Math.floor((i % 1000) / 10) * 2,
  )
  const stripes = { data: data.slice(), width: 1000, height: 1000 }
  const call = model.classify(large, WORDS, { masks: stripes, topK: 2 })
  stripes.data.fill(3)
  const striped = await call
  t.strictSame(
    striped.regions.map(({ value, box }) => [value, box]),
    Array.from({ length: 100 }, (_, k) => [2 * k, [10 * k, 0, 10 * k + 9, 1000]]),
  )
  const [stripe] = (
    await model.classify(large, WORDS, {
      masks: Tensor.from(
        data.map(value => (value === 196 ? 1 : 0)),
        [1, 1000, 1000],
      ),
      topK: 2,
    })
  ).regions
  compare(t, striped.regions[98]?.ranked ?? [], stripe?.ranked ?? [], 'stripe 98')

  // A job has 64 crops.
  const crops = many.slice(0, 66)
  const cut = await model.classify(photo, WORDS, { boxes: crops, pool: 'crop', topK: 1 })
  const [alone] = (
    await model.classify(photo, WORDS, { boxes: crops.slice(65), pool: 'crop', topK: 1 })
  ).regions
  compare(t, cut.regions[65]?.ranked ?? [], alone?.ranked ?? [], 'the last crop')
})

t.test('no regions', async t => {
  for (const options of [
    { boxes: [] },
    { masks: [] },
    { boxes: [], masks: [], pool: 'mean' },
    { boxes: Tensor.from(new Float32Array(0), [0, 4]), pool: 'crop' },
  ] as ClassifyOptions[]) {
    t.same((await model.classify(photo, WORDS, options)).regions, [])
  }
})

t.test('boxes as a tensor, a vocabulary, and synonyms', async t => {
  const vocabulary = await model.vocabulary(WORDS)
  const tensor = Tensor.from(Float32Array.from(boxes.flat()), [3, 4])
  const found = await model.classify(photo, vocabulary, { boxes: tensor })
  const want = await expected(await rows(await model.encodeBoxes(photo, tensor)))
  found.regions.forEach(({ ranked }, k) => {
    compare(t, ranked, want[k] ?? [], `box ${k}`)
  })
  t.ok((await floats(vocabulary.features)).length > 0, 'is not disposed of')
  vocabulary.dispose()
  await t.rejects(model.classify(photo, vocabulary), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('a normalised tensor has no pixels to crop', async t => {
  const input = cropInput(photo, [0, 0, SIDE, SIDE])
  const given = { boxes: [[8, 8, 60, 50]] }
  const [want] = await expected(await rows(await model.encodeBoxes(input, given.boxes)))
  const { regions } = await model.classify(input, WORDS, given)
  compare(t, regions[0]?.ranked ?? [], want ?? [], 'dense')
  await t.rejects(model.classify(input, WORDS, { ...given, pool: 'crop' }), {
    ...invalid,
    message: /^image must be a picture where regions are cropped/,
  })
  const two = Tensor.from(new Float32Array(2 * 3 * SIDE * SIDE), [2, 3, SIDE, SIDE])
  for (const options of [{}, given]) {
    await t.rejects(model.classify(two, WORDS, options), {
      ...invalid,
      message: /float tensor \[1, 3, H, W\]/,
    })
  }
})

t.test('what is refused, by name', async t => {
  const reject = (options: unknown, message: RegExp) =>
    t.rejects(model.classify(photo, WORDS, options as ClassifyOptions), { ...invalid, message })
  await reject(null, /^options must be an object/)
  await reject({ pool: 'max' }, /^pool must be one of dense, crop, mean/)
  await reject({ topK: 0 }, /^topK/)
  await reject({ topK: 1.5 }, /^topK/)
  await reject({ cropScale: 0.5 }, /^cropScale/)
  await reject({ cropScale: Number.NaN }, /^cropScale/)
  await reject({ size: 1 }, /^size/)
  await reject({ boxes, mode: 'x' }, /^mode/)
  await reject({ signal: 5 }, /^signal/)
  const fine = [0, 0, 9, 9]
  for (const [box, message] of [
    [[9, 0, 5, 5], /^boxes\[1\] must be .* x2 >= x1/],
    [[0, 0, Number.NaN, 5], /^boxes\[1\] must be/],
    [[0, 0, 5], /^boxes\[1\] must be/],
    [null, /^boxes\[1\] must be/],
    [[5, 5, 5, 9], /^boxes\[1\] must have an area/],
    [[150, 5, 170, 9], /^boxes\[1\] must overlap the picture \(150 x 110 pixels\)/],
    [[-9, -9, 0, 0], /^boxes\[1\] must overlap/],
  ] as const) {
    for (const pool of ['dense', 'crop'] as const) {
      await reject({ boxes: [fine, box], pool }, message)
    }
  }
  const rowsOf = (values: number[]) => Tensor.from(Float32Array.from(values), [1, 4])
  await reject({ boxes: rowsOf([0, 0, Number.NaN, 4]) }, /^boxes\[0\]/)
  await reject({ boxes: rowsOf([4, 0, 2, 4]) }, /^boxes\[0\]/)
  await reject({ boxes: 5 as unknown as Boxes }, /^boxes must be/)
  const plane = (shape: number[], fill = 1) =>
    Tensor.from(new Uint8Array(shape.reduce((a, b) => a * b, 1)).fill(fill), shape)
  await reject({ masks: plane([1, 9, 9]) }, /^masks must be/)
  await reject({ masks: plane([110, 150]) }, /^masks must be/)
  await reject({ masks: plane([1, 110, 150], 0) }, /^masks\[0\] must have a pixel/)
  await reject({ masks: 5 }, /^masks must be/)
  await reject(
    { masks: { data: new Uint8Array(9), width: 3, height: 3 } },
    /^masks must be a label picture of/,
  )
  await t.rejects(model.classify(photo, []), invalid)
  await t.rejects(model.classify(photo, [5] as never), invalid)
  await t.rejects(model.classify(5 as never, WORDS), { ...invalid, message: /^image must be/ })
  const none = fileURLToPath(new URL('none.png', import.meta.url))
  await t.rejects(model.classify(none, WORDS, { boxes }), { code: 'ERR_DECLIP_IO' })
  const call = Model.prototype.classify.call({} as never, photo, WORDS)
  await t.rejects(call, Error, 'a wrong receiver')
})

t.test('a foundation model knows no words', async t => {
  using dino = await loadModel(fixture('vfm', 'dino.safetensors'), { config: { headWidth: 32 } })
  await t.rejects(dino.classify(photo, WORDS, { boxes }), { code: 'ERR_DECLIP_WEIGHTS' })
})

t.test('abort, dispose, and what callers change meanwhile', async t => {
  const aborted = { name: 'AbortError', code: 'ERR_DECLIP_ABORTED' }
  await t.rejects(model.classify(photo, WORDS, { signal: AbortSignal.abort() }), aborted)
  for (const pool of ['dense', 'crop', 'mean'] as const) {
    for (const ms of [0, 15]) {
      const stop = new AbortController()
      const boxesOfMany = Array.from({ length: 150 }, (_, k) => [k % 90, 3, (k % 90) + 50, 90])
      const call = model.classify(picture(400, 300), WORDS, {
        boxes: boxesOfMany,
        masks: Array.from({ length: 100 }, () => [[1, 1, 90, 1, 90, 90]]),
        pool,
        signal: stop.signal,
      })
      setTimeout(() => stop.abort(), ms)
      const ended = await call.catch((error: Error) => error)
      if (ended instanceof Error) t.match(ended, aborted)
    }
  }
  const first = await model.classify(photo, WORDS, { boxes, masks, pool: 'mean' })
  const mine = { ...photo, data: photo.data.slice() }
  const own = boxes.map(box => [...box])
  const call = model.classify(mine, WORDS, { boxes: own, masks, pool: 'mean' })
  mine.data.fill(0)
  own[0]?.fill(0)
  own.length = 1
  t.strictSame(await call, first, 'pixels and boxes were taken over')

  const other = await loadModel('words-tiny')
  const running = other.classify(photo, WORDS, { boxes })
  other.dispose()
  await running.catch(error => t.equal(error.code, 'ERR_DECLIP_DISPOSED'))
  await t.rejects(other.classify(photo, WORDS, { boxes }), { code: 'ERR_DECLIP_DISPOSED' })
  const thrown = new Error('mine')
  const onProgress = () => {
    throw thrown
  }
  await t.rejects(model.classify(photo, WORDS, { boxes, onProgress }), thrown)
})

t.test('masks of any provider', async t => {
  const same = async (given: ClassifyOptions['masks'], values: readonly number[] = []) => {
    const want = (await model.classify(photo, WORDS, { masks })).regions
    const got = (await model.classify(photo, WORDS, { masks: given })).regions
    t.equal(got.length, want.length)
    got.forEach(({ ranked, box, value }, k) => {
      compare(t, ranked, want[k]?.ranked ?? [], `mask ${k}`)
      t.strictSame(box, want[k]?.box)
      t.equal(value, values[k])
    })
  }
  await same(async ({ width, height, pixels }) => {
    const { data } = await pixels()
    t.strictSame([width, height, data], [photo.width, photo.height, photo.data])
    return masks
  })
  await same({ masks, order: 'list' })
  const [first, second] = planes as [Uint8Array, Uint8Array]
  const apart = first.map((inside, i) => (second[i] ? 0 : inside))
  const both = Uint8Array.from([...apart, ...second])
  const map = Int32Array.from(apart, (inside, i) => (second[i] ? 70_000 : -3 * inside))
  using regions = Tensor.from(map, [photo.height, photo.width])
  using separate = Tensor.from(both, [2, photo.height, photo.width])
  const want = (await model.classify(photo, WORDS, { masks: separate })).regions
  for (const given of [
    regions,
    { npz: npz({ a: npy([...map], [photo.height, photo.width], { descr: '<i4' }) }) },
  ]) {
    const got = (await model.classify(photo, WORDS, { masks: given })).regions
    t.strictSame(
      got,
      want.map((region, k) => ({ ...region, value: [-3, 70_000][k] })),
      'every value of a map but 0',
    )
  }
  await t.rejects(model.classify(photo, WORDS, { masks: () => Promise.reject(new Error('oh')) }), {
    ...invalid,
    message: /failed: oh/,
  })
})

t.test('published features in place of words', async t => {
  const features = (await model.vocabulary(['pizza', 'dog'])).features
  const vocabulary = await Vocabulary.fromFeatures(['pizza', 'dog'], features)
  const got = (await model.classify(photo, vocabulary, { boxes })).regions
  const want = (await model.classify(photo, ['pizza', 'dog'], { boxes })).regions
  got.forEach(({ ranked }, k) => {
    compare(t, ranked, want[k]?.ranked ?? [], `box ${k}`)
  })
  t.equal(got.length, boxes.length)
})
