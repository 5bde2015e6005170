import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import type { SemanticResult } from '../../../ts/evaluate/result.js'
import { readIndexPicture } from '../../../ts/image/index-png.js'
import {
  type DeclipError,
  evaluate,
  loadModel,
  type MaskPicture,
  type MaskProvider,
  type RawImage,
  segment,
  segmentMany,
  Tensor,
} from '../../../ts/index.js'
import { labelsOf, picture, random } from '../../support/calls.js'
import { CLASSES, writeAnnotations, writeDataFolder } from '../../support/evaluation.js'
import { npy, npz } from '../../support/npz.js'

const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())

const WORDS = ['texture', 'sky, cloud', 'dog', 'background']
const [WIDTH, HEIGHT] = [110, 96]
const photo = picture(WIDTH, HEIGHT)
const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
/** Quick, and without what follows the labels. */
const PLAIN = { model, templates: 'none', pamr: false } as const
const VOTE = { ...PLAIN, refine: 'vote' } as const

/** Blobs with a seed: 0 for nothing, then regions of any numbers. */
function regionsOf(width: number, height: number, seed = 1): Int32Array {
  const next = random(seed)
  const map = new Int32Array(width * height)
  for (let region = 0; region < 6; region++) {
    const [cx, cy, r] = [next() * width, next() * height, (0.1 + 0.2 * next()) * width]
    for (let i = 0; i < map.length; i++) {
      const [x, y] = [i % width, Math.floor(i / width)]
      if ((x - cx) ** 2 + (y - cy) ** 2 < r * r) map[i] = 7 * region - 7
    }
  }
  return map
}

/** Every region's most frequent label, by loops over the pixels of each. */
function voted(labels: readonly number[], regions: Int32Array): number[] {
  const out = [...labels]
  for (const region of new Set(regions)) {
    if (region === 0) continue
    const pixels = [...regions.keys()].filter(i => regions[i] === region)
    const counts = new Map<number, number>()
    for (const i of pixels) {
      const label = labels[i] as number
      counts.set(label, (counts.get(label) ?? 0) + 1)
    }
    const most = Math.max(...counts.values())
    const winner = Math.min(...[...counts].filter(([, n]) => n === most).map(([label]) => label))
    for (const i of pixels) out[i] = winner
  }
  return out
}

const map = regionsOf(WIDTH, HEIGHT)
const regions = Tensor.from(map, [HEIGHT, WIDTH])

async function checkVote(t: Test, options: object, image: RawImage | Tensor = photo) {
  const before = await segment(image, WORDS, { ...PLAIN, ...options })
  const own = await labelsOf(before)
  const after = await segment(image, WORDS, { ...VOTE, masks: regions, ...options })
  const expected = voted(own, map)
  t.notSame(expected, own, 'there is something to vote on')
  t.same([...((await after.labels.data()) as Uint8Array)], expected)
  t.same(
    after.areas,
    WORDS.map((_, c) => expected.filter(label => label === c).length / expected.length),
  )
  after.dispose()
}

t.test('a vote gives every region its most frequent label', async t => {
  await checkVote(t, {})
  await checkVote(t, { window: 0, method: 'maskclip' })
})

t.test('it comes last, after thresholds, the area filter, PAMR and closing', async t => {
  await checkVote(t, { probThreshold: 0.3 })
  await checkVote(t, { areaThreshold: 0.2, closing: true })
  await checkVote(t, { pamr: { iterations: 3, dilations: [1, 2] }, probThreshold: 0.3 })
})

t.test('of a normalised tensor, too', async t => {
  const plane = WIDTH * HEIGHT
  const values = Float32Array.from({ length: 3 * plane }, (_, i) => {
    const byte = photo.data[3 * (i % plane) + Math.floor(i / plane)] as number
    return byte / 64 - 2
  })
  using image = Tensor.from(values, [1, 3, HEIGHT, WIDTH])
  await checkVote(t, {}, image)
  const masks = ({ width, height, path, pixels }: MaskPicture) => {
    t.same([width, height, path], [WIDTH, HEIGHT, undefined])
    return pixels() as never
  }
  await t.rejects(segment(image, WORDS, { ...VOTE, masks }), invalid)
})

