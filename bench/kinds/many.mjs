/**
 * segmentMany() against one segment() after the other, in alternating blocks of the same different
 * JPEG files, and resident memory along the way.
 *
 * { model, options, pictures, atLeast, atMost }, as many pictures for either
 * atLeast, atMost  goals, if any: ratio of the throughputs, growth of the memory
 */
import { segment, segmentMany } from '../../dist/index.mjs'
import { photographs, VOC21 } from '../inputs.mjs'
import { check } from '../measure.mjs'

const BLOCK = 25
const CHECKED = 8
/** Pictures after which memory has to stay as it is. */
const SETTLED = 50

export async function run({ options, pictures, atLeast, atMost }, { load, folder }) {
  const model = await load()
  const vocabulary = await model.vocabulary(VOC21, { templates: 'subset' })
  const settings = { ...options, model }
  const paths = await photographs(pictures, folder)
  await checkSame(paths.slice(0, CHECKED), vocabulary, settings)

  const many = []
  const single = []
  const curve = []
  for (let done = 0; done < pictures; done += BLOCK) {
    const files = paths.slice(done, done + BLOCK)
    const start = performance.now()
    for await (const seg of segmentMany(files, vocabulary, settings)) seg.dispose()
    const between = performance.now()
    for (const file of files) (await segment(file, vocabulary, settings)).dispose()
    many.push((between - start) / BLOCK)
    single.push((performance.now() - between) / BLOCK)
    curve.push(process.memoryUsage.rss())
  }
  const sum = values => values.reduce((a, b) => a + b, 0)
  const after = curve.slice(Math.min(curve.length, Math.ceil(SETTLED / BLOCK)) - 1)
  const growth = Math.max(...after) / after[0] - 1
  const ratio = sum(single) / sum(many)
  const work = `${pictures} photos through segmentMany()`
  return {
    rows: [
      { what: 'per picture, segmentMany', samples: many },
      { what: 'per picture, single calls', samples: single },
    ],
    notes: {
      'throughput, segmentMany / single': ratio,
      [`memory growth after ${SETTLED}`]: growth,
      'memory curve': curve,
    },
    goals: atLeast && [
      {
        work,
        measure: 'time',
        program: 'segmentMany',
        against: 'single calls',
        unit: 'ms',
        ours: sum(many) * BLOCK,
        theirs: sum(single) * BLOCK,
        ratio,
        atLeast,
      },
      {
        work: `${work}: growth of memory`,
        measure: 'peak memory',
        program: 'declip',
        against: `its first ${SETTLED}`,
        ratio: growth,
        atMost,
      },
    ],
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
