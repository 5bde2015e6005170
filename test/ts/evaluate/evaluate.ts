import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import type { DeclipError } from '../../../ts/errors.js'
import { evaluate } from '../../../ts/evaluate/evaluate.js'
import type { EvaluateOptions } from '../../../ts/evaluate/options.js'
import type { SemanticResult } from '../../../ts/evaluate/result.js'
import { readIndexPicture } from '../../../ts/image/index-png.js'
import { DATASETS } from '../../../ts/methods/benchmarks.js'
import { segment } from '../../../ts/segment/segment.js'
import { segmentMany } from '../../../ts/segment/segment-many.js'
import { CLASSES, writeDataFolder } from '../../support/evaluation.js'
import { png } from '../../support/png.js'
import { writeTree } from '../../support/tree.js'

const COUNT = 9
/** A small pass: nothing here depends on the quality of the labels. */
const QUICK = { model: 'words-tiny', templates: 'none' } as const

async function setUp(t: Test, count = COUNT) {
  const data = await writeDataFolder(join(t.testdir(), 'data'), count)
  const run = (options: Partial<EvaluateOptions> = {}) =>
    evaluate({ dataset: 'folder', data, ...QUICK, ...options }) as Promise<SemanticResult>
  return { data, run, out: join(t.testdirName, 'run') }
}

const linesOf = (out: string, name = 'results.jsonl') =>
  readFileSync(join(out, name), 'utf8').trim().split('\n')