t.test('a view keeps the regions for any number of vocabularies', async t => {
  using view = await model.encode(photo, { masks: regions })
  using plain = await model.encode(photo)
  t.equal(view.byteLength, plain.byteLength + 4 * WIDTH * HEIGHT)
  for (const words of [WORDS, ['wood', 'metal', 'water']]) {
    const options = { templates: 'none', pamr: false } as const
    const own = await labelsOf(await plain.segment(words, options))
    t.same(await labelsOf(await view.segment(words, options)), own, 'no vote unless asked for')
    const after = await labelsOf(await view.segment(words, { ...options, refine: 'vote' }))
    t.same(after, voted(own, map))
  }
  await t.rejects(plain.segment(WORDS, { refine: 'vote' }), {
    ...invalid,
    message: /masks must be given for refine: 'vote'/,
  })
})

t.test('masks that nothing looks at, and a vote without masks', async t => {
  await t.rejects(segment(photo, WORDS, { ...PLAIN, masks: regions }), {
    ...invalid,
    message: /Nothing would look at masks.*refine: 'vote'/,
  })
  await t.rejects(segment(photo, WORDS, { ...PLAIN, masks: regions, refine: false }), invalid)
  await t.rejects(segment(photo, WORDS, VOTE), { ...invalid, message: /masks must be given/ })
  await t.rejects(segment(photo, WORDS, { ...VOTE, refine: 'mean' as never }), invalid)
  await t.rejects(segment(photo, WORDS, { ...VOTE, masks: 7 as never }), invalid)
  using other = Tensor.from(new Int32Array(6), [2, 3])
  await t.rejects(segment(photo, WORDS, { ...VOTE, masks: other }), {
    ...invalid,
    message: /picture of 110 x 96: .* received 3 x 2/,
  })
})

t.test('timings tell what masks took', async t => {
  const masks = () =>
    new Promise<Tensor>(resolve => {
      setTimeout(() => resolve(regions), 60)
    })
  using seg = await segment(photo, WORDS, { ...VOTE, masks })
  t.ok((seg.timings.masksMs as number) >= 55)
  t.ok((seg.timings.totalMs as number) >= (seg.timings.masksMs as number))
  using plain = await segment(photo, WORDS, PLAIN)
  t.notOk('masksMs' in plain.timings)
})

/** A turned photo: its file is `width` x `height`, upright it is the other way round. */
async function turnedPhoto(path: string) {
  const { data, width, height } = photo
  const raw = { width, height, channels: 3 } as const
  await sharp(data, { raw }).withMetadata({ orientation: 6 }).jpeg().toFile(path)
}

t.test('masks are in pixels of the upright picture', async t => {
  const path = join(t.testdir(), 'turned.jpg')
  await turnedPhoto(path)
  const upright = regionsOf(HEIGHT, WIDTH, 3)
  const own = await labelsOf(await segment(path, WORDS, PLAIN))
  const masks = async (asked: MaskPicture) => {
    t.same([asked.path, asked.width, asked.height], [path, HEIGHT, WIDTH])
    const { data, width, height } = await asked.pixels()
    t.same([width, height], [HEIGHT, WIDTH])
    const expected = await sharp(path).autoOrient().raw().toBuffer()
    t.ok(expected.equals(data), 'pixels are upright, too')
    return Tensor.from(upright, [WIDTH, HEIGHT])
  }
  const after = await labelsOf(await segment(path, WORDS, { ...VOTE, masks }))
  t.same(after, voted(own, upright))
})

/** Pictures of sizes of their own, with a folder of regions. */
async function writePhotos(folder: string, count: number) {
  await mkdir(join(folder, 'photos'), { recursive: true })
  await mkdir(join(folder, 'regions'))
  const paths: string[] = []
  const maps: Int32Array[] = []
  for (let i = 0; i < count; i++) {
    const [width, height] = [40 + 3 * i, 50 - 2 * i]
    const raw = { width, height, channels: 3 } as const
    const path = join(folder, 'photos', `${i}.png`)
    await sharp(picture(width, height, i + 1).data, { raw }).toFile(path)
    const values = regionsOf(width, height, i + 1)
    const array = npy([...values], [height, width], { descr: '<i8' })
    await writeFile(join(folder, 'regions', `${i}.npz`), npz({ instance_mask: array }))
    paths.push(path)
    maps.push(values)
  }
  return { paths, maps, masks: join(folder, 'regions') }
}

async function collect(
  paths: readonly string[],
  masks: MaskProvider,
  options: object = {},
): Promise<number[][]> {
  const all: number[][] = []
  for await (const seg of segmentMany(paths, WORDS, { ...VOTE, masks, ...options })) {
    all.push(await labelsOf(seg))
  }
  return all
}

