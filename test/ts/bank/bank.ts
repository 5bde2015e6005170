/** Banks through the public API: building, growing, being killed, searching and taking part. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  Bank,
  type BuildBankOptions,
  buildBank,
  loadModel,
  releaseModels,
  type SegmentOptions,
  segment,
  Tensor,
} from '../../../ts/index.js'
import { difference, fixture, floats, plainEnv, random } from '../../support/calls.js'

const [WIDTH, HEIGHT] = [112, 84]
const SMALL = { shortSide: 64, window: 0 } as const
const CLASSES = ['background', 'dog', 'pizza', 'sailboat', 'car']
const invalid = 'ERR_DECLIP_INVALID_ARG'

const dir = t.testdir({ photos: {}, masks: {}, first: {} })
const [photos, masks] = [join(dir, 'photos'), join(dir, 'masks')]

/** A scene made small, with its label picture. */
async function scene(name: string): Promise<void> {
  const from = join(packageRoot, 'models/scenes', name)
  await sharp(`${from}.png`)
    .resize(WIDTH, HEIGHT)
    .toFile(join(photos, `${name}.png`))
  await sharp(`${from}-labels.png`)
    .resize(WIDTH, HEIGHT, { kernel: 'nearest' })
    .toColourspace('b-w')
    .toFile(join(masks, `${name}.png`))
}

/** The numbers above 0 of a picture's regions, ascending. */
async function numbersOf(name: string): Promise<number[]> {
  const pixels = await sharp(join(masks, `${name}.png`))
    .toColourspace('b-w')
    .raw()
    .toBuffer()
  return [...new Set(pixels)].filter(value => value > 0).sort((a, b) => a - b)
}

/** Regions of the picture in a file. */
async function regionsOf(path: string): Promise<Tensor> {
  const pixels = await sharp(join(masks, basename(path)))
    .toColourspace('b-w')
    .raw()
    .toBuffer()
  return Tensor.from(Int32Array.from(pixels), [HEIGHT, WIDTH])
}

for (const name of ['park', 'table', 'harbour', 'street']) await scene(name)
const photo = (name: string) => join(photos, `${name}.png`)
const model = await loadModel()
const dino = await loadModel(fixture('vfm', 'dino.safetensors'), { config: { headWidth: 32 } })
t.teardown(async () => {
  model.dispose()
  dino.dispose()
  await releaseModels()
})

const options: BuildBankOptions = { model, masks, ...SMALL }

interface Contents {
  pictures: { name: string; first: number; regions: number }[]
  keys: number[]
  values: number[]
}

/** Everything that a bank holds. */
async function contents(bank: Bank): Promise<Contents> {
  const rows = await bank.rows()
  const [keys, values] = [await floats(rows.keys), await floats(rows.values[0] as Tensor)]
  return { pictures: await bank.pictures(), keys: [...keys], values: [...values] }
}

async function contentsOf(file: string): Promise<Contents> {
  using bank = await Bank.open(file)
  await bank.verify()
  return await contents(bank)
}

t.test('what is built has a row for each region, in the file and in memory', async t => {
  const file = join(dir, 'whole.bank')
  const steps: number[] = []
  using bank = await buildBank(photos, {
    ...options,
    out: file,
    onProgress: ({ step, done, total }) => {
      t.equal(step, 'bank')
      t.equal(total, 4)
      steps.push(done)
    },
  })
  t.same(steps, [1, 2, 3, 4])
  const names = ['harbour', 'park', 'street', 'table']
  const counts = await Promise.all(names.map(async name => (await numbersOf(name)).length))
  t.ok(counts.every(count => count >= 4))
  let first = 0
  const wanted = names.map((name, i) => {
    const regions = counts[i] as number
    first += regions
    return { name, first: first - regions, regions }
  })
  t.same(await bank.pictures(), wanted)
  t.equal(bank.size, first)
  const { embedDim, family } = model.info
  t.match(bank.info, {
    pictures: 4,
    regions: first,
    unfinished: 0,
    keys: { width: embedDim, model: { family, fingerprint: /^[0-9a-f]{16}$/ } },
    values: [{ width: embedDim, model: { family } }],
  })
  t.same(JSON.parse(JSON.stringify(bank)), JSON.parse(JSON.stringify(bank.info)))
  await bank.verify()
  const built = await contents(bank)
  t.equal(built.keys.length, first * embedDim)
  t.ok([...built.keys, ...built.values].every(Number.isFinite))
  t.same(await contentsOf(file), built)
  t.notOk(existsSync(`${file}.lock`))

  const copy = join(dir, 'copy.bank')
  await bank.save(copy)
  t.same(await contentsOf(copy), built)

  // Without a file of its own it is the same, and leaves nothing.
  const temporary = await buildBank(photos, options)
  t.same(await contents(temporary), built)
  temporary.dispose()
  temporary.dispose()
  await t.rejects(temporary.pictures(), { code: 'ERR_DECLIP_DISPOSED' })

  // Some rows of the whole.
  const some = await bank.rows(2, 5)
  t.same([...(await floats(some.keys))], built.keys.slice(2 * embedDim, 5 * embedDim))
  await t.rejects(bank.rows(0, first + 1), { code: invalid, message: /The rows of this bank/ })
  await t.rejects(bank.rows(0.5), { code: invalid })
})

