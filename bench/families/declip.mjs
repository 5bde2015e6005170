/** The package's side of kinds/families.mjs: a model from its folder, steps through the public API. */
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { loadModel, segment } from '../../dist/index.mjs'
import { peakRss, resetPeakRss } from '../measure.mjs'

const { model: folder, dtype, facts, picture, words, prompts } = JSON.parse(process.argv.at(-1))
const begin = performance.now()
const model = await loadModel(folder, { dtype, config: facts.config })
const load = performance.now() - begin
const say = message => process.stdout.write(`${JSON.stringify(message)}\n`)
const options = {
  model,
  ...(facts.mode && { mode: facts.mode }),
  method: 'vanilla',
  shortSide: null,
  window: 0,
  pamr: false,
}

const STEPS = {
  image: () => model.encodeImage(picture, { normalize: true }),
  text: () => model.encodeText(prompts),
  async dense() {
    if (!facts.reads) return model.encodeDense(picture, { normalize: true })
    const result = await segment(picture, vocabulary, options)
    return result.labels
  },
}

say({
  ready: true,
  engine: model.info.engine,
  rss: process.memoryUsage.rss(),
  peak: peakRss(),
  load,
})
const vocabulary =
  facts.reads && (await model.vocabulary(words, { templates: 'none', background: false }))
resetPeakRss()
let answer
for await (const line of createInterface({ input: process.stdin })) {
  const [command, step] = line.split(' ')
  if (command === 'run') {
    const start = performance.now()
    const tensor = await STEPS[step]()
    const ms = performance.now() - start
    const peak = peakRss()
    answer = await tensor.data()
    tensor.dispose()
    say({ ms, peak, bytes: answer.byteLength })
  } else {
    await writeFile(line.slice('answer '.length), answer)
    say({ written: true })
  }
}
