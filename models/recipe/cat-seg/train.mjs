/**
 * Trains the small CAT-Seg from nothing: scenes, its head on the bundled model's frozen tower, the figures. What is
 * there already is kept, and training that was ended goes on where it was.
 *
 *   npm run train:cat-seg -- --work <folder> [--seed 1] [--try]
 *
 * The folder then holds scenes/{train,valid,test}/, run/ (log, plot, states, and in run/model the weights, which
 * loadModel() takes) and figures.json, figures.md. `--try` does a little of everything in a minute or two, to see that
 * it works: what comes out is of no use, so give it a folder of its own.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { endWith, Failure, root, run, step } from '../../../scripts/build/common.mjs'
import { toTable } from './table.mjs'

const here = join(root, 'models', 'recipe', 'cat-seg')
const script = (/** @type {string} */ name) => join(here, `${name}.mjs`)
const SCENES = { train: 4000, valid: 150, test: 150 }
const FEW = { train: 12, valid: 2, test: 2 }

/** The configuration in the work folder, where its relative paths start. */
function writeConfig(work, seed, brief) {
  const config = { ...JSON.parse(readFileSync(join(here, 'cat-seg.json'), 'utf8')), seed }
  if (brief) {
    Object.assign(config, { steps: 3, batch: 1, logEvery: 1, saveEvery: 2 })
    config.schedule.warmup = 1
  }
  const file = join(work, 'cat-seg.json')
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`)
  return { file, out: join(work, config.out) }
}

async function main() {
  const { values } = parseArgs({
    options: {
      work: { type: 'string' },
      seed: { type: 'string', default: '1' },
      try: { type: 'boolean', default: false },
    },
  })
  if (!values.work) throw new Failure('Say where everything goes: --work <folder>.')
  const seed = Number(values.seed)
  if (!Number.isInteger(seed) || seed < 1) throw new Failure('--seed is a whole number from 1.')
  const work = resolve(values.work)
  mkdirSync(work, { recursive: true })
  for (const [styles, count] of Object.entries(values.try ? FEW : SCENES)) {
    const out = join(work, 'scenes', styles)
    if (existsSync(join(out, 'classes.txt'))) continue
    const options = ['--out', out, '--styles', styles, '--count', String(count)]
    await step(`${styles} scenes`, () => run('node', [script('scenes'), ...options]))
  }
  const { file, out } = writeConfig(work, seed, values.try)
  const trained = join(out, 'model')
  if (!existsSync(trained)) {
    const resume = existsSync(join(out, 'state.safetensors')) ? ['--resume'] : []
    const declip = join(root, 'dist', 'cli', 'main.js')
    await step('head', () => run('node', [declip, 'train', '--config', file, ...resume]))
  }
  const figures = join(work, 'figures.json')
  const options = ['--model', trained, '--data', join(work, 'scenes', 'test'), '--out', figures]
  const only = values.try ? ['--only', 'CAT-Seg,`maskclip`'] : []
  await step('figures', () => run('node', [script('measure'), ...options, ...only]))
  const table = toTable(JSON.parse(readFileSync(figures, 'utf8')))
  writeFileSync(join(work, 'figures.md'), `${table}\n`)
  console.log(`${table}\n\nThe model: ${trained}`)
}

await main().catch(endWith)