t.test('figures are those of plain loops over the labels', async t => {
  const { data, run, out } = await setUp(t)
  const result = await run({ out })
  const both = new Float64Array(CLASSES.length)
  const predicted = new Float64Array(CLASSES.length)
  const labelled = new Float64Array(CLASSES.length)
  const name = (i: number) => `${String(i).padStart(3, '0')}.png`
  const paths = Array.from({ length: COUNT }, (_, i) => join(data, 'images', name(i)))
  for await (const seg of segmentMany(paths, CLASSES, QUICK)) {
    const found = (await seg.labels.data()) as Uint8Array
    const truth = await readIndexPicture(join(data, 'labels', name(seg.index)))
    truth.data.forEach((label, at) => {
      if (label === 255) return
      const given = found[at] as number
      predicted[given] = (predicted[given] as number) + 1
      labelled[label] = (labelled[label] as number) + 1
      if (given === label) both[label] = (both[label] as number) + 1
    })
    seg.dispose()
  }
  const ious = CLASSES.map((_, c) => {
    const union = (predicted[c] as number) + (labelled[c] as number) - (both[c] as number)
    return union === 0 ? null : (both[c] as number) / union
  })
  const there = ious.filter(iou => iou !== null)
  t.equal(result.miou, there.reduce((a, b) => a + b) / there.length)
  t.strictSame(
    result.classes.map(({ name, iou, pixels }) => ({ name, iou, pixels })),
    CLASSES.map((name, c) => ({ name, iou: ious[c], pixels: labelled[c] })),
  )
  t.match(result, { task: 'semantic', dataset: 'folder', pictures: COUNT, failed: [], missing: [] })
  t.match(result.settings, { limit: null, method: 'clipself', changed: ['templates'] })
  t.match(result.versions, { package: /^\d/, libtorch: /^\d/, node: process.version })
  t.strictSame(JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')), plain(result))
  t.equal(linesOf(out).length, COUNT)
})

t.test('mIoU by both conventions', async t => {
  const { run, out } = await setUp(t)
  const usual = await run()
  // Of five words for four labels' pictures one is never true.
  const { data } = await setUp(t)
  writeFileSync(join(data, 'classes.txt'), [...CLASSES, 'colour'].join('\n'))
  const result = (await evaluate({ dataset: 'folder', data, ...QUICK, out })) as SemanticResult
  const only = result.classes.filter(({ pixels, iou }) => pixels === 0 && iou === 0)
  const means = (classes: SemanticResult['classes']) => {
    const ious = classes.flatMap(({ iou }) => (iou === null ? [] : [iou]))
    return ious.reduce((a, b) => a + b) / ious.length
  }
  t.equal(result.mious.mmsegmentation, means(result.classes))
  t.equal(result.mious.detectron2, means(result.classes.filter(({ pixels }) => pixels > 0)))
  t.equal(result.miou, result.mious.mmsegmentation, 'the default')
  t.comment(`${only.length} classes are only predicted`)
  t.equal(result.mious.mmsegmentation === result.mious.detectron2, only.length === 0)
  t.strictSame(usual.mious.mmsegmentation, usual.mious.detectron2, 'all classes are in the truth')
  const other = await run({ convention: 'detectron2', out: `${out}-2` })
  t.equal(other.miou, other.mious.detectron2)
  t.match(other.settings, { changed: ['templates', 'convention'] })
  const report = readFileSync(join(`${out}-2`, 'report.html'), 'utf8')
  t.match(report, /mean over classes in the truth<[\s\S]*mIoU, mmsegmentation/)
  await t.rejects(run({ convention: 'coco' as 'detectron2' }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /convention must be one of mmsegmentation, detectron2/,
  })
})

t.test('the background of voc20b is what is best named by one of its words', async t => {
  const scene = sharp('models/scenes/garden.png').resize(120, 90)
  const data = writeTree(t.testdir(), {
    'JPEGImages/a.jpg': await scene.jpeg().toBuffer(),
    'ImageSets/Segmentation/val.txt': 'a',
  })
  const options = { ...QUICK, method: 'maskclip' } as const
  const words = DATASETS.voc20.labels.concat(DATASETS.voc20b.backgroundWords ?? [])
  t.equal(words.length, 59)
  const picture = join(data, 'JPEGImages/a.jpg')
  using found = await segment(picture, words, { ...options, background: false })
  const predicted = Array.from((await found.labels.data()) as Uint8Array, label =>
    Math.min(20, label),
  )
  t.ok(predicted.includes(20) && new Set(predicted).size > 2, 'classes and background are found')
  // Mostly right, so that figures are no zeros; as VOC's files have them.
  const truth = predicted.map((label, at) =>
    at % 3 === 0 ? ([7, 20, 255][(at % 7) % 3] ?? 0) : label,
  )
  const values = truth.map(label => (label === 20 ? 0 : label === 255 ? 255 : label + 1))
  writeTree(data, { 'SegmentationClassAug/a.png': png(found.width, found.height, values) })
  const result = (await evaluate({ dataset: 'voc20b', data, ...options })) as SemanticResult
  t.match(result.settings.values, { convention: 'detectron2', background: 20 })
  t.strictSame(result.settings.words?.flat(), words)
  const both = new Float64Array(21)
  const either = new Float64Array(21)
  for (const [at, label] of truth.entries()) {
    if (label === 255) continue
    const given = predicted[at] as number
    if (given === label) both[label] = (both[label] as number) + 1
    for (const one of new Set([given, label])) either[one] = (either[one] as number) + 1
  }
  const ious = [...new Set(truth)]
    .filter(label => label !== 255)
    .map(label => {
      const iou = (both[label] as number) / (either[label] as number)
      t.equal(result.classes[label]?.iou, iou)
      return iou
    })
  t.ok(Math.abs((result.miou ?? 0) - ious.reduce((a, b) => a + b) / ious.length) < 1e-12)
})

t.test('a run goes on where it was left, and comes to the same', async t => {
  const { run, out } = await setUp(t)
  const whole = await run()
  const stop = new AbortController()
  const onProgress = ({ step, done }: { step: string; done: number }) => {
    if (step === 'pictures' && done === 3) stop.abort()
  }
  await t.rejects(run({ out, signal: stop.signal, onProgress }), { code: 'ERR_DECLIP_ABORTED' })
  const kept = linesOf(out).length
  t.ok(kept >= 3 && kept < COUNT, `${kept} lines`)
  await t.rejects(run({ out }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /holds results of an earlier run\. Go on with it by resume/,
  })
  // As a process leaves it that is killed while it writes.
  const path = join(out, 'results.jsonl')
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.subarray(0, bytes.length - 20))
  const seen: number[] = []
  const result = await run({
    out,
    resume: true,
    onProgress: ({ step, done }) => step === 'pictures' && seen.push(done),
  })
  t.strictSame(result, whole)
  t.strictSame([seen[0], seen.at(-1)], [kept - 1, COUNT], 'what was done counts as done')
  t.equal(linesOf(out).length, COUNT)
  t.strictSame(await run({ out, resume: true }), whole, 'nothing is left to be done')
  t.equal(linesOf(out).length, COUNT)
})

