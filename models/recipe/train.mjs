/**
 * Makes the bundled model from nothing: art, scenes, evaluation sets, then the stages of stages/.
 * What is there already is kept, and a stage that was ended goes on where it was.
 *
 *   node models/recipe/train.mjs --work <folder> [--stages base-64,base,words,cells,finish,more,region,clipself,declip]
 *     [--seed 1] [--try]
 *
 * The folder then holds shards/, shards-dots/, sets/ and runs/<stage>/; with another --seed the runs are in
 * runs-<seed>/. Ctrl-C stops after the running step; the same command goes on. `--try` does a little of
 * everything in a few minutes, to see that it works: what comes out is of no use, so give it a folder
 * of its own.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { endWith, Failure, root, run, step } from '../../scripts/build/common.mjs'
import { firstWeights } from './stages/first.mjs'

const STAGES = [
  'base-64',
  'base',
  'words',
  'cells',
  'finish',
  'more',
  'region',
  'clipself',
  'declip',
]
const recipe = join(root, 'models', 'recipe')
const script = name => join(recipe, 'scenes', `${name}.mjs`)

/** The stage's configuration in the work folder, where its relative paths start. */
function writeConfig(work, stage, seed, brief) {
  const text = readFileSync(join(recipe, 'stages', `${stage}.json`), 'utf8')
  const runs = seed === 1 ? 'runs' : `runs-${seed}`
  const config = JSON.parse(text.replaceAll('runs/', `${runs}/`))
  if (brief) {
    Object.assign(config, { steps: 3, logEvery: 1, saveEvery: 2 })
    config.schedule.warmup = 1
  }
  if (config.model === 'first.safetensors') firstWeights(work)
  const file = join(work, seed === 1 ? `${stage}.json` : `${stage}-${seed}.json`)
  writeFileSync(file, `${JSON.stringify({ ...config, seed: config.seed + seed - 1 }, null, 2)}\n`)
  return { file, out: join(work, config.out) }
}

async function main() {
  const { values } = parseArgs({
    options: {
      work: { type: 'string' },
      stages: { type: 'string', default: STAGES.join(',') },
      seed: { type: 'string', default: '1' },
      try: { type: 'boolean', default: false },
    },
  })
  if (!values.work) throw new Failure('Say where everything goes: --work <folder>.')
  const stages = values.stages.split(',')
  for (const stage of stages)
    if (!STAGES.includes(stage)) throw new Failure(`--stages has ${STAGES}; not '${stage}'.`)
  const seed = Number(values.seed)
  if (!Number.isInteger(seed) || seed < 1) throw new Failure('--seed is a whole number from 1.')
  const work = resolve(values.work)
  mkdirSync(work, { recursive: true })
  const few = values.try ? ['--count', '260', '--per-shard', '10'] : []
  for (const [folder, cells] of [
    ['shards', 'whole'],
    ['shards-dots', 'dots'],
  ]) {
    const out = join(work, folder)
    const options = ['--out', out, '--cells', cells, '--threads', '2', ...few]
    if (!existsSync(join(out, '000025.tar')))
      await step(folder, () => run('node', [script('shards'), ...options]))
  }
  for (const styles of ['valid', 'test']) {
    const out = join(work, 'sets', styles)
    if (!existsSync(out))
      await step(`${styles} sets`, () =>
        run('node', [script('sets'), '--out', out, '--styles', styles]),
      )
  }
  for (const stage of stages) {
    const { file, out } = writeConfig(work, stage, seed, values.try)
    if (existsSync(join(out, 'model-average'))) continue
    const resume = existsSync(join(out, 'state.safetensors')) ? ['--resume'] : []
    const declip = join(root, 'dist', 'cli', 'main.js')
    await step(stage, () =>
      run('node', [declip, 'train', '--config', file, '--nproc', '2', ...resume]),
    )
  }
}

await main().catch(endWith)
