import t from 'tap'
import {
  backgroundLabel,
  DATASET_NAMES,
  DATASETS,
  type DatasetName,
} from '../../../ts/methods/benchmarks.js'
import { datasets, METHOD_NAMES, METHODS, type MethodName } from '../../../ts/methods/list.js'
import { parseClasses } from '../../../ts/text/class-files.js'
import { Tokenizer } from '../../../ts/text/tokenizer.js'

const words = (method: MethodName, dataset: DatasetName): string[][] =>
  parseClasses(datasets(method, dataset).classes)

t.test('number of labels of every benchmark, and no label twice', async t => {
  const counts: Record<DatasetName, number> = {
    voc21: 21,
    voc20: 20,
    context60: 60,
    context59: 59,
    'coco-object': 81,
    'coco-stuff': 171,
    'coco-stuff10k': 171,
    ade20k: 150,
    'ade20k-847': 847,
    context459: 459,
    voc20b: 21,
    cityscapes: 19,
    'coco-panoptic': 133,
  }
  for (const name of DATASET_NAMES) {
    const { labels, background } = DATASETS[name]
    t.equal(labels.length, counts[name], name)
    t.equal(labels.indexOf('background'), backgroundLabel(DATASETS[name]), `${name}: background`)
    t.equal(background !== false, labels.includes('background'))
    t.strictSame(
      labels,
      labels.map(label => label.trim()),
      `${name}: trimmed`,
    )
  }
  for (const name of ['voc21', 'context60', 'coco-object', 'ade20k', 'cityscapes'] as const) {
    t.equal(new Set(DATASETS[name].labels).size, counts[name], `${name}: all different`)
  }
})

t.test('label ids that the data sets fix', async t => {
  t.equal(DATASETS.voc21.labels[15], 'person')
  t.equal(DATASETS.voc20.labels[14], 'person')
  t.equal(DATASETS.context60.labels[59], 'wood')
  t.equal(DATASETS['coco-object'].labels[80], 'toothbrush')
  t.equal(DATASETS['coco-stuff'].labels[79], 'toothbrush')
  t.equal(DATASETS['coco-stuff'].labels[80], 'banner')
  t.equal(DATASETS['coco-stuff'].labels[170], 'wood')
  t.equal(DATASETS['coco-panoptic'].things, 80)
  t.equal(DATASETS['coco-panoptic'].labels[132], 'rug-merged')
  t.equal(DATASETS.ade20k.labels[12], 'person')
  t.equal(DATASETS.ade20k.labels[149], 'flag')
  t.equal(DATASETS.cityscapes.labels[10], 'sky')
})

t.test('every method has one line per label of every set it was run on', async t => {
  for (const method of METHOD_NAMES) {
    for (const dataset of Object.keys(METHODS[method].datasets) as DatasetName[]) {
      const { classes, background, synonyms } = datasets(method, dataset)
      const { labels } = DATASETS[dataset]
      t.equal(classes.length, labels.length, `${method} on ${dataset}`)
      t.equal(background, DATASETS[dataset].background, `${method} on ${dataset}: background`)
      if (synonyms) t.equal(synonyms.length, labels.length - (background === false ? 0 : 1))
      t.notOk(classes.some(line => line.includes(';')))
    }
  }
})

t.test('ITACLIP', async t => {
  const voc = words('itaclip', 'voc21')
  t.equal(voc[0]?.length, 44, 'background words of VOC21')
  t.equal(new Set(voc[0]).size, 44)
  t.strictSame(voc[3], ['bird', 'avian'])
  t.strictSame(voc[4], ['ship'])
  t.equal(voc[15]?.length, 9)
  t.strictSame(voc[15]?.slice(-2), ['person in hat', 'body'])
  t.strictSame(voc[20], ['television monitor', 'tv monitor', 'monitor', 'television', 'screen'])
  t.equal(voc.flat().length, 44 + 20 + 8 + 4 + 4, 'words of VOC21')

  const object = words('itaclip', 'coco-object')
  t.equal(object[0]?.length, 26)
  t.strictSame(object[1]?.slice(-2), ['body', 'person in hat'])
  t.equal(object[63]?.length, 6, 'tv')
  t.strictSame(object[10], ['traffic light'])
  t.strictSame(words('itaclip', 'context60')[0], ['background'])
  t.strictSame(words('itaclip', 'context60')[59], ['wood'])

  const stuff = words('itaclip', 'coco-stuff')
  t.strictSame(stuff[9], ['trafficlight'])
  t.strictSame(stuff[84], ['building-other'])
  t.strictSame(words('itaclip', 'cityscapes')[7], ['trafficsign'])

  const { synonyms } = datasets('itaclip', 'coco-object')
  t.equal(synonyms?.[DATASETS['coco-object'].labels.indexOf('cat') - 1], 'feline')
  t.equal(synonyms?.[79], 'brush')
  t.equal(datasets('itaclip', 'cityscapes').synonyms?.[12], 'passenger')
  t.equal(datasets('itaclip', 'voc21').synonyms, undefined)
})

t.test('SCLIP, NACLIP, ProxyCLIP and ClearCLIP', async t => {
  t.equal(words('sclip', 'voc21')[0]?.length, 26)
  t.equal(words('sclip', 'voc21')[15]?.length, 7)
  t.equal(words('sclip', 'voc20')[19]?.length, 5)
  t.equal(words('sclip', 'coco-object')[1]?.at(-1), 'body')
  t.equal(words('sclip', 'ade20k').flat().length, 150)
  t.equal(words('sclip', 'ade20k')[44]?.[0], 'chestofdrawers')
  t.strictSame(datasets('naclip', 'voc21'), datasets('sclip', 'voc21'))
  t.equal(words('proxyclip', 'voc21')[0]?.length, 26)
  t.equal(words('proxyclip', 'coco-object')[0]?.length, 17)
  t.equal(words('proxyclip', 'voc21').flat().length, 26 + 20)
  t.strictSame(words('clearclip', 'voc21')[0], ['background'])
  t.equal(words('clearclip', 'coco-stuff').flat().length, 171)
  t.strictSame(datasets('declip', 'voc21'), datasets('clearclip', 'voc21'))
})

t.test("the longest prompts of all words fit CLIP's context", async t => {
  const all = METHOD_NAMES.flatMap(method =>
    (Object.keys(METHODS[method].datasets) as DatasetName[]).flatMap(set => words(method, set)),
  )
  const prompts = [...new Set(all.flat())].flatMap(word =>
    ['a jpeg corrupted photo of the {}.', 'a photo of the hard to see {}.'].map(prompt =>
      prompt.replace('{}', word),
    ),
  )
  t.ok(prompts.length > 500)
  t.doesNotThrow(() => new Tokenizer().tokenize(prompts, { contextLength: 77, truncate: false }))
})

t.test('names that do not exist', async t => {
  const code = 'ERR_DECLIP_INVALID_ARG'
  t.throws(() => datasets('clip' as 'sclip', 'voc21'), { code, message: /"clip".*itaclip/ })
  t.throws(() => datasets('itaclip', 'ade20k'), { code, message: /'itaclip' "ade20k".*coco-stuff/ })
  t.throws(() => datasets('sclip', 'constructor' as 'voc21'), { code })
})