t.test('a bank grows by what is new, and numbers stay', async t => {
  const file = join(dir, 'growing.bank')
  const asked: string[] = []
  const watched = {
    ...options,
    out: file,
    masks: async ({ path }: { path?: string | undefined }) => {
      asked.push(basename(path as string, '.png'))
      return regionsOf(path as string)
    },
  }
  const first = await buildBank([photo('table'), photo('street')], watched)
  const before = await contents(first)
  t.same(asked.splice(0).sort(), ['street', 'table'])
  t.equal(first.info.parts, 1)
  using second = await buildBank(photos, watched)
  t.same(asked.splice(0).sort(), ['harbour', 'park'], 'only what is new is looked at')
  const after = await contents(second)
  t.equal(second.info.parts, 2)
  t.same(
    after.pictures.map(({ name }) => name),
    ['street', 'table', 'harbour', 'park'],
  )
  t.same(after.pictures.slice(0, 2), before.pictures)
  t.same(after.keys.slice(0, before.keys.length), before.keys)
  t.same(after.values.slice(0, before.values.length), before.values)
  t.same(await contents(first), before, 'who has it open sees what it was')
  first.dispose()
  const { mtimeMs, size } = statSync(file)
  using third = await buildBank(photos, watched)
  t.same(asked, [])
  t.same(await contents(third), after)
  t.same([statSync(file).mtimeMs, statSync(file).size], [mtimeMs, size])

  // Rows do not depend on the order: those of a bank made at once, picture by picture.
  const whole = await contentsOf(join(dir, 'whole.bank'))
  const width = model.info.embedDim
  for (const { name, first, regions } of after.pictures) {
    const there = whole.pictures.find(picture => picture.name === name)?.first as number
    for (const part of ['keys', 'values'] as const) {
      t.same(
        after[part].slice(first * width, (first + regions) * width),
        whole[part].slice(there * width, (there + regions) * width),
        `${part} of ${name}`,
      )
    }
  }
})