t.test('resume in an empty place begins', async t => {
  const { run, out } = await setUp(t, 2)
  t.match(await run({ out: join(out, 'deep'), resume: true }), { pictures: 2 })
})

t.test('other settings are refused by what differs', async t => {
  const { data, run, out } = await setUp(t, 3)
  await run({ out, limit: 2 })
  const differing: [Partial<EvaluateOptions>, RegExp][] = [
    [{ limit: 3 }, /limit is 2 there and 3 here/],
    [{ limit: 2, stride: 24 }, /values\.stride is 32 there and 24 here/],
    [{ limit: 2, method: 'vanilla' }, /method is "clipself" there and "vanilla" here/],
    [
      { limit: 2, classes: ['a', 'b', 'c', 'd'] },
      /words\[0\] is \["background"\] there and \["a"\]/,
    ],
    [{ limit: 2, templates: ['{}!'] }, /values\.templates is "none" there and \["\{\}!"\] here/],
  ]
  for (const [options, message] of differing) {
    await t.rejects(run({ ...options, out, resume: true }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  rmSync(join(data, 'images/000.png'))
  await t.rejects(run({ out, limit: 2, resume: true }), { message: /pictures\[0\] is "000" there/ })
  writeFileSync(join(out, 'settings.json'), '{')
  await t.rejects(run({ out, limit: 2, resume: true }), {
    message: /settings\.json is not the settings/,
  })
})

t.test('a picture that fails is listed, counted nowhere and done again', async t => {
  const { data, run, out } = await setUp(t, 4)
  const whole = await run()
  const image = join(data, 'images/001.png')
  const labels = join(data, 'labels/002.png')
  const [picture, truth] = [readFileSync(image), readFileSync(labels)]
  writeFileSync(image, 'no picture')
  writeFileSync(labels, png(3, 2, new Uint8Array(6)))
  const told: string[] = []
  const onError = ({ code }: DeclipError, id: string) => told.push(`${id} ${code}`)
  const result = await run({ out, onError })
  t.match(result, { pictures: 2, failed: [{ id: '001' }, { id: '002' }] })
  t.match(result.failed[1]?.error.message, /002\.png is 3 x 2 pixels, its picture .* 5\d x 5\d/)
  t.strictSame(told.sort(), ['001 ERR_DECLIP_IMAGE', '002 ERR_DECLIP_INVALID_ARG'])
  t.equal(linesOf(out).length, 4)
  writeFileSync(image, picture)
  t.match(await run({ out, resume: true }), { pictures: 3, failed: [{ id: '002' }] })
  writeFileSync(labels, truth)
  t.strictSame(await run({ out, resume: true }), whole)
  t.equal(linesOf(out).length, 7)
})

t.test('what every picture would meet ends the run', async t => {
  const { run, out } = await setUp(t, 4)
  await t.rejects(run({ out, model: join(t.testdirName, 'none.safetensors') }))
  t.notOk(existsSync(out), 'before anything is written')
  await t.rejects(run({ signal: AbortSignal.abort() }), { code: 'ERR_DECLIP_ABORTED' })
  await t.rejects(run({ out, timeout: 1 }), { code: 'ERR_DECLIP_ABORTED' })
})

t.test('parts of one folder are parts of the pictures', async t => {
  const { run, out } = await setUp(t)
  const ids: string[] = []
  for (const shard of ['1/2', '2/2']) {
    const result = await run({ out, shard })
    const lines = linesOf(out, `results-${shard.replace('/', '-of-')}.jsonl`)
    t.equal(lines.length, result.pictures)
    ids.push(...lines.map(line => (JSON.parse(line) as { id: string }).id))
    t.ok(existsSync(join(out, `result-${shard.replace('/', '-of-')}.json`)))
  }
  t.equal(new Set(ids).size, COUNT)
  await t.rejects(run({ out, shard: '1/2' }), { message: /holds results of an earlier run/ })
  await t.rejects(run({ out, shard: '3/3', stride: 24 }), { message: /other settings: .*stride/ })
})

t.test('lines of other runs and damaged ones', async t => {
  const { run, out } = await setUp(t, 2)
  await run({ out })
  const path = join(out, 'results.jsonl')
  const lines = linesOf(out)
  const resumed = (text: string) => {
    writeFileSync(path, text)
    return run({ out, resume: true })
  }
  const [first = ''] = lines
  await t.rejects(resumed(`${first.replace('"000"', '"999"').replace('"001"', '"999"')}\n`), {
    message: /results\.jsonl has a result of picture '999'/,
  })
  await t.rejects(resumed('{"id":"000","pairs":[0,0,"x"]}\n'), {
    message: /results\.jsonl: the result of picture '000' is damaged/,
  })
  await t.rejects(resumed('{"id":"000"}\n'), { message: /'000' is damaged/ })
  t.match(await resumed(`${lines.join('\n')}\n${first.replace(/"ms":\d+/, '"ms":1')}\n`), {
    pictures: 2,
  })
  await t.rejects(resumed(`${first}\n${first.replace(/\d+\],"width/, '1],"width')}\n`), {
    message: /was measured twice with different results/,
  })
})

t.test('wrong usage', async t => {
  const { data, run } = await setUp(t, 1)
  const wrong: [object, RegExp][] = [
    [{ dataset: 'nothing' }, /dataset must be one of/],
    [{ data: '' }, /data must be/],
    [{ task: 'x' }, /task must be one of semantic/],
    [{ limit: 0 }, /limit must be a whole number of at least 1/],
    [{ shard: '3/2' }, /shard must be 'i\/n'/],
    [{ classes: ['a'] }, /There must be an entry for each of the 4 classes|4 classes/],
    [{ resume: 'yes' }, /resume must be true or false/],
    [{ definitions: async () => 'x' }, /definitions and synonyms must be texts/],
    [{ stride: -1 }, /stride must be/],
    [{ onError: 3 }, /onError must be a function/],
  ]
  for (const [options, message] of wrong) {
    await t.rejects(run(options as Partial<EvaluateOptions>), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  await t.rejects(run({ data: join(data, 'no') }), { code: 'ERR_DECLIP_IO' })
})

t.test('the background words of a caller are those of the background class', async t => {
  const { run } = await setUp(t, 1)
  const { settings } = await run({ background: ['sky', 'wall'] })
  t.strictSame(settings.words?.[0], ['sky', 'wall'])
  t.match(settings.values, { background: 0 })
})

t.test('a grey picture is measured', async t => {
  const { data, run } = await setUp(t, 1)
  const grey = await sharp(new Uint8Array(600), { raw: { width: 30, height: 20, channels: 1 } })
    .png()
    .toBuffer()
  writeFileSync(join(data, 'images/000.png'), grey)
  writeFileSync(join(data, 'labels/000.png'), png(30, 20, new Uint8Array(600).fill(2)))
  t.match(await run(), { pictures: 1, classes: { 2: { pixels: 600 } } })
})

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
