import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { loadModel, segment, Tensor, Vocabulary } from '../../../ts/index.js'
import { floats, labelsOf, picture } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())
const names = ['pizza', 'dog', 'wall']
const width = model.info.embedDim
const made = await model.vocabulary(names)
const unit = await floats(made.features)
/** Rows of other lengths, which count for nothing. */
const rows = unit.map((x, i) => x * (1 + Math.floor(i / width)))
const photo = picture(120, 90)

function npy(values: Float32Array, shape: readonly number[]): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const head = Buffer.alloc(10)
  head.write('\x93NUMPY\x01', 'latin1')
  head.writeUInt16LE(text.length, 8)
  return Buffer.concat([head, Buffer.from(text), new Uint8Array(values.buffer)])
}

async function safetensors(path: string, entries: Record<string, [Float32Array, number[]]>) {
  const addon = loadAddon()
  const tensors = Object.fromEntries(
    Object.entries(entries).map(([name, [data, shape]]) => [
      name,
      addon.tensor(data, shape, 'float32'),
    ]),
  )
  await addon.writeSafetensors({ path, tensors, metadata: {} })
  return path
}

const row = (c: number) => rows.slice(c * width, (c + 1) * width)
const difference = (a: Float32Array, b: Float32Array) =>
  a.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - (b[i] as number))),
    a.length === b.length ? 0 : 9,
  )

t.test('features serve as words in every call', async t => {
  const vocabulary = await Vocabulary.fromFeatures(names, Tensor.from(rows, [3, width]))
  t.match(vocabulary, { classes: names, words: names, background: -1, templates: 'none' })
  t.strictSame([...vocabulary.wordClass], [0, 1, 2])
  t.ok(difference(await floats(vocabulary.features), unit) < 1e-6, 'rows have length 1')

  const options = { model, method: 'sclip', shortSide: 96, pamr: false } as const
  const want = await labelsOf(await segment(photo, made, options))
  t.same(await labelsOf(await segment(photo, vocabulary, options)), want, 'segment')
  using view = await model.encode(photo, options)
  t.same(await labelsOf(await view.segment(vocabulary)), want, 'view')
  const { regions } = await model.classify(photo, vocabulary)
  const { regions: other } = await model.classify(photo, made)
  t.strictSame(
    regions[0]?.ranked.map(({ class: name }) => name),
    other[0]?.ranked.map(({ class: name }) => name),
    'classify',
  )
  vocabulary.dispose()
})

t.test('background', async t => {
  const features = Tensor.from(rows, [3, width])
  const of = async (background?: boolean | number, list = names) =>
    (await Vocabulary.fromFeatures(list, features, { background })).background
  t.equal(await of(true), 0)
  t.equal(await of(2), 2)
  t.equal(await of(), -1)
  t.equal(await of(undefined, ['a', 'Background', 'c']), 1)
  t.equal(await of(false, ['a', 'Background', 'c']), -1)
  for (const wrong of [3, -1, 0.5, ['sky'], 'x']) {
    await t.rejects(of(wrong as never), { ...invalid, message: /^background must be/ })
  }
})

t.test('files of every kind', async t => {
  const dir = t.testdir()
  const path = join(dir, 'x.npy')
  writeFileSync(path, npy(rows, [3, width]))
  const list = join(dir, 'names.txt')
  writeFileSync(list, 'pizza, cheese\ndog\nwall\n')
  const matrix = await safetensors(join(dir, 'matrix.safetensors'), { x: [rows, [3, width]] })
  const byName = await safetensors(join(dir, 'names.safetensors'), {
    wall: [row(2), [width]],
    pizza: [row(0), [width]],
    dog: [row(1), [1, width]],
  })
  for (const [file, given] of [
    [path, names],
    [pathToFileURL(path), names],
    [path, list],
    [matrix, names],
    [byName, names],
  ] as const) {
    const vocabulary = await Vocabulary.fromFile(file, given)
    t.strictSame(vocabulary.classes, names)
    t.ok(difference(await floats(vocabulary.features), unit) < 1e-6, `${file}`)
    vocabulary.dispose()
  }
  const all = await Vocabulary.fromFile(byName)
  t.strictSame(all.classes, ['dog', 'pizza', 'wall'], 'the names of the file')
  const some = await Vocabulary.fromFile(byName, ['wall', 'dog'])
  t.ok(
    difference(
      await floats(some.features),
      Float32Array.of(...unit.slice(2 * width), ...unit.slice(width, 2 * width)),
    ) < 1e-6,
    'some of them, in another order',
  )
})

