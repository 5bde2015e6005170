/**
 * segmentMany() against one segment() after the other, in alternating blocks of the same pictures,
 * and resident memory along the way.
 *
 * { model, options, pictures }, as many pictures for either
 */
import { segment, segmentMany } from '../../dist/esm/index.js'
import { SCENES, VOC21 } from '../inputs.mjs'
import { check } from '../measure.mjs'

const BLOCK = 25
/** Pictures after which memory has to stay as it is. */
const SETTLED = 50

export async function run({ options, pictures }, { load }) {
  const model = await load()
  const vocabulary = await model.vocabulary(VOC21, { templates: 'subset' })
  const settings = { ...options, model }
  const files = Array.from({ length: BLOCK }, (_, i) => SCENES[i % SCENES.length])
  await checkSame(files.slice(0, SCENES.length), vocabulary, settings)

  const many = []
  const single = []
  const curve = []
  for (let done = 0; done < pictures; done += BLOCK) {
    const start = performance.now()
    for await (const seg of segmentMany(files, vocabulary, settings)) seg.dispose()
    const between = performance.now()
    for (const file of files) (await segment(file, vocabulary, settings)).dispose()
    many.push((between - start) / BLOCK)
    single.push((performance.now() - between) / BLOCK)
    curve.push(process.memoryUsage.rss())
  }
  const sum = values => values.reduce((a, b) => a + b, 0)
  const settled = curve[Math.min(curve.length, Math.ceil(SETTLED / BLOCK)) - 1]
  return {
    rows: [
      { what: 'per picture, segmentMany', samples: many },
      { what: 'per picture, single calls', samples: single },
    ],
    notes: {
      'throughput, segmentMany / single': sum(single) / sum(many),
      [`memory growth after ${SETTLED}`]: curve.at(-1) / settled - 1,
      'memory curve': curve,
    },
  }
}

async function checkSame(files, vocabulary, settings) {
  let index = 0
  for await (const seg of segmentMany(files, vocabulary, settings)) {
    const alone = await segment(files[index], vocabulary, settings)
    const [a, b] = [await seg.labels.data(), await alone.labels.data()]
    check(Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0, `${files[index]} differs`)
    seg.dispose()
    alone.dispose()
    index++
  }
  check(index === files.length, `segmentMany gave ${index} of ${files.length} results`)
}
