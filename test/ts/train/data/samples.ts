/** The sample configurations of examples/training run as they are, on small data and models. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../../ts/base/package-files.js'
import { loadModel, train } from '../../../../ts/index.js'
import { readConfig } from '../../../../ts/train/config.js'
import { fixture } from '../../../support/calls.js'
import { labelledPicture, writeLabelled } from '../../../support/labelled.js'
import { writeRectangles } from '../../../support/objects.js'
import { png } from '../../../support/png.js'
import { writePictures, writeShards } from '../../../support/training.js'

const folder = t.testdir()
const samples = join(packageRoot, 'examples', 'training')
await writeShards(folder, 2, 32)
const pictures = await writePictures(join(folder, 'pictures'), 16)
const coco = join(folder, 'coco.json')
writeFileSync(
  coco,
  JSON.stringify({
    images: pictures.map((file_name, id) => ({ id, file_name })),
    annotations: pictures.map((_, id) => ({
      image_id: id,
      category_id: id % 4,
      bbox: [4, 4, 30, 20],
    })),
    categories: [0, 1, 2, 3].map(id => ({ id, name: `thing ${id}` })),
  }),
)

const scenes = join(folder, 'scenes')
await writeRectangles(scenes, 8)

const labelled = join(folder, 'labelled')
await writeLabelled(labelled, 8)

// COCO-Stuff as it is published: pictures, and the ids of its classes.
const stuff = join(folder, 'coco_stuff164k')
for (const name of ['images/train2017', 'stuffthingmaps/train2017']) {
  mkdirSync(join(stuff, name), { recursive: true })
}
for (let i = 0; i < 8; i++) {
  const { width, height, pixels, labels } = labelledPicture(i)
  writeFileSync(join(stuff, `images/train2017/${i}.png`), png(width, height, pixels, { color: 2 }))
  writeFileSync(join(stuff, `stuffthingmaps/train2017/${i}.png`), png(width, height, labels))
}

const student = fixture('train', 'student.safetensors')
const shortened = ['steps=1', 'schedule.warmup=0', 'device=cpu']
const onPictures = [
  `model=${student}`,
  `data.path=${coco}`,
  `data.images=${join(folder, 'pictures')}`,
  'imageSize=64',
  'unlockedGroups=2',
]
const onScenes = [
  'model=words-tiny',
  `data.path=${join(scenes, 'annotations.json')}`,
  `data.images=${join(scenes, 'images')}`,
  'evaluate.dataset=folder',
  `evaluate.data=${scenes}`,
  'evaluate.limit=2',
  'imageSize=96',
  'batch=2',
  'dtype=float32',
  'templates=none',
  'detector.channels=16',
  'detector.hidden=32',
]
/** A head for the bundled model's tower; the evaluation is of a folder. */
const smallHead = [
  'model=words-tiny',
  'imageSize=96',
  'batch=2',
  'evaluate.dataset=folder',
  `evaluate.data=${labelled}`,
  'evaluate.limit=2',
  'catSeg.side=96',
  'catSeg.canvas=160',
  'catSeg.cut=96',
  'catSeg.stride=64',
  'catSeg.head.window=6',
  'catSeg.head.channels=48',
  'catSeg.head.layers=1',
]
const CHANGES: Record<string, string[]> = {
  'cat-seg-coco-stuff.json': [...smallHead, `data.path=${stuff}`],
  'cat-seg-folder.json': [
    ...smallHead,
    `data.path=${labelled}`,
    `classes=${join(labelled, 'classes.txt')}`,
  ],
  'cat-seg-small.json': [...smallHead, `data.path=${labelled}`],
  'contrastive.json': [
    `data.path=${join(folder, 'train-{0..1}.tar')}`,
    'newModel.imageSize=32',
    'newModel.layers=2',
  ],
  'clipself.json': onPictures,
  'declip.json': [
    ...onPictures,
    `teacher.model=${fixture('vfm', 'dinov2-reg.safetensors')}`,
    'teacher.config.headWidth=32',
  ],
  // The student of the fixtures knows 60 tokens only.
  'region-text.json': [...onPictures, 'model=words-tiny', 'imageSize=96', 'templates=none'],
  'fvit-coco.json': onScenes,
  'fvit-lvis.json': onScenes,
  'fvit-small.json': onScenes,
}

t.same(readdirSync(samples).sort(), Object.keys(CHANGES).sort(), 'every sample is run')
for (const [name, changes] of Object.entries(CHANGES)) {
  t.test(name, async t => {
    const out = join(folder, `run-${name}`)
    const config = await readConfig(join(samples, name), [...shortened, ...changes, `out=${out}`])
    const { model, log } = await train(config)
    const [line] = readFileSync(log, 'utf8').trim().split('\n')
    t.ok(JSON.parse(line as string).loss > 0)
    const loaded = await loadModel(model)
    t.ok(loaded.info.towers.includes('text'))
    loaded.dispose()
  })
}
