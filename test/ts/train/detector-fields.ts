/** Configurations of objective 'fvit'. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { readConfig, resolveConfig } from '../../../ts/train/config.js'

const least = {
  objective: 'fvit',
  out: 'run',
  model: 'a.pt',
  data: { kind: 'coco', path: 'a.json' },
}

t.test('defaults are those of the released configuration', t => {
  t.match(resolveConfig({ ...least, detector: {} }), {
    batch: 8,
    epochs: 3,
    templates: 'vild',
    schedule: { kind: 'step', rate: 1e-4, warmup: 250, warmupFrom: 0.001, decay: 0.1 },
    optimizer: { weightDecay: 0.1, clipNorm: 1 },
    detector: {
      variant: 'coco',
      masks: false,
      rpnNorm: false,
      lowQualityBoxes: false,
      backgroundWeight: 0.6,
      temperature: 50,
      rpnSamples: 256,
      boxSamples: 512,
      jitter: [0.1, 2],
      mirror: 0.5,
    },
  })
  t.equal(resolveConfig(least).schedule.milestones, undefined)
  t.match(resolveConfig({ ...least, detector: { variant: 'lvis' } }), {
    epochs: 48,
    schedule: { kind: 'step', milestones: [32, 44] },
    detector: { masks: true, rpnNorm: true, lowQualityBoxes: true, backgroundWeight: 0.9 },
  })
  t.strictSame(resolveConfig(least).detector, resolveConfig({ ...least, detector: {} }).detector)
  t.end()
})

t.test('what is given stands', t => {
  const own = {
    ...least,
    epochs: 7,
    schedule: { kind: 'cosine', rate: 3e-4 },
    optimizer: { clipNorm: 0 },
    detector: { variant: 'lvis', masks: false },
  }
  t.match(resolveConfig(own), {
    epochs: 7,
    schedule: { kind: 'cosine', rate: 3e-4, warmup: 250 },
    optimizer: { clipNorm: 0 },
    detector: { masks: false, rpnNorm: true },
  })
  t.equal(resolveConfig(own).schedule.milestones, undefined)
  // Other objectives keep theirs.
  t.match(resolveConfig({ ...least, objective: 'clipself', data: { kind: 'folder', path: 'a' } }), {
    batch: 16,
    epochs: 6,
    schedule: { kind: 'cosine', rate: 1e-5 },
  })
  t.end()
})

t.test('every mistake is a sentence that names its field', t => {
  const cases: [object, string | RegExp][] = [
    [
      { regions: {} },
      "regions is not for objective 'fvit': it learns from all boxes of a picture.",
    ],
    [{ alpha: 0.5 }, "alpha is not for objective 'fvit': its tower stays as it is."],
    [{ augment: {} }, /^augment is not for objective 'fvit': it has detector\.jitter/],
    [{ mode: 'qq' }, "mode is not for objective 'fvit': it has detector.mode."],
    [{ multiscale: [320] }, "multiscale is for objective 'clipself'."],
    [{ teacher: { model: 'x' } }, "teacher is for objective 'declip'."],
    [
      { data: { kind: 'folder', path: 'a' } },
      "objective 'fvit' needs annotated objects: data.kind 'coco'.",
    ],
    [{ detector: { cache: {} } }, /^detector\.cache is for detector\.views/],
    [{ detector: { blocks: [1, 2, 3] } }, /^detector\.blocks must have four numbers/],
    [{ detector: { jitter: [2, 0.1] } }, /^detector\.jitter must be \[smaller, larger\]/],
    [{ detector: { mode: 'scclip' } }, /^detector\.mode must be 'vanilla', 'maskclip', 'qq'/],
    [{ detector: { variant: 'voc' } }, "detector.variant must be 'coco', 'lvis', received 'voc'."],
    [
      { detector: { mask: true } },
      /^detector\.mask is no field; there are variant, novel, masks, /,
    ],
    [{ evaluate: { every: 5 } }, 'evaluate.data is missing.'],
    [
      { evaluate: { data: 'a', every: 0 } },
      'evaluate.every must be a whole number from 1, received 0.',
    ],
    [
      { schedule: { kind: 'cosine', milestones: [1] } },
      "schedule.milestones are for schedule.kind 'step'.",
    ],
    [{ objective: 'region-text', detector: {} }, "detector is for objective 'fvit'."],
  ]
  for (const [change, message] of cases) {
    t.throws(() => resolveConfig({ ...least, ...change }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  t.end()
})

t.test('paths of a detector start at the file’s folder', async t => {
  const folder = join(packageRoot, 'examples/training')
  for (const name of ['fvit-coco.json', 'fvit-lvis.json', 'fvit-small.json']) {
    const config = await readConfig(join(folder, name))
    const raw = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    t.equal(config.data.path, join(folder, raw.data.path))
    if (raw.evaluate) t.equal(config.evaluate?.data, join(folder, raw.evaluate.data))
    t.equal(resolveConfig(config).objective, 'fvit')
  }
})
