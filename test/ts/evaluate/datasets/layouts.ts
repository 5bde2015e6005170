/** The layouts that CAT-Seg's scripts prepare for detectron2, and the large benchmarks. */
import { join } from 'node:path'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import type { AnyDataset, SemanticTruth } from '../../../../ts/evaluate/datasets/dataset.js'
import { type EvaluationDataset, openDataset } from '../../../../ts/evaluate/datasets/open.js'
import { DATASETS, type DatasetName } from '../../../../ts/methods/benchmarks.js'
import { mat } from '../../../support/mat.js'
import { png } from '../../../support/png.js'
import { jpeg, writeTree } from '../../../support/tree.js'

const WIDTH = 31
const HEIGHT = 29

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)
const filled = (values: readonly number[]) =>
  Array.from({ length: WIDTH * HEIGHT }, (_, i) => values[i % values.length] as number)

/** A grey TIFF of 16 bits. */
const tiff = (values: readonly number[], width = WIDTH, height = HEIGHT): Promise<Buffer> =>
  sharp(Uint16Array.from(values), { raw: { width, height, channels: 1 } })
    .toColourspace('grey16')
    .tiff({ compression: 'none' })
    .toBuffer()
const grey = async (values: readonly number[]) => png(WIDTH, HEIGHT, values, { color: 0 })

interface Case {
  readonly dataset: EvaluationDataset & DatasetName
  readonly image: string
  readonly labels: string
  readonly list?: string
  readonly values: readonly number[]
  /** As the script that prepares them, or the evaluator, has it. */
  readonly rule: (value: number) => number
  readonly ignored: 255 | 65535
  readonly file: (values: readonly number[]) => Buffer | Promise<Buffer>
}

const VOC = {
  image: 'VOCdevkit/VOC2012/JPEGImages/a.jpg',
  ignored: 255,
  values: [...range(0, 20), 255],
} as const
const IMAGE_2010 = 'VOCdevkit/VOC2010/JPEGImages/a.jpg'
const LIST_2010 = 'VOCdevkit/VOC2010/pascalcontext_val.txt'
const LIST_2012 = 'VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt'
const same = (value: number) => value

const CASES: readonly Case[] = [
  {
    dataset: 'ade20k',
    image: 'ADEChallengeData2016/images/validation/a.jpg',
    labels: 'ADEChallengeData2016/annotations_detectron2/validation/a.png',
    values: [...range(0, 149), 255],
    rule: same,
    ignored: 255,
    file: grey,
  },
  {
    dataset: 'ade20k-847',
    image: 'ADE20K_2021_17_01/images_detectron2/validation/a.jpg',
    labels: 'ADE20K_2021_17_01/annotations_detectron2/validation/a.tif',
    values: [...range(0, 846), 65535],
    rule: same,
    ignored: 65535,
    file: tiff,
  },
  {
    dataset: 'context459',
    image: IMAGE_2010,
    labels: 'VOCdevkit/VOC2010/annotations_detectron2/pc459_val/a.tif',
    values: [...range(0, 459), 65535],
    rule: value => (value === 459 ? 65535 : value),
    ignored: 65535,
    file: tiff,
  },
  {
    dataset: 'context459',
    image: IMAGE_2010,
    labels: 'VOCdevkit/VOC2010/trainval/a.mat',
    list: LIST_2010,
    values: range(0, 460),
    rule: value => (value === 0 || value === 460 ? 65535 : value - 1),
    ignored: 65535,
    file: values => mat(WIDTH, HEIGHT, values),
  },
  {
    dataset: 'context59',
    image: IMAGE_2010,
    labels: 'VOCdevkit/VOC2010/annotations_detectron2/pc59_val/a.png',
    values: [...range(0, 58), 255],
    rule: same,
    ignored: 255,
    file: grey,
  },
  {
    dataset: 'voc20',
    ...VOC,
    labels: 'VOCdevkit/VOC2012/SegmentationClassAug/a.png',
    list: LIST_2012,
    rule: value => (value === 0 || value === 255 ? 255 : value - 1),
    file: grey,
  },
  {
    dataset: 'voc20',
    ...VOC,
    values: [...range(0, 19), 255],
    labels: 'VOCdevkit/VOC2012/annotations_detectron2/val/a.png',
    rule: same,
    file: grey,
  },
  {
    dataset: 'voc20b',
    ...VOC,
    labels: 'VOCdevkit/VOC2012/SegmentationClassAug/a.png',
    list: LIST_2012,
    rule: value => (value === 0 ? 20 : value === 255 ? 255 : value - 1),
    file: grey,
  },
  {
    dataset: 'voc20b',
    ...VOC,
    labels: 'VOCdevkit/VOC2012/annotations_detectron2_bg/val/a.png',
    rule: same,
    file: grey,
  },
  {
    dataset: 'coco-stuff',
    image: 'coco-stuff/images/val2017/a.jpg',
    labels: 'coco-stuff/annotations_detectron2/val2017/a.png',
    values: [...range(0, 170), 255],
    rule: same,
    ignored: 255,
    file: grey,
  },
]

