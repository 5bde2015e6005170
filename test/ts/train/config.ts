import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readConfig, resolveConfig } from '../../../ts/train/config.js'

const least = {
  objective: 'clipself',
  out: 'run',
  model: 'a.pt',
  data: { kind: 'folder', path: 'pictures' },
}

t.test('defaults are those of the papers’ programs', t => {
  t.match(resolveConfig(least), {
    epochs: 6,
    contentWeight: 1,
    contextWeight: 0.1,
    leastClasses: 100,
    regionLoss: 'sigmoid',
    regions: { source: 'grid', maxBoxes: 20, maxSplit: 6, minSize: 8, maxSize: 1024 },
    schedule: { kind: 'cosine', rate: 1e-5, warmup: 1000 },
    optimizer: { weightDecay: 0.1, clipNorm: 0 },
    seed: 0,
  })
  t.end()
})

t.test('every mistake is a sentence that names its field', t => {
  const cases: [object, string | RegExp][] = [
    [
      { objective: 'distil' },
      "objective must be 'clipself', 'declip', 'region-text', 'contrastive', 'fvit', 'cat-seg', received 'distil'.",
    ],
    [{ out: '' }, "out must not be empty, received ''."],
    [{ out: undefined }, 'out is missing.'],
    [{ data: undefined }, 'data is missing.'],
    [{ data: { kind: 'folder' } }, 'data.path is missing.'],
    [{ data: 'pictures' }, "data must be an object, received 'pictures'."],
    [{ batch: 0 }, 'batch must be a whole number from 1, received 0.'],
    [{ batch: 1.5 }, 'batch must be a whole number from 1, received 1.5.'],
    [{ batch: '4' }, "batch must be a number, received '4'."],
    [{ alpha: 2 }, 'alpha must be a number from 0 to 1, received 2.'],
    [{ seed: -1 }, 'seed must be a whole number from 0 to 4294967295, received -1.'],
    [{ schedule: { rate: Number.NaN } }, /schedule\.rate must be a number, received NaN\./],
    [{ schedule: { warmUp: 5 } }, /^schedule\.warmUp is no field; there are kind, rate, warmup, /],
    [{ lr: 5 }, /^lr is no field; there are objective, out, model, /],
    [{ trainText: 1 }, 'trainText must be true or false, received 1.'],
    [{ device: 'gpu' }, "device must be 'cpu', 'cuda' or 'cuda:1', received 'gpu'."],
    [{ multiscale: [] }, /^multiscale must name at least one side/],
    [{ templates: ['a photo'] }, /^templates\[0\] must be a prompt with \{\}/],
    [{ classes: 5 }, 'classes must be a text or a list of texts, received 5.'],
    [{ model: undefined }, /^Give either model or newModel/],
    [{ augment: {} }, /^augment is for/],
    [{ teacher: { model: 'x' } }, /^teacher is for/],
    [{ regionWeight: 1 }, /^regionWeight is for/],
    [{ classes: ['a'] }, /^classes and classFeatures are for/],
    [{ regions: { source: 'proposals' } }, /needs data with boxes/],
    [{ objective: 'contrastive' }, /needs captions/],
    [{ objective: 'region-text' }, /needs labelled boxes/],
    [{ objective: 'region-text', data: { kind: 'shards', path: 'a.tar' } }, /needs classes/],
    [{ objective: 'declip', multiscale: [64] }, /^multiscale is for/],
  ]
  for (const [changes, message] of cases) {
    const attempt = () => resolveConfig({ ...least, ...changes })
    t.throws(attempt, { code: 'ERR_DECLIP_INVALID_ARG', message }, JSON.stringify(changes))
  }
  const two = () => resolveConfig({ ...least, batch: 0, alpha: -1 })
  t.throws(two, { message: /2 mistakes:\n- batch must .*\n- alpha must /s })
  const newModel = {
    objective: 'contrastive',
    out: 'x',
    data: { kind: 'shards', path: 'a.tar' },
    newModel: { imageSize: 32 },
  }
  t.throws(() => resolveConfig(newModel), { message: /newModel\.patchSize is missing/ })
  for (const nothing of [undefined, null, 5, 'x', []]) {
    t.throws(() => resolveConfig(nothing), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  t.end()
})

t.test('a file: paths start at its folder, --set changes fields', async t => {
  const folder = t.testdir()
  const file = join(folder, 'train.json')
  const config = {
    ...least,
    model: 'words-tiny',
    pretrained: './a.pt',
    data: { kind: 'coco', path: 'a.json', images: '/pictures' },
    teacher: { model: '../dino.pth' },
  }
  writeFileSync(file, JSON.stringify(config))
  t.match(await readConfig(file), {
    out: join(folder, 'run'),
    model: 'words-tiny',
    pretrained: join(folder, 'a.pt'),
    data: { path: join(folder, 'a.json'), images: '/pictures' },
    teacher: { model: join(folder, '..', 'dino.pth') },
  })
  const changed = await readConfig(file, [
    'schedule.rate=1e-4',
    'augment.crop=[0.5,1]',
    'model=owner/name',
    'data.path=b.json',
    'out=/runs/a',
  ])
  t.match(changed, {
    schedule: { rate: 1e-4 },
    augment: { crop: [0.5, 1] },
    model: 'owner/name',
    data: { path: join(folder, 'b.json') },
    out: '/runs/a',
  })
  for (const change of ['rate', '=5', 'a b=5']) {
    await t.rejects(readConfig(file, [change]), { message: /--set must be name=value/ })
  }
  await readConfig(file, ['__proto__.polluted=1'])
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
  await t.rejects(readConfig(join(folder, 'none.json')), { code: 'ERR_DECLIP_IO' })
  writeFileSync(file, '{')
  await t.rejects(readConfig(file), { code: 'ERR_DECLIP_INVALID_ARG', message: /is not JSON/ })
  writeFileSync(file, '[]')
  await t.rejects(readConfig(file), { message: /must hold an object/ })
})