t.test("a detector's dict of names and vectors", async t => {
  const folder = new URL('../../../../shared/golden/fvit/', import.meta.url)
  const path = new URL('coco-class-embeddings.pt', folder)
  if (!existsSync(path)) {
    t.comment('# SKIP no golden files of the detector here')
    return
  }
  const { cases } = JSON.parse(readFileSync(new URL('manifest.json', folder), 'utf8')) as {
    cases: { id: string; inputs: { classes: string[] } }[]
  }
  const classes = cases.find(({ id }) => id === 'coco.class-embeddings')?.inputs.classes ?? []
  const all = await Vocabulary.fromFile(path)
  t.strictSame(all.classes, [...classes, 'background'], "the file's order")
  t.equal(all.background, classes.length)
  const reversed = await Vocabulary.fromFile(path, [...classes].reverse())
  const [count, size] = reversed.features.shape as [number, number]
  const [a, b] = [await floats(all.features), await floats(reversed.features)]
  for (let c = 0; c < count; c++) {
    const end = (count - 1 - c) * size
    t.same(b.slice(c * size, (c + 1) * size), a.slice(end, end + size))
  }
  await t.rejects(model.classify(photo, all), {
    ...invalid,
    message: /48 features of .*coco-class-embeddings\.pt, this model makes 128/,
  })
})

t.test('saved and loaded again', async t => {
  const path = join(t.testdir(), 'given.safetensors')
  const vocabulary = await Vocabulary.fromFeatures(names, Tensor.from(rows, [3, width]), {
    background: 2,
  })
  await vocabulary.save(path)
  const again = await Vocabulary.load(path, { model })
  t.match(again, { classes: names, background: 2, modelKey: `${width} features of features` })
  t.same(await floats(again.features), await floats(vocabulary.features))
  await t.rejects(Vocabulary.fromFile(path), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /Vocabulary\.load/,
  })
})

t.test('what cannot be used is named by file and row', async t => {
  const dir = t.testdir({ 'broken.pt': 'PK\x03\x04 nothing', 'text.npy': 'no array' })
  const path = join(dir, 'x.npy')
  const of = (values: Float32Array, list: unknown) => {
    writeFileSync(path, npy(values, [values.length / width, width]))
    return Vocabulary.fromFile(path, list as never)
  }
  const changed = (value: number, c: number) =>
    rows.map((x, i) => (Math.floor(i / width) === c ? value : x))
  await t.rejects(of(changed(0, 1), names), {
    ...invalid,
    message: /x\.npy: row 1 \('dog'\) is all zeros/,
  })
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await t.rejects(of(changed(value, 2), names), {
      ...invalid,
      message: /x\.npy: row 2 \('wall'\) has a value that is not a finite number/,
    })
  }
  for (const [list, message] of [
    [['pizza', 'dog'], /x\.npy must have a row for each of the 2 names, it has 3/],
    [['pizza', 'dog', 'pizza'], /names must be different, 'pizza' is name 0 and name 2/],
    [['pizza', '', 'wall'], /name 1 must be a text/],
    [['pizza', 5, 'wall'], /name 1 must be a text/],
    [[], /names must be a list of names or the path/],
    [5, /names must be a list/],
    [undefined, /x\.npy has 3 rows without names; give the names/],
  ] as const) {
    await t.rejects(of(rows, list), { ...invalid, message })
  }
  const named = await safetensors(join(dir, 'n.safetensors'), {
    dog: [row(1), [width]],
    cat: [row(0), [width]],
  })
  await t.rejects(Vocabulary.fromFile(named, ['dog', 'cow']), {
    ...invalid,
    message:
      /n\.safetensors has no embedding named 'cow' \(name 1\); it has 2, from 'cat' to 'dog'/,
  })
  await t.rejects(Vocabulary.fromFile(join(dir, 'broken.pt')), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /broken\.pt/,
  })
  await t.rejects(Vocabulary.fromFile(join(dir, 'text.npy')), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /text\.npy/,
  })
  await t.rejects(Vocabulary.fromFile(join(dir, 'none.npy')), {
    code: 'ERR_DECLIP_IO',
    message: /none\.npy/,
  })
  await t.rejects(Vocabulary.fromFile(dir), { code: 'ERR_DECLIP_IO' })
  await t.rejects(Vocabulary.fromFile(path, join(dir, 'none.txt')), { code: 'ERR_DECLIP_IO' })
  await t.rejects(Vocabulary.fromFile(5 as never), { ...invalid, message: /^path must be/ })
  await t.rejects(Vocabulary.fromFile(path, names, null as never), {
    ...invalid,
    message: /^options/,
  })
  await t.rejects(Vocabulary.fromFile(path, names, { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })

  for (const [features, message] of [
    [5, /^features must be a float Tensor \[C, D\]/],
    [Tensor.from(rows, [3 * width]), /^features must be a float Tensor/],
    [Tensor.from(new Int32Array(6), [3, 2]), /received 'int32 \[3,2\]'/],
    [Tensor.from(new Float32Array(0), [0, 4]), /^features must be/],
    [
      Tensor.from(rows.slice(width), [2, width]),
      /^features must have a row for each of the 3 names, it has 2/,
    ],
    [Tensor.from(new Float32Array(6), [3, 2]), /^features: row 0 \('pizza'\) is all zeros/],
  ] as const) {
    await t.rejects(Vocabulary.fromFeatures(names, features as Tensor), { ...invalid, message })
  }
  const gone = Tensor.from(rows, [3, width])
  gone.dispose()
  await t.rejects(Vocabulary.fromFeatures(names, gone), { code: 'ERR_DECLIP_DISPOSED' })
})
