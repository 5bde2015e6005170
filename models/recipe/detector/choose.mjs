/**
 * Chooses how much the frozen tower votes, on scenes of the validation style, and writes the detector with it.
 *
 *   node models/recipe/detector/choose.mjs --model <run>/model-average --valid <folder> --out <folder>
 *
 * alpha is chosen by the AP50 of base concepts, beta by that of novel ones, at the temperature of the vote that gives
 * the best AP50 of all. The folder gets the detector (files.mjs) and choice.json with all that was tried.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { evaluate, loadModel } from 'declip-native'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { headsFile, INDEX, writeDetector } from './files.mjs'
import { BASE, NOVEL } from './split.mjs'

const SHARES = [0, 0.15, 0.3, 0.5, 0.7]
const TEMPERATURES = [20, 40]
/** Enough to tell shares apart, and twice as fast as the defaults. */
const FEWER = { scoreThreshold: 0.01, proposals: { keep: 300 } }

async function main() {
  const { values } = parseArgs({
    options: { model: { type: 'string' }, valid: { type: 'string' }, out: { type: 'string' } },
  })
  const { model: trained, valid, out } = values
  if (!trained || !valid || !out)
    throw new Failure('Say --model <folder>, --valid <folder> and --out <folder>.')
  const weights = join(trained, 'open_clip_model.safetensors')
  const plain = { alpha: 0.1, beta: 0.5, voteTemperature: 35 }
  writeDetector(out, headsFile(weights, plain))
  const model = await loadModel(join(out, INDEX))
  const tried = []
  // Scores of base classes depend on alpha alone and of novel ones on beta: one run tells both.
  for (const temperature of TEMPERATURES)
    for (const share of SHARES) {
      if (share === 0 && temperature !== TEMPERATURES[0]) continue
      const { ap50 } = await evaluate({
        task: 'detection',
        dataset: 'folder',
        data: valid,
        model,
        alpha: share,
        beta: share,
        temperature,
        ...FEWER,
      })
      tried.push({ temperature, share, base: ap50.base ?? 0, novel: ap50.novel ?? 0 })
      console.log(JSON.stringify(tried.at(-1)))
    }
  model.dispose()
  const best = TEMPERATURES.map(temperature => {
    const some = tried.filter(one => one.temperature === temperature || one.share === 0)
    const by = kind => some.reduce((a, b) => (b[kind] > a[kind] ? b : a))
    const [base, novel] = [by('base'), by('novel')]
    const sum = BASE.length * base.base + NOVEL.length * novel.novel
    return { temperature, alpha: base.share, beta: novel.share, sum }
  }).reduce((a, b) => (b.sum > a.sum ? b : a))
  const vote = { alpha: best.alpha, beta: best.beta, voteTemperature: best.temperature }
  writeDetector(out, headsFile(weights, vote))
  writeFileSync(join(out, 'choice.json'), `${JSON.stringify({ vote, tried }, null, 1)}\n`)
  console.log(`chosen: ${JSON.stringify(vote)}`)
}

await main().catch(endWith)
