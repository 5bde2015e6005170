import t from 'tap'
import { loadModel, segment, Tensor } from '../../../ts/index.js'
import { difference, floats, labelsOf, normalised, picture } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const classes = ['texture', 'sky', 'dog', 'house']
const model = await loadModel()
const patch = model.info.patchSize
t.teardown(() => model.dispose())

/** Cells [count, channels] of a map. */
type Cells = Float64Array[]

/** Linear weights of `to` places in `from`, half-pixel centres. */
function places(from: number, to: number): [number, number, number][] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5)
    const low = Math.min(from - 1, Math.floor(at))
    return [low, Math.min(from - 1, low + 1), at - low]
  })
}

/** Planes [count][h * w] in another size, bilinear. */
function resize(planes: Float64Array[], h: number, w: number, toH: number, toW: number) {
  const [rows, columns] = [places(h, toH), places(w, toW)]
  return planes.map(plane => {
    const out = new Float64Array(toH * toW)
    rows.forEach(([y0, y1, fy], y) => {
      columns.forEach(([x0, x1, fx], x) => {
        const line = (row: number) =>
          (plane[row * w + x0] as number) * (1 - fx) + (plane[row * w + x1] as number) * fx
        out[y * toW + x] = line(y0) * (1 - fy) + line(y1) * fy
      })
    })
    return out
  })
}

/** Each cell attends to all that are like it, number by number. */
function aggregate(cells: Cells, gain: number): Cells {
  const unit = cells.map(cell => {
    const length = Math.hypot(...cell)
    return cell.map(v => v / length)
  })
  const products = unit.map(a =>
    unit.map(b => a.reduce((sum, v, c) => sum + v * (b[c] as number), 0)),
  )
  const all = products.flat()
  const mean = all.reduce((sum, v) => sum + v, 0) / all.length
  return products.map(row => {
    const weights = row.map(s => (s < mean ? 0 : Math.exp(gain * (s - mean))))
    const total = weights.reduce((sum, v) => sum + v, 0)
    return (cells[0] as Float64Array).map((_, c) =>
      weights.reduce(
        (sum, v, j) => sum + (v / total) * ((cells[j] as Float64Array)[c] as number),
        0,
      ),
    )
  })
}

t.test('a view is what its windows, joined and aggregated by plain loops, say', async t => {
  const [window, stride, height, width] = [6 * patch, 3 * patch, 11 * patch + 3, 13 * patch + 5]
  const gain = 4
  const image = normalised(1, height, width, 7)
  using tensor = Tensor.from(image, [1, 3, height, width])
  using view = await model.encode(tensor, {
    mode: 'maskclip',
    window,
    stride,
    aggregate: { gain },
  })
  // 13 patches and 5 pixels, rounded up to steps; the other side follows, then is rounded up.
  const longer = Math.ceil(width / stride) * stride
  const [h, w] = [Math.ceil(Math.floor((height * longer) / width) / stride) * stride, longer]
  const planes = [0, 1, 2].map(c =>
    Float64Array.from(image.subarray(c * height * width, (c + 1) * height * width)),
  )
  const resized = resize(planes, height, width, h, w)
  const [rows, columns] = [h / patch, w / patch]
  const cells: Cells = []
  const counts = new Float64Array(rows * columns)
  let windows = 0
  for (let top = 0; top + window <= h; top += stride) {
    for (let left = 0; left + window <= w; left += stride) {
      windows++
      const cut = Float32Array.from({ length: 3 * window * window }, (_, i) => {
        const [c, y, x] = [Math.floor(i / window ** 2), Math.floor(i / window) % window, i % window]
        return (resized[c] as Float64Array)[(top + y) * w + left + x] as number
      })
      using input = Tensor.from(cut, [1, 3, window, window])
      using map = await model.encodeDense(input, { mode: 'maskclip', normalize: false })
      const values = await floats(map)
      const side = window / patch
      for (let i = 0; i < side * side; i++) {
        const cell = (top / patch + Math.floor(i / side)) * columns + left / patch + (i % side)
        counts[cell] = (counts[cell] as number) + 1
        const channels = values.length / (side * side)
        cells[cell] ??= new Float64Array(channels)
        for (let c = 0; c < channels; c++) {
          const target = cells[cell] as Float64Array
          target[c] = (target[c] as number) + (values[c * side * side + i] as number)
        }
      }
    }
  }
  t.equal(view.windows, windows)
  t.equal(view.byteLength, 4 * (rows * columns * 128 + 3 * h * w), 'one map of the whole picture')
  const joined = cells.map((cell, i) => cell.map(v => v / (counts[i] as number)))
  const expected = aggregate(joined, gain)
  const words = await model.encodeText(['a dog', 'the sky'])
  const text = await floats(words)
  const cosines = [0, 1].map(k =>
    Float64Array.from(expected, cell => {
      const length = Math.hypot(...cell)
      return cell.reduce(
        (sum, v, c) => sum + (v / length) * (text[k * cell.length + c] as number),
        0,
      )
    }),
  )
  const wanted = resize(cosines, rows, columns, height, width)
  const got = await view.similarity(['a dog', 'the sky'])
  t.same(got.shape, [2, height, width])
  t.ok(
    difference(
      await floats(got),
      wanted.flatMap(plane => [...plane]),
    ) < 2e-5,
  )
  const [peak] = await view.peaks('a dog', { limit: 1 })
  t.ok(peak && peak.score > 0.9 * Math.max(...(wanted[0] as Float64Array)))
})