t.test('many pictures: a folder, and a function that is asked once for each', async t => {
  const { paths, maps, masks } = await writePhotos(t.testdir(), 12)
  const expected: number[][] = []
  for (const [i, path] of paths.entries()) {
    const own = await labelsOf(await segment(path, WORDS, PLAIN))
    expected.push(voted(own, maps[i] as Int32Array))
  }
  t.same(await collect(paths, masks), expected, 'a folder')
  const asked: string[] = []
  let [now, most] = [0, 0]
  const made = async ({ path, width, height, pixels }: MaskPicture) => {
    now += 1
    most = Math.max(most, now)
    asked.push(path as string)
    await pixels()
    // What opens pictures itself must not wait for places that its caller has.
    using view = await model.encode(path as string)
    t.same([view.width, view.height], [width, height])
    now -= 1
    return Tensor.from(maps[paths.indexOf(path as string)] as Int32Array, [height, width])
  }
  t.same(await collect(paths, made), expected, 'a function')
  t.same(asked.toSorted(), paths.toSorted(), 'once for every picture')
  t.ok(most < paths.length, `${most} at a time`)
})

t.test('a picture without masks fails alone', async t => {
  const { paths, masks } = await writePhotos(t.testdir(), 3)
  await writeFile(join(masks, '1.npz'), 'damaged')
  const { data, width, height } = photo
  const lone = join(t.testdirName, 'photos', 'lone.png')
  await sharp(data, { raw: { width, height, channels: 3 } }).toFile(lone)
  const errors: [number, string][] = []
  const onError = (error: DeclipError, _: unknown, index: number) => {
    errors.push([index, error.code])
    t.match(error.message, /Masks of picture '.*(1|lone)\.png'/)
  }
  const done = await collect([...paths, lone], masks, { onError })
  t.equal(done.length, 2)
  t.same(errors, [
    [1, 'ERR_DECLIP_INVALID_ARG'],
    [3, 'ERR_DECLIP_IO'],
  ])
  await t.rejects(collect([...paths, lone], masks), invalid, 'the first one ends it')
})

t.test('a function that never ends', async t => {
  const stop = new AbortController()
  const masks = () => {
    setImmediate(() => stop.abort())
    return new Promise<never>(() => {})
  }
  const aborted = { name: 'AbortError', code: 'ERR_DECLIP_ABORTED' }
  await t.rejects(segment(photo, WORDS, { ...VOTE, masks, signal: stop.signal }), aborted)
  await t.rejects(segment(photo, WORDS, { ...VOTE, masks, timeout: 50 }), aborted)
})

t.test('an evaluation with a folder of masks comes to what a vote by hand does', async t => {
  const data = await writeDataFolder(join(t.testdir(), 'data'), 5)
  const masks = join(data, 'labels')
  const quick = { model: 'words-tiny', templates: 'none', pamr: false } as const
  const out = join(t.testdirName, 'run')
  const options = { dataset: 'folder', data, ...quick, masks, refine: 'vote', out } as const
  const result = await evaluate(options)
  t.match(result, { task: 'semantic', pictures: 5, failed: [] })
  const plain = await evaluate({ dataset: 'folder', data, ...quick })
  // The true regions: a vote leaves of each one label.
  let [right, counted] = [0, 0]
  const paths = [0, 1, 2, 3, 4].map(i => join(data, 'images', `00${i}.png`))
  for await (const seg of segmentMany(paths, CLASSES, { ...quick, masks, refine: 'vote' })) {
    const name = `00${seg.index}.png`
    const { data: truth } = await readIndexPicture(join(data, 'labels', name))
    const found = await labelsOf(seg)
    truth.forEach((label, i) => {
      if (label === 255) return
      counted += 1
      if (found[i] === label) right += 1
    })
  }
  t.equal((result as SemanticResult).aacc, right / counted)
  t.match(result.settings, { values: { vote: true, masks: 'files' } })
  t.notOk('masks' in (plain.settings as { values: object }).values)
  const missing = await evaluate({ ...options, out: undefined, masks: join(data, 'images') })
  t.equal(missing.failed.length, 5, 'RGB pictures are no regions')
  await writeAnnotations(data)
  const regions = { ...options, out: undefined, task: 'detection' } as const
  await t.rejects(evaluate(regions), { ...invalid, message: /masks are for the task 'semantic'/ })
})
