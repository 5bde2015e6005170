import { readFileSync } from 'node:fs'
import t from 'tap'
import { DATASETS, type DatasetName } from '../../../ts/methods/benchmarks.js'
import { CAT_SEG_SETS, CAT_SEG_WORDS } from '../../../ts/methods/cat-seg-benchmarks.js'
import type { DatasetWords } from '../../../ts/methods/method.js'
import { fixture } from '../../support/calls.js'

/** A list of the authors' as it lies with their fixtures. */
const authors = (name: string): string[] =>
  JSON.parse(readFileSync(fixture('cat-seg', 'names', `${name}.json`), 'utf8'))

const asked = (name: DatasetName) => CAT_SEG_WORDS[name] as DatasetWords

t.test("words are the authors' lists, in their order", async t => {
  const lists = {
    'coco-stuff': 'coco',
    ade20k: 'ade150',
    'ade20k-847': 'ade847',
    context59: 'pc59',
    context459: 'pc459',
    voc20: 'voc20',
  } as const
  for (const [name, list] of Object.entries(lists)) {
    // Blanks around a name change no token.
    const expected = authors(list).map(word => word.trim())
    t.strictSame(asked(name as DatasetName).classes, expected, name)
    t.equal(asked(name as DatasetName).background, false)
  }
  const { classes, background } = asked('voc20b')
  t.equal(background, 20)
  t.strictSame(
    classes.flatMap(line => line.split(', ')),
    authors('voc20b'),
  )
  t.strictSame(
    classes.slice(0, 20),
    authors('voc20b').slice(0, 20),
    'what is not the background is a class each',
  )
})

t.test('847 classes have fewer first names', async t => {
  const first = DATASETS['ade20k-847'].labels.map(line => line.split(', ')[0])
  t.equal(new Set(first).size, 837)
  t.equal(DATASETS['ade20k-847'].labels.filter(line => line.includes(', ')).length, 217)
})

t.test('published figures of every set', async t => {
  const of = (name: DatasetName, backbone: string) =>
    CAT_SEG_SETS[name]?.published.find(one => one.backbone === backbone)
  const sets = ['ade20k-847', 'context459', 'ade20k', 'context59', 'voc20', 'voc20b'] as const
  const row = (backbone: string) => sets.map(name => of(name, backbone)?.mIoU)
  t.strictSame(row('CLIP ViT-B/16'), [12.0, 19.0, 31.8, 57.5, 94.6, 77.3])
  t.strictSame(row('CLIP ViT-L/14@336'), [16.0, 23.8, 37.9, 63.3, 97.0, 82.5])
  t.strictSame(row('DeCLIP ViT-B/16'), [15.3, 21.4, 36.3, 60.6, 96.6, 81.3])
  const released = 'DeCLIP ViT-B/16, the released file'
  t.strictSame(row(released), [15.2, 21.47, 36.57, 60.89, 96.68, 81.54])
  t.equal(of('voc20', released)?.mark, 'R')
  t.match(of('ade20k', 'CAT-Seg of 2023, another program: CLIPSelf ViT-L/14'), {
    mIoU: 34.5,
    mark: 'S',
  })
  t.equal(of('voc20b', 'CAT-Seg of 2023, another program: CLIPSelf ViT-L/14'), undefined)
})
