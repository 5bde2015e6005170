/**
 * Every method on a model of every family: it runs, or is refused with what runs; the table of the guide says
 * which.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { Tensor } from '../../../ts/engine/tensor.js'
import type { DeclipError } from '../../../ts/errors.js'
import { METHOD_NAMES } from '../../../ts/methods/list.js'
import { defaultMethod, presetFor } from '../../../ts/methods/preset.js'
import { inspectCheckpoint, loadModel } from '../../../ts/model/load.js'
import { segment } from '../../../ts/segment/segment.js'
import { finish } from '../../support/child.js'

const fixture = (name: string) => join(packageRoot, 'test/fixtures', name)
const dino = fixture('vfm/dinov2-hf')

/** Small models with random weights, by family. */
const MODELS = {
  clip: fixture('clip-formats/hf'),
  eva: fixture('eva-tiny/eva-tiny.safetensors'),
  siglip: fixture('families/siglip-hf'),
  pe: fixture('families/pe-core.safetensors'),
  tips: fixture('families/tipsv2-hf'),
}

/** What a method or mode needs of models whose depth nobody has published numbers for, as the fixtures' is. */
const scclip = { middleBlock: 1, earlyBlock: 1, fusedBlocks: [1, 1], classWeight: 0.3 } as const
/** Nor has such a tower earlier blocks enough for CorrCLIP's spatial branch. */
const corrclip = { spatialWeight: 0 } as const

/** The guide's rows: a cell per method, the default one in bold. */
const table = new Map(
  readFileSync(join(packageRoot, 'docs/guides/methods.md'), 'utf8')
    .split('\n')
    .filter(line => /^\| `(clip|eva|siglip|pe|tips)` \| /.test(line))
    .map(line => {
      const [family = '', ...cells] = line
        .split('|')
        .map(cell => cell.trim())
        .slice(1, -1)
      return [family.replaceAll('`', ''), cells] as const
    }),
)

t.strictSame([...table.keys()], Object.keys(MODELS))

for (const [family, path] of Object.entries(MODELS)) {
  t.test(family, async t => {
    const inspected = await inspectCheckpoint(path)
    const model = await loadModel(path, { dtype: 'float32' })
    t.teardown(() => model.dispose())
    const { info } = model
    t.equal(info.family, family)
    t.strictSame(inspected.denseModes, info.denseModes, 'as the encoder has them')
    t.strictSame(inspected.methods, info.methods)

    // of a model of the usual size, which the fixtures are not
    const facts = { ...info, imageSize: 224, denseMode: null }
    const cells = METHOD_NAMES.map(method => {
      const { mode } = presetFor(method, undefined, facts).preset
      if (!info.methods.includes(method)) return '–'
      return method === defaultMethod(facts) ? `**${method === mode ? method : mode}**` : mode
    })
    t.strictSame(table.get(family), cells, 'the table of docs/guides/methods.md')

    const picture = join(packageRoot, 'models/scenes/park.png')
    for (const method of METHOD_NAMES) {
      const side = info.imageSize
      const call = model.encode(picture, {
        method,
        shortSide: side,
        proxy: { model: dino },
        scclip,
        corrclip,
      })
      if (info.methods.includes(method)) {
        const view = await call
        t.ok(view.windows > 0, method)
        view.dispose()
        continue
      }
      const error = (await call.then(
        view => view.dispose(),
        e => e,
      )) as DeclipError
      t.equal(error.code, 'ERR_DECLIP_INVALID_ARG', method)
      t.match(error.message, `Methods that run on it: '${info.methods.join("', '")}'.`)
    }
    using features = Tensor.from(new Float32Array(32).map(Math.cos), [1, 8, 2, 2])
    for (const mode of info.denseModes) {
      const proxy = mode === 'proxyclip' || mode === 'corrclip'
      const options = proxy ? { mode, proxy: { features }, corrclip } : { mode, scclip }
      const patches = await model.encodeDense(picture, options)
      t.equal(patches.shape[1], info.embedDim, mode)
      patches.dispose()
    }
  })
}

t.test('a call that names nothing but the model', async t => {
  const picture = join(packageRoot, 'models/scenes/park.png')
  const model = await loadModel(MODELS.siglip)
  t.teardown(() => model.dispose())
  using byDefault = await segment(picture, ['cat', 'dog'], { model })
  using named = await segment(picture, ['cat', 'dog'], { model, method: 'maskclip' })
  t.strictSame(await byDefault.labels.data(), await named.labels.data())
})

t.test('the command line says the same', async t => {
  const picture = join(packageRoot, 'models/scenes/park.png')
  const model = await loadModel(MODELS.siglip)
  t.teardown(() => model.dispose())
  const { message } = await segment(picture, ['cat'], { model, method: 'sclip' }).then(
    () => new Error('runs'),
    (error: Error) => error,
  )
  const args = ['segment', picture, '--classes', 'cat', '--model', MODELS.siglip]
  const main = join(packageRoot, 'dist/cli/main.js')
  const { code, err } = await finish(spawn(process.execPath, [main, ...args, '--method', 'sclip']))
  t.equal(code, 2, 'wrong usage')
  t.equal(err, `declip: ERR_DECLIP_INVALID_ARG: ${message}\n`)
})