async function write(t: Test, one: Case, values = one.values): Promise<string> {
  return writeTree(t.testdir(), {
    [one.image]: await jpeg(WIDTH, HEIGHT),
    [one.labels]: await one.file(filled(values)),
    ...(one.list && { [one.list]: 'a\n' }),
  })
}

const truthOf = (set: AnyDataset, at = 0) => set.pictures[at]?.truth() as Promise<SemanticTruth>

t.test('every form of labels', async t => {
  for (const one of CASES) {
    const name = `${one.dataset}, ${one.labels}`
    const data = await write(t, one)
    const set = await openDataset({ dataset: one.dataset, data })
    t.same(
      set.pictures.map(({ id, image }) => [id, image]),
      [['a', join(data, one.image)]],
      name,
    )
    const truth = await truthOf(set)
    t.same([truth.width, truth.height], [WIDTH, HEIGHT])
    t.equal(truth.labels instanceof Uint16Array, one.ignored === 65535, name)
    t.same([...truth.labels], filled(one.values).map(one.rule), name)
    const { length } = set.classes
    const counted = [...truth.labels].filter(label => label !== one.ignored)
    t.equal(Math.max(...counted), length - 1, `${name}: the last of ${length} classes is there`)
    t.equal(set.notes.length, 1, 'only that these are few pictures')
  }
})

t.test('classes', async t => {
  const open = async (dataset: DatasetName) => {
    const one = CASES.find(one => one.dataset === dataset) as Case
    return openDataset({ dataset: one.dataset, data: await write(t, one) })
  }
  const large = await open('ade20k-847')
  t.strictSame(large.classes[1], { name: 'building, edifice', words: ['building', 'edifice'] })
  t.equal(large.background, -1)
  t.equal((await open('context459')).classes[458]?.name, 'wool')
  const background = await open('voc20b')
  t.equal(background.background, 20)
  t.strictSame(background.classes[0]?.words, ['aeroplane'])
  t.equal(background.classes[20]?.words.length, 39)
  const context = new Set(DATASETS.context59.labels.map(name => name.replace(/^table$/, '')))
  t.notOk(background.classes[20]?.words.some(word => !context.has(word)))
})

t.test('of prepared labels, pictures without a file are no part of the set', async t => {
  const one = CASES.find(({ labels }) => labels.includes('annotations_detectron2/val/')) as Case
  const data = await write(t, one)
  const images = join(one.image, '..')
  writeTree(data, { [join(images, 'b.jpg')]: await jpeg(2, 2), [LIST_2012]: 'a\nb\n' })
  const set = await openDataset({ dataset: 'voc20', data })
  t.same(
    set.pictures.map(({ id }) => id),
    ['a'],
  )
  writeTree(data, { [join(one.labels, '../c.png')]: await grey(filled([1])) })
  const more = await openDataset({ dataset: 'voc20', data })
  t.equal(more.notes[0], '1 picture is missing: c.jpg.')
  await t.rejects(truthOf(more, 1), { code: 'ERR_DECLIP_IO', message: /c\.jpg is not there/ })
})

t.test('what does not belong to a set', async t => {
  const code = 'ERR_DECLIP_INVALID_ARG'
  const bad = async (dataset: DatasetName, labels: RegExp, values: number[], message: RegExp) => {
    const one = CASES.find(one => one.dataset === dataset && labels.test(one.labels)) as Case
    const data = await write(t, one, values)
    await t.rejects(truthOf(await openDataset({ dataset: one.dataset, data })), { code, message })
  }
  await bad('ade20k-847', /tif$/, [0, 847], /the label 847 of .*none of the data set's 847 classes/)
  await bad('context459', /tif$/, [0, 460], /the label 460 .*0 to 459, and 65535/)
  await bad('context459', /mat$/, [1, 461], /the label 461 .*0 to 460/)
  await bad('voc20b', /Aug/, [0, 21], /the label 21 .*21 classes .*0 to 20, and 255/)
  await bad('voc20', /detectron2/, [0, 20], /the label 20 .*20 classes/)
  const one = CASES.find(({ dataset }) => dataset === 'ade20k-847') as Case
  const data = await write(t, one)
  writeTree(data, { [one.labels]: await tiff(Array(6).fill(1), 3, 2) })
  await t.rejects(truthOf(await openDataset({ dataset: 'ade20k-847', data })), {
    code,
    message: /a\.tif is 3 x 2 pixels, its picture .*a\.jpg is 31 x 29/,
  })
  writeTree(data, { [one.labels]: (await tiff(filled([1]))).subarray(0, 300) })
  await t.rejects(truthOf(await openDataset({ dataset: 'ade20k-847', data })), {
    code: 'ERR_DECLIP_IMAGE',
    message: /Cannot read labels of .*a\.tif/,
  })
  const rgb = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } })
    .tiff()
    .toBuffer()
  writeTree(data, { [one.labels]: rgb })
  await t.rejects(truthOf(await openDataset({ dataset: 'ade20k-847', data })), {
    code: 'ERR_DECLIP_IMAGE',
    message: /a TIFF of 3 channels/,
  })
  await t.rejects(openDataset({ dataset: 'context459', data }), {
    code: 'ERR_DECLIP_IO',
    message: /found no labels of PASCAL Context 459 .*annotations_detectron2\/pc459_val\/\*\.tif/,
  })
})