t.test('every way in gives the same labels, whatever else runs', async t => {
  const options = { aggregate: true, window: 6 * patch, stride: 3 * patch, shortSide: null }
  const images = [picture(130, 100), picture(90, 170, 2)]
  const alone = await Promise.all(
    images.map(async image => labelsOf(await segment(image, classes, { model, ...options }))),
  )
  for (const [i, image] of images.entries()) {
    using view = await model.encode(image, options)
    t.same(await labelsOf(await view.segment(classes)), alone[i])
    const plain = await labelsOf(
      await segment(image, classes, { model, ...options, aggregate: false }),
    )
    t.notSame(plain, alone[i], 'it changes something')
  }
})

t.test('one pass over the whole picture, and PAMR', async t => {
  const image = picture(130, 100)
  const whole = { model, window: 0, shortSide: null, aggregate: true } as const
  const seg = await segment(image, classes, whole)
  t.same(seg.labels.shape, [100, 130])
  seg.dispose()
  const pamr = { iterations: 2, dilations: [1, 2] }
  const smooth = await segment(image, classes, {
    model,
    aggregate: true,
    shortSide: null,
    pamr,
  })
  t.same(smooth.labels.shape, [100, 130])
  smooth.dispose()
})

t.test("a preset's windows become whole patches, the caller's are checked", async t => {
  const image = picture(100, 100)
  const seg = await segment(image, classes, { model, method: 'itaclip', aggregate: true })
  t.same(seg.labels.shape, [100, 100])
  seg.dispose()
  for (const options of [{ stride: patch + 1 }, { window: 5 * patch + 2 }]) {
    const call = segment(image, classes, { model, aggregate: true, ...options })
    await t.rejects(call, { ...invalid, message: /whole cells.*Pass window \d+ and stride \d+/ })
  }
  const wrong = [{ gain: 0 }, { gain: Number.NaN }, 'yes', 3]
  for (const aggregate of wrong as unknown as boolean[]) {
    await t.rejects(segment(image, classes, { model, aggregate }), invalid)
  }
})

t.test('words that are nowhere probable enough give no label', async t => {
  const image = picture(130, 100)
  const options = { model, logits: true, probabilities: true, logitScale: 20 }
  const plain = await segment(image, classes, options)
  const pixels = 130 * 100
  const before = await floats(plain.probabilities as Tensor)
  const most = classes.map((_, c) =>
    before.subarray(c * pixels, (c + 1) * pixels).reduce((a, b) => Math.max(a, b)),
  )
  const sorted = [...most].sort((a, b) => a - b)
  const wordThreshold = ((sorted[1] as number) + (sorted[2] as number)) / 2
  const seg = await segment(image, classes, { ...options, wordThreshold })
  const after = await floats(seg.probabilities as Tensor)
  const expected = before.map((v, i) =>
    (most[Math.floor(i / pixels)] as number) < wordThreshold ? 0 : v,
  )
  t.ok(difference(after, expected) < 1e-5)
  const best = Array.from({ length: pixels }, (_, i) => {
    const column = classes.map((_, c) => after[c * pixels + i] as number)
    return column.indexOf(Math.max(...column))
  })
  t.same(await labelsOf(seg), best)
  plain.dispose()

  const none = await labelsOf(await segment(image, classes, { ...options, wordThreshold: 1 }))
  t.same(new Set(none), new Set([0]), 'no word is left')
  const background = await labelsOf(
    await segment(image, classes, { ...options, wordThreshold: 1, background: 2 }),
  )
  t.same(new Set(background), new Set([2]), "the background's words stay")
  await t.rejects(segment(image, classes, { model, wordThreshold: 1.5 }), invalid)
})