t.test('pictures may have names of their own and fail one by one', async t => {
  const failed: string[] = []
  const pictures = [
    { name: 'b', image: photo('park') },
    { name: 'none', image: photo('gone') },
    { name: 'a', image: readFileSync(photo('table')) },
    { name: 'b', image: photo('street') },
  ]
  const given = Tensor.from(
    Int32Array.from({ length: WIDTH * HEIGHT }, (_, i) => 1 + (i % WIDTH > 40 ? 1 : 0)),
    [HEIGHT, WIDTH],
  )
  using bank = await buildBank(pictures, {
    ...options,
    masks: async () => given,
    onError: ({ code }, name) => failed.push(`${code} ${name}`),
  })
  t.same(failed, ['ERR_DECLIP_IO none'])
  t.same(
    (await bank.pictures()).map(({ name }) => name),
    ['b', 'a'],
  )
  t.equal(bank.size, 4)
  await t.rejects(buildBank(pictures, { ...options, masks: async () => given }), {
    code: 'ERR_DECLIP_IO',
  })
  await t.rejects(buildBank(photos, { ...options, masks: undefined as never }), {
    code: invalid,
    message: /masks/,
  })
  await t.rejects(buildBank(join(dir, 'first'), options), {
    code: 'ERR_DECLIP_IO',
    message: /There are no pictures in/,
  })
  await t.rejects(buildBank(photos, { ...options, signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

/** A region for each pixel: so many that a picture is written at once. */
const fine = () =>
  Tensor.from(
    Int32Array.from({ length: WIDTH * HEIGHT }, (_, i) => i + 1),
    [HEIGHT, WIDTH],
  )

t.test('killed in the middle it keeps what was committed and goes on from there', async t => {
  const out = join(dir, 'killed.bank')
  const pictures = ['harbour', 'park', 'street'].map(photo)
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { buildBank, Tensor } from ${JSON.stringify(pathToFileURL(join(packageRoot, 'dist/index.js')))}
      const fine = ${fine}
      const [WIDTH, HEIGHT] = [${WIDTH}, ${HEIGHT}]
      // The second picture never ends.
      const masks = ({ path }) => (path.includes('harbour') ? Promise.resolve(fine()) : new Promise(() => setInterval(() => {}, 1000)))
      await buildBank(${JSON.stringify(pictures)}, {
        model: 'words-tiny', masks, ...${JSON.stringify(SMALL)}, out: ${JSON.stringify(out)},
        onProgress: ({ step, done }) => { if (step === 'bank') console.log('done', done) },
      })`,
    ],
    { env: plainEnv(), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  for await (const chunk of child.stdout) if (`${chunk}`.includes('done 1')) break
  const own = {
    ...options,
    masks: async ({ path }: { path?: string | undefined }) =>
      path === photo('harbour') ? fine() : regionsOf(path as string),
  }
  // Meanwhile nobody else may build it, and anybody may read it.
  await t.rejects(buildBank(pictures, { ...own, out }), {
    code: invalid,
    message: /killed\.bank is being built by another process.*lock/,
  })
  t.equal(child.exitCode, null)
  const [kept, again, whole] = [join(dir, 'kept.bank'), out, join(dir, 'at-once.bank')]
  child.kill('SIGKILL')
  t.same(await ended, [null, 'SIGKILL'])
  copyFileSync(out, kept)
  using partial = await Bank.open(kept)
  t.same(await partial.pictures(), [{ name: 'harbour', first: 0, regions: WIDTH * HEIGHT }])
  await partial.verify()
  // As if it had been killed while a part was being written.
  appendFileSync(out, Buffer.alloc(5000, 7))
  {
    using torn = await Bank.open(out)
    t.equal(torn.info.unfinished, 5000)
    await torn.verify()
  }
  using grown = await buildBank(pictures, { ...own, out: again })
  using made = await buildBank(pictures, { ...own, out: whole })
  t.same(await grown.pictures(), await made.pictures())
  t.ok(grown.size > WIDTH * HEIGHT)
  t.equal(grown.info.unfinished, 0)
  await grown.verify()
  const [a, b] = [await grown.rows(), await made.rows()]
  t.equal(difference(await floats(a.keys), await floats(b.keys)), 0)
  t.equal(difference(await floats(a.values[0] as Tensor), await floats(b.values[0] as Tensor)), 0)
  t.notOk(existsSync(`${out}.lock`))
})

t.test('what is no whole bank is refused', async t => {
  const good = readFileSync(join(dir, 'whole.bank'))
  const bad = join(dir, 'bad.bank')
  const open = async (bytes: Uint8Array) => {
    writeFileSync(bad, bytes)
    ;(await Bank.open(bad)).dispose()
  }
  const refused = { code: 'ERR_DECLIP_WEIGHTS', message: /bad\.bank/ }
  await t.rejects(open(Buffer.alloc(0)), { code: 'ERR_DECLIP_IO', message: /bad\.bank is empty/ })
  const foreign = [Buffer.from('not a bank'), readFileSync(photo('park'))]
  for (const bytes of [...foreign, Buffer.alloc(1 << 16), Buffer.alloc(1 << 16, 255)]) {
    await t.rejects(open(bytes), refused)
  }
  for (const length of [1, 100, 1024, 4096, 5000, good.length - 1, good.length - 4096]) {
    await t.rejects(open(good.subarray(0, length)), refused, `${length} bytes`)
  }
  const changed = (at: number) => {
    const bytes = Buffer.from(good)
    bytes[at] = (bytes[at] as number) ^ 0x55
    return bytes
  }
  // The head, and what it says of itself.
  for (const at of [0, 9, 20, 4096, 4200]) await t.rejects(open(changed(at)), refused, `byte ${at}`)
  // A row: seen by those who ask.
  writeFileSync(bad, changed(good.length - 300))
  using damaged = await Bank.open(bad)
  await t.rejects(damaged.verify(), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /is not what was written: the file is damaged/,
  })
  await t.rejects(Bank.open(join(dir, 'missing.bank')), { code: 'ERR_DECLIP_IO' })
  await t.rejects(Bank.open(dir), { code: 'ERR_DECLIP_IO' })
  await t.rejects(Bank.open(7 as never), { code: invalid })
  // Nothing is added to what is none.
  writeFileSync(bad, 'not a bank')
  await t.rejects(buildBank(photos, { ...options, out: bad }), refused)
  t.equal(readFileSync(bad, 'utf8'), 'not a bank')
})

t.test('another model or other options are refused', async t => {
  const file = join(dir, 'whole.bank')
  const before = readFileSync(file)
  const weights = readFileSync(join(packageRoot, 'models/words-tiny/model.safetensors'))
  const path = join(dir, 'other.safetensors')
  // The last number of the last tensor.
  weights[weights.length - 2] = (weights[weights.length - 2] as number) ^ 1
  writeFileSync(path, weights)
  const other = await loadModel(path)
  t.teardown(() => other.dispose())
  using bank = await Bank.open(file)
  const ask = { masks, bank, ...SMALL }
  await t.rejects(segment(photo('park'), CLASSES, { ...ask, model: other }), {
    code: invalid,
    message: /The bank's values were made by .*words-tiny.* and this is .*other\.safetensors/,
  })
  await t.rejects(buildBank(photos, { ...options, model: other, out: file }), {
    code: invalid,
    message: /holds keys that were made in another way/,
  })
  const proxy = { model: dino }
  const corrclip = { spatialBlocks: 3 }
  await t.rejects(
    segment(photo('park'), CLASSES, { ...ask, model, method: 'corrclip', proxy, corrclip }),
    { code: invalid, message: /The bank's keys were made by .*words-tiny.*leave proxy out/ },
  )
  await t.rejects(buildBank(photos, { ...options, shortSide: 72, out: file }), {
    code: invalid,
    message: /holds values that were made in another way .*Build with the same models and options/,
  })
  t.ok(before.equals(readFileSync(file)))
  // The same weights elsewhere are the same model.
  const same = join(dir, 'same.safetensors')
  copyFileSync(join(packageRoot, 'models/words-tiny/model.safetensors'), same)
  const moved = await loadModel(same)
  t.teardown(() => moved.dispose())
  const seg = await segment(photo('park'), CLASSES, { ...ask, model: moved })
  seg.dispose()
})

t.test('a search finds what a plain loop finds', async t => {
  using bank = await Bank.open(join(dir, 'at-once.bank'))
  const width = model.info.embedDim
  const rows = await bank.rows()
  const keys = await floats(rows.keys)
  const next = random(5)
  const [queries, neighbours] = [3, 7]
  const asked = Float32Array.from({ length: queries * width }, () => 9 * (next() - 0.5))
  // A row of the bank finds itself first.
  asked.set(keys.subarray(1234 * width, 1235 * width))
  // The cosine times the query's length.
  const product = (q: number, k: number) => {
    let [dot, square] = [0, 0]
    for (let c = 0; c < width; c++) {
      const [x, y] = [asked[q * width + c] as number, keys[k * width + c] as number]
      dot += x * y
      square += y * y
    }
    return dot / Math.sqrt(square)
  }
  using tensor = Tensor.from(asked, [queries, width])
  const found = await bank.search(tensor, { neighbours })
  t.same(found.ids.shape, [queries, neighbours])
  const ids = [...((await found.ids.data()) as BigInt64Array)].map(Number)
  const scores = await floats(found.scores)
  const wanted = Array.from({ length: queries }, (_, q) =>
    Array.from({ length: bank.size }, (_, k) => product(q, k)),
  )
  for (const [q, products] of wanted.entries()) {
    const best = [...products.keys()]
      .sort((a, b) => (products[b] as number) - (products[a] as number) || a - b)
      .slice(0, neighbours)
    const own = ids.slice(q * neighbours, (q + 1) * neighbours)
    t.equal(new Set(own).size, neighbours)
    for (const [i, id] of own.entries()) {
      const score = products[id] as number
      t.ok(Math.abs(score - (scores[q * neighbours + i] as number)) < 1e-4)
      // Where two are closer than rounding, either may come first.
      const other = best[i] as number
      t.ok(id === other || Math.abs(score - (products[other] as number)) < 1e-4)
    }
  }
  t.ok(ids.slice(0, neighbours).includes(1234))

  using small = await Bank.open(join(dir, 'whole.bank'))
  const more = await small.search(tensor, { neighbours: small.size + 2 })
  const all = [...((await more.ids.data()) as BigInt64Array)].map(Number)
  t.same(
    all.slice(0, small.size).sort((a, b) => a - b),
    [...Array(small.size).keys()],
  )
  t.same(all.slice(small.size, small.size + 2), [-1, -1])
  await t.rejects(bank.search(tensor, { neighbours: 0 }), { code: invalid })
  await t.rejects(bank.search(tensor, { neighbours: 1.5 }), { code: invalid })
  await t.rejects(bank.search([1] as never), { code: invalid })
  using narrow = Tensor.from(new Float32Array(6), [2, 3])
  await t.rejects(bank.search(narrow), { code: invalid, message: /is searched with \[Q, / })
})

t.test('a bank made elsewhere', async t => {
  const [width, rows] = [model.info.embedDim, 5]
  const next = random(8)
  const tensor = (columns: number) =>
    Tensor.from(
      Float32Array.from({ length: rows * columns }, () => next() - 0.5),
      [rows, columns],
    )
  const [keys, values] = [tensor(width), tensor(width)]
  const list = [
    { name: 'x', regions: 2 },
    { name: 'y', regions: 3 },
  ]
  using one = await Bank.fromParts({ keys, values, pictures: 'x\t0\t2\ny\t2\t3\n' })
  using two = await Bank.fromParts({ keys, values, pictures: list })
  t.same(await contents(one), await contents(two))
  const saved = join(dir, 'parts.bank')
  await one.save(saved)
  t.same(await contentsOf(saved), await contents(one))
  // Only widths are known of it.
  const seg = await segment(photo('park'), CLASSES, { model, masks, bank: one, ...SMALL })
  seg.dispose()
  for (const pictures of ['x\t0\t2\ny\t3\t2', 'x 0 5', 'x\t0\t0', [{ name: 'x', regions: 4 }]]) {
    await t.rejects(Bank.fromParts({ keys, values, pictures }), { code: invalid })
  }
  using narrow = await Bank.fromParts({ keys: tensor(3), values, pictures: list })
  await t.rejects(segment(photo('park'), CLASSES, { model, masks, bank: narrow, ...SMALL }), {
    code: invalid,
    message: /a model with 3 numbers a row/,
  })
})

/** Probabilities of every pixel. */
async function probabilities(given: SegmentOptions): Promise<Float32Array> {
  using seg = await segment(photo('street'), CLASSES, { ...given, probabilities: true })
  return Float32Array.from(await floats(seg.probabilities as Tensor))
}

t.test('a bank takes part by its share', async t => {
  using bank = await Bank.open(join(dir, 'whole.bank'))
  const plain = { model, masks, refine: 'vote' as const, ...SMALL }
  const without = await probabilities(plain)
  const none = await probabilities({ ...plain, bank, bankShare: 0 })
  t.ok(difference(none, without) < 1e-6, `share 0: ${difference(none, without)}`)
  const half = await probabilities({ ...plain, bank })
  t.ok(difference(half, without) > 0.01, `share 0.5: ${difference(half, without)}`)
  const same = await probabilities({ ...plain, bank, bankShare: 0.5, bankNeighbours: 20 })
  t.equal(difference(half, same), 0, 'as the defaults are')
  const few = await probabilities({ ...plain, bank, bankNeighbours: 1 })
  t.ok(difference(few, half) > 0.001)
  const rejected = async (given: object, message: RegExp) =>
    t.rejects(segment(photo('park'), CLASSES, { ...plain, ...given }), { code: invalid, message })
  await rejected({ bankShare: 0.5 }, /bankShare says how a bank is used, and there is none/)
  await rejected({ bank, masks: undefined }, /masks/)
  await rejected({ bank: {} }, /bank must be what Bank\.open/)
  await rejected({ bank, bankShare: 1.5 }, /bankShare/)
  await rejected({ bank, bankNeighbours: 0 }, /bankNeighbours/)
})

t.test('with a foundation model, as CorrCLIP', async t => {
  const proxy = { model: dino }
  const corrclip = { spatialBlocks: 3 }
  const own = { model, masks, proxy, corrclip, ...SMALL }
  const out = join(dir, 'corrclip.bank')
  using bank = await buildBank([photo('park'), photo('table')], { ...own, out })
  t.match(bank.info, {
    pictures: 2,
    keys: { width: dino.info.embedDim, model: { family: dino.info.family } },
    values: [{ width: model.info.embedDim, how: { dense: { mode: 'corrclip' } } }],
  })
  const without = await probabilities({ ...own, method: 'corrclip' })
  const none = await probabilities({ ...own, method: 'corrclip', bank, bankShare: 0 })
  t.ok(difference(none, without) < 1e-6, `share 0: ${difference(none, without)}`)
  const half = await probabilities({ ...own, method: 'corrclip', bank })
  t.ok(difference(half, without) > 0.01, `share 0.5: ${difference(half, without)}`)
  // Keys by the model itself are not those of DINO.
  await t.rejects(buildBank([photo('street')], { ...own, keys: model, out }), {
    code: invalid,
    message: /holds keys that were made in another way/,
  })
})
