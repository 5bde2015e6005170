import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AnyDataset, SemanticTruth } from '../../../../ts/evaluate/datasets/dataset.js'
import { openDataset } from '../../../../ts/evaluate/datasets/open.js'
import { DATASETS, type DatasetName } from '../../../../ts/methods/benchmarks.js'
import { mat } from '../../../support/mat.js'
import { png } from '../../../support/png.js'
import { jpeg, writeTree } from '../../../support/tree.js'

const WIDTH = 20
const HEIGHT = 26

/** Every value of 8 bits that is wanted, again and again. */
function filled(values: readonly number[]): number[] {
  return Array.from({ length: WIDTH * HEIGHT }, (_, i) => values[i % values.length] as number)
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

async function truthOf(set: AnyDataset, id = set.pictures[0]?.id): Promise<SemanticTruth> {
  const picture = set.pictures.find(one => one.id === id)
  return (await picture?.truth()) as SemanticTruth
}

/** The rules of the papers' framework, written as loops over pixels. */
const slow = {
  same: (values: readonly number[]) => [...values],
  reduceZero: (values: readonly number[]) =>
    values.map(value => {
      if (value === 0) return 255
      return value - 1 === 254 ? 255 : value - 1
    }),
  /** coco_stuff164k.py builds a table by going through the ids in order. */
  stuff: (values: readonly number[]) => {
    const missing = [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90]
    const table: Record<number, number> = { 255: 255 }
    let next = 0
    for (let id = 0; id <= 181; id++) if (!missing.includes(id)) table[id] = next++
    return values.map(value => table[value] as number)
  },
  /** cvt_coco_object.py: things one more, all else 0. */
  object: (values: readonly number[]) =>
    slow.stuff(values).map(value => (value < 80 ? value + 1 : 0)),
  /** pascal_context.py: the place in the sorted list of ids. */
  context: (values: readonly number[]) => {
    const kept =
      `0 2 9 18 19 22 23 25 31 33 34 44 45 46 59 65 68 72 80 85 98 104 105 113 115 144 158 159
      162 187 189 207 220 232 258 259 260 284 295 296 308 324 326 347 349 354 355 360 366 368 397 415
      416 420 424 427 440 445 454 458`
        .split(/\s+/)
        .map(Number)
    return values.map(value => Math.max(0, kept.indexOf(value)))
  },
  cityscapes: (values: readonly number[]) => {
    const labels: Record<number, number> = {
      7: 0,
      8: 1,
      11: 2,
      12: 3,
      13: 4,
      17: 5,
      19: 6,
      20: 7,
      21: 8,
      22: 9,
      23: 10,
      24: 11,
      25: 12,
      26: 13,
      27: 14,
      28: 15,
      31: 16,
      32: 17,
      33: 18,
    }
    return values.map(value => labels[value] ?? 255)
  },
}

interface Case {
  dataset: DatasetName
  /** Folders below the data. */
  at: string
  image: string
  labels: string
  list?: string
  values: readonly number[]
  rule: keyof typeof slow
  id: string
  note?: RegExp
  file?: (values: readonly number[]) => Buffer
}

const indexed = (values: readonly number[]) => png(WIDTH, HEIGHT, values)
const grey = (values: readonly number[]) => png(WIDTH, HEIGHT, values, { color: 0 })
const wide = (values: readonly number[]) => png(WIDTH, HEIGHT, values, { color: 0, depth: 16 })

const VOC = {
  image: 'JPEGImages/2007_000033.jpg',
  id: '2007_000033',
  labels: 'SegmentationClass/2007_000033.png',
  list: 'ImageSets/Segmentation/val.txt',
  values: [...range(0, 20), 255],
}
const CONTEXT = {
  image: 'JPEGImages/2008_000002.jpg',
  id: '2008_000002',
  list: 'ImageSets/SegmentationContext/val.txt',
}
const ORIGINAL = { ...CONTEXT, values: range(0, 459), note: /made from the original 459 classes/ }
const COCO = { image: 'images/val2017/000000000139.jpg', id: '000000000139' }
const STUFFTHING = [
  ...range(0, 181).filter(id => ![11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90].includes(id)),
  255,
]
const CITY = {
  at: '',
  image: 'leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png',
  id: 'ulm/ulm_000001_000019',
}

const CASES: readonly Case[] = [
  { dataset: 'voc21', at: '', rule: 'same', ...VOC },
  { dataset: 'voc21', at: 'VOCdevkit/VOC2012', rule: 'same', ...VOC },
  { dataset: 'voc20', at: 'VOC2012', rule: 'reduceZero', ...VOC },
  {
    dataset: 'context60',
    at: 'VOC2010',
    ...CONTEXT,
    labels: 'SegmentationClassContext/2008_000002.png',
    values: range(0, 59),
    rule: 'same',
  },
  {
    dataset: 'context60',
    at: '',
    ...ORIGINAL,
    labels: 'trainval/2008_000002.mat',
    rule: 'context',
    file: values => mat(WIDTH, HEIGHT, values),
  },
  {
    dataset: 'context60',
    at: '',
    ...ORIGINAL,
    list: 'ImageSets/Main/val.txt',
    labels: 'SegmentationContext459/2008_000002.png',
    rule: 'context',
    file: wide,
  },
  {
    dataset: 'ade20k',
    at: 'ADEChallengeData2016',
    image: 'images/validation/ADE_val_00000001.jpg',
    id: 'ADE_val_00000001',
    labels: 'annotations/validation/ADE_val_00000001.png',
    values: range(0, 150),
    rule: 'reduceZero',
    file: grey,
  },
  {
    dataset: 'coco-stuff',
    at: 'coco_stuff164k',
    ...COCO,
    labels: 'annotations/val2017/000000000139_labelTrainIds.png',
    values: [...range(0, 170), 255],
    rule: 'same',
    file: grey,
  },
  {
    dataset: 'coco-stuff',
    at: '',
    ...COCO,
    labels: 'stuffthingmaps/val2017/000000000139.png',
    values: STUFFTHING,
    rule: 'stuff',
    note: /made from stuffthingmaps/,
    file: grey,
  },
  {
    dataset: 'coco-object',
    at: 'coco_object',
    ...COCO,
    labels: 'annotations/val2017/000000000139_instanceTrainIds.png',
    values: range(0, 80),
    rule: 'same',
    file: grey,
  },
  {
    dataset: 'coco-object',
    at: '',
    ...COCO,
    labels: 'annotations/val2017/000000000139.png',
    values: STUFFTHING,
    rule: 'object',
    note: /made from stuffthingmaps/,
    file: grey,
  },
  {
    dataset: 'coco-stuff10k',
    at: '',
    image: 'images/test2014/COCO_train2014_000000000077.jpg',
    id: 'COCO_train2014_000000000077',
    labels: 'annotations/test2014/COCO_train2014_000000000077_labelTrainIds.png',
    values: range(0, 171),
    rule: 'reduceZero',
    file: grey,
  },
  {
    dataset: 'cityscapes',
    ...CITY,
    labels: 'gtFine/val/ulm/ulm_000001_000019_gtFine_labelTrainIds.png',
    values: [...range(0, 18), 255],
    rule: 'same',
    file: grey,
  },
  {
    dataset: 'cityscapes',
    ...CITY,
    labels: 'gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png',
    values: range(0, 33),
    rule: 'cityscapes',
    note: /made from labelIds/,
    file: grey,
  },
]

async function write(t: Test, one: Case): Promise<string> {
  const values = filled(one.values)
  const folder = writeTree(t.testdir(), {
    [join(one.at, one.image)]: await jpeg(WIDTH, HEIGHT),
    [join(one.at, one.labels)]: (one.file ?? indexed)(values),
    ...(one.list && { [join(one.at, one.list)]: `${one.id}\n\n` }),
  })
  return folder
}

t.test('every set in its layout', async t => {
  for (const one of CASES) {
    const name = `${one.dataset}, ${one.labels}`
    const data = await write(t, one)
    const set = await openDataset({ dataset: one.dataset as 'voc21', data })
    const { labels, background } = DATASETS[one.dataset]
    t.same(
      set.classes.map(({ name }) => name),
      labels,
      name,
    )
    t.equal(set.background, background ? 0 : -1, name)
    t.same(
      set.pictures.map(({ id, image }) => [id, image]),
      [[one.id, join(data, one.at, one.image)]],
    )
    const truth = await truthOf(set)
    t.ok(truth.labels instanceof Uint8Array)
    t.same([truth.width, truth.height], [WIDTH, HEIGHT], name)
    t.same([...truth.labels], slow[one.rule](filled(one.values)), name)
    t.match(set.notes.at(-1), /published figures are of .* pictures; these are 1\./, name)
    if (one.note) t.match(set.notes[0], one.note, name)
    else t.equal(set.notes.length, 1, name)
  }
})

t.test('sets that differ in their background only', async t => {
  const original = CASES.find(({ labels }) => labels.endsWith('.mat')) as Case
  const set = await openDataset({ dataset: 'context59', data: await write(t, original) })
  const expected = slow.reduceZero(slow.context(filled(original.values)))
  t.same([...(await truthOf(set)).labels], expected, 'context59 of 459 classes')
  t.equal(set.classes.length, 59)
  const converted = CASES.find(({ labels }) => labels.endsWith('_labelTrainIds.png')) as Case
  const objects = await openDataset({ dataset: 'coco-object', data: await write(t, converted) })
  const things = filled(converted.values).map(value => (value < 80 ? value + 1 : 0))
  t.same([...(await truthOf(objects)).labels], things, "COCO-Object of COCO-Stuff's labels")
})

t.test('converted labels go before the originals beside them', async t => {
  const one = CASES.find(({ dataset }) => dataset === 'coco-stuff') as Case
  const data = await write(t, one)
  writeTree(data, { 'coco_stuff164k/annotations/val2017/000000000139.png': png(1, 1, [255]) })
  const set = await openDataset({ dataset: 'coco-stuff', data })
  t.same([...(await truthOf(set)).labels], filled(one.values))
})

t.test('things are told from stuff', async t => {
  const one = CASES.find(({ dataset }) => dataset === 'coco-stuff') as Case
  const set = await openDataset({ dataset: 'coco-stuff', data: await write(t, one) })
  t.same(set.classes.filter(({ thing }) => thing).length, 80)
})

t.test('values that a set does not have', async t => {
  const one = CASES.find(({ rule }) => rule === 'stuff') as Case
  const data = await write(t, { ...one, values: [0, 11, 182] })
  const message =
    /000000000139\.png: the label 11 of \d+ pixels \(the first at x 1, y 0\).*so are 182/
  const code = 'ERR_DECLIP_INVALID_ARG'
  await t.rejects(truthOf(await openDataset({ dataset: 'coco-stuff', data })), { code, message })
  await t.rejects(truthOf(await openDataset({ dataset: 'coco-object', data })), { code, message })
  const voc = CASES[0] as Case
  const other = await write(t, { ...voc, values: [0, 21] })
  await t.rejects(truthOf(await openDataset({ dataset: 'voc20', data: other })), {
    code,
    message:
      /the label 21 .* none of the data set's 20 classes \(the file may have 0 to 20, and 255/,
  })
})

t.test('lists', async t => {
  const voc = CASES[0] as Case
  const data = await write(t, voc)
  const list = join(data, 'ImageSets/Segmentation/val.txt')
  const reject = async (text: string, message: RegExp) => {
    writeTree(data, { 'ImageSets/Segmentation/val.txt': text })
    await t.rejects(openDataset({ dataset: 'voc21', data }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  await reject('a\nb\n\na\n', /val\.txt, line 4: 'a' stands on line 1 too/)
  await reject('a\n/JPEGImages/b.jpg /x.png\n', /line 2: '\/JPEGImages.*' is no stem/)
  await reject('a\n../b', /line 2: '\.\.\/b' is no stem/)
  await reject('\n', /names no picture/)
  const second = await jpeg(WIDTH, HEIGHT)
  writeTree(data, {
    'ImageSets/Segmentation/val.txt': '\ufefflone\r\n2007_000033 \r\nnone\r\n',
    'JPEGImages/lone.jpg': second,
    'JPEGImages/train.jpg': second,
  })
  const set = await openDataset({ dataset: 'voc21', data })
  t.same(
    set.pictures.map(({ id }) => id),
    ['lone', '2007_000033', 'none'],
  )
  t.same(set.notes.slice(0, 2), [
    '1 picture is missing: none.jpg.',
    '1 label file is missing: lone.png.',
  ])
  const missing = { code: 'ERR_DECLIP_IO' }
  await t.rejects(truthOf(set, 'none'), {
    ...missing,
    message: /none\.jpg, which .*val\.txt names, is not there/,
  })
  await t.rejects(truthOf(set, 'lone'), {
    ...missing,
    message: /lone\.png, the labels of .*lone\.jpg, is not there/,
  })
  t.equal((await truthOf(set, '2007_000033')).width, WIDTH)
  rmSync(list)
  await t.rejects(openDataset({ dataset: 'voc21', data }), {
    ...missing,
    message: /list of pictures is not there: looked for .*val\.txt/,
  })
})

t.test('what is not there is told with where it was looked for', async t => {
  const code = 'ERR_DECLIP_IO'
  const data = t.testdir()
  await t.rejects(openDataset({ dataset: 'ade20k', data }), {
    code,
    message:
      /found no labels of ADE20K \(annotations\/validation\/\*\.png or annotations_detectron2\/.*\)\. Looked below .*ADEChallengeData2016/,
  })
  const one = CASES[0] as Case
  const voc = await write(t, one)
  rmSync(join(voc, 'JPEGImages'), { recursive: true })
  await t.rejects(openDataset({ dataset: 'voc21', data: voc }), {
    code,
    message: /its pictures are not: looked for .*JPEGImages\/\*\.jpg/,
  })
  mkdirSync(join(voc, 'JPEGImages'))
  writeTree(voc, { 'JPEGImages/other.jpg': await jpeg(2, 2) })
  await t.rejects(openDataset({ dataset: 'voc21', data: voc }), {
    code,
    message: /none of the pictures that PASCAL VOC 2012 has/,
  })
})

t.test('opening decodes nothing', async t => {
  const files: Record<string, string> = {}
  for (let i = 0; i < 2000; i++) {
    const id = `ADE_val_${String(i).padStart(8, '0')}`
    files[`images/validation/${id}.jpg`] = 'no picture'
    files[`annotations/validation/${id}.png`] = 'no labels'
  }
  const data = writeTree(t.testdir(), files)
  const start = performance.now()
  const set = await openDataset({ dataset: 'ade20k', data })
  t.comment(`2000 pictures were listed in ${(performance.now() - start).toFixed(0)} ms`)
  t.equal(set.pictures.length, 2000)
  t.same(set.notes, [])
  await t.rejects(truthOf(set), { code: 'ERR_DECLIP_IMAGE' })
})

t.test('stopped', async t => {
  const data = await write(t, CASES[0] as Case)
  await t.rejects(openDataset({ dataset: 'voc21', data, signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})
