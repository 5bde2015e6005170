/** Configurations of objective 'cat-seg'. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { readConfig, resolveConfig } from '../../../ts/train/config.js'

const least = {
  objective: 'cat-seg',
  out: 'run',
  model: 'a.pt',
  data: { kind: 'labels', path: 'a' },
}

t.test('defaults are those of the released configuration', t => {
  t.match(resolveConfig(least), {
    batch: 4,
    steps: 80_000,
    schedule: { kind: 'cosine', rate: 2e-4, warmup: 0 },
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4, clipNorm: 0.01 },
    catSeg: {
      clip: 'attention',
      clipRate: 0.01,
      pooling: 2,
      scale: [1, 1],
      longSide: 1333,
      jitter: 0.5,
      mirror: 0.5,
    },
  })
  t.strictSame(resolveConfig(least), resolveConfig({ ...least, catSeg: {} }))
  t.equal(resolveConfig({ ...least, epochs: 3 }).steps, undefined, 'epochs count then')
  t.match(resolveConfig({ ...least, steps: 9, optimizer: { clipNorm: 1 } }), {
    steps: 9,
    optimizer: { clipNorm: 1, weightDecay: 1e-4 },
  })
  // Other objectives keep theirs.
  const other = resolveConfig({
    ...least,
    objective: 'clipself',
    data: { kind: 'folder', path: 'a' },
  })
  t.match(other, { batch: 16, schedule: { rate: 1e-5, warmup: 1000 } })
  t.equal(other.catSeg, undefined)
  t.end()
})

t.test('every mistake is a sentence that names its field', t => {
  const stuff = { kind: 'coco-stuff', path: 'a' }
  const cases: [object, string | RegExp][] = [
    [
      { data: { kind: 'folder', path: 'a' } },
      "objective 'cat-seg' needs a label for every pixel: data.kind 'labels' or 'coco-stuff'.",
    ],
    [{ data: stuff, classes: ['a'] }, /^classes are for data\.kind 'labels'/],
    [{ data: { ...stuff, reduceZero: true } }, /^data\.labelMap and data\.reduceZero are for/],
    [
      { data: { ...least.data, reduceZero: true, labelMap: { 1: 0 } } },
      'Give either data.labelMap or data.reduceZero: both say what values mean.',
    ],
    [
      { data: { ...least.data, labelMap: { dog: 1 } } },
      /^data\.labelMap must be an object of values/,
    ],
    [{ data: { ...least.data, labelMap: { 1: -1 } } }, /^data\.labelMap\.1 must be a whole number/],
    [{ data: { ...least.data, ignore: -1 } }, /^data\.ignore must be a whole number from 0/],
    [{ templates: 'vild' }, "templates is not for objective 'cat-seg': it has catSeg.prompt."],
    [{ augment: {} }, /^augment is not for objective 'cat-seg': it has catSeg\.scale/],
    [{ mode: 'qq' }, "mode is not for objective 'cat-seg': it has catSeg.mode."],
    [{ alpha: 0.5 }, /^alpha is not for objective 'cat-seg'/],
    [{ classFeatures: 'a.npy' }, /^classFeatures are for objectives/],
    [{ detector: {} }, "detector is for objective 'fvit'."],
    [{ evaluate: { every: 2, data: 'a', dataset: 'lvis' } }, /^evaluate\.dataset 'lvis' is for/],
    [{ evaluate: { every: 2, data: 'a', kind: 'bbox' } }, "evaluate.kind is for objective 'fvit'."],
    [{ catSeg: { prompt: 'a photo' } }, /^catSeg\.prompt must have \{\} once/],
    [{ catSeg: { pooling: 3 } }, /^catSeg\.pooling must be a whole number from 1 to 2/],
    [{ catSeg: { clip: 'full' } }, "catSeg.clip must be 'attention', 'none', received 'full'."],
    [{ catSeg: { scale: [2, 1] } }, /^catSeg\.scale must be \[smaller, larger\]/],
    [{ catSeg: { blocks: [1] } }, /^catSeg\.blocks must have two numbers/],
    [{ catSeg: { head: { width: 1 } } }, /^catSeg\.head\.width is no field; there are channels, /],
    [
      { objective: 'clipself', data: { kind: 'folder', path: 'a' }, catSeg: {} },
      "catSeg is for objective 'cat-seg'.",
    ],
    [{ objective: 'clipself' }, "data.kind 'labels' is for objective 'cat-seg'."],
    [
      {
        objective: 'fvit',
        data: { kind: 'coco', path: 'a' },
        evaluate: { every: 1, data: 'a', dataset: 'voc20' },
      },
      "evaluate.dataset 'voc20' is for objective 'cat-seg'.",
    ],
  ]
  for (const [change, message] of cases) {
    t.throws(() => resolveConfig({ ...least, ...change }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  t.end()
})

t.test('paths start at the file’s folder', async t => {
  const folder = join(packageRoot, 'examples/training')
  for (const name of ['cat-seg-coco-stuff.json', 'cat-seg-folder.json', 'cat-seg-small.json']) {
    const config = await readConfig(join(folder, name))
    const raw = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    t.equal(config.data.path, join(folder, raw.data.path))
    if (raw.evaluate) t.equal(config.evaluate?.data, join(folder, raw.evaluate.data))
    t.equal(resolveConfig(config).objective, 'cat-seg')
  }
})
