/**
 * Small pictures, one segment() after the other, several at once, and segmentMany(), in alternating
 * blocks of the same different PNG files: time and processor time of a picture, and how many
 * processors work.
 *
 * { model, width, height, options, pictures, block }, as many pictures for each way
 */
import { availableParallelism } from 'node:os'
import { segment, segmentMany } from '../../dist/index.mjs'
import { smallPictures, VOC21 } from '../inputs.mjs'
import { check, processorUse } from '../measure.mjs'

/** Calls at once. */
const CALLERS = 4

export async function run({ width, height, options, pictures, block }, { load, folder }) {
  const model = await load()
  const vocabulary = await model.vocabulary(VOC21, { templates: 'subset' })
  const settings = { ...options, model }
  const paths = await smallPictures(pictures, { width, height }, folder)
  const one = async path => (await segment(path, vocabulary, settings)).dispose()
  const ways = {
    'one after the other': async files => {
      for (const file of files) await one(file)
    },
    [`${CALLERS} at once`]: async files => {
      const left = files.values()
      const caller = async () => {
        for (const file of left) await one(file)
      }
      await Promise.all(Array.from({ length: CALLERS }, caller))
    },
    segmentMany: async files => {
      for await (const seg of segmentMany(files, vocabulary, settings)) seg.dispose()
    },
  }
  await checkSame(paths.slice(0, 8), vocabulary, settings)

  const used = Object.fromEntries(Object.keys(ways).map(name => [name, []]))
  for (let done = 0; done < pictures; done += block) {
    const files = paths.slice(done, done + block)
    for (const [name, way] of Object.entries(ways)) {
      used[name].push(await processorUse(() => way(files)))
    }
  }
  const sum = (name, key) => used[name].reduce((total, use) => total + use[key], 0)
  const each = print =>
    Object.keys(ways)
      .map(name => `${name} ${print(name).toPrecision(3)}`)
      .join(', ')
  return {
    rows: Object.keys(ways).map(name => ({
      what: `per picture, ${name}`,
      samples: used[name].map(({ ms }) => ms / block),
    })),
    notes: {
      processors: availableParallelism(),
      'pictures per second': each(name => (1000 * pictures) / sum(name, 'ms')),
      'processor ms per picture': each(name => sum(name, 'cpu') / pictures),
      'processors at work': each(name => sum(name, 'cpu') / sum(name, 'ms')),
      'processors at work or waited for': each(name => sum(name, 'wanted') / sum(name, 'ms')),
    },
  }
}

async function checkSame(files, vocabulary, settings) {
  const together = await Promise.all(files.map(file => segment(file, vocabulary, settings)))
  for (const [i, file] of files.entries()) {
    const alone = await segment(file, vocabulary, settings)
    const [a, b] = [await together[i].labels.data(), await alone.labels.data()]
    check(Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0, `${file} differs`)
    together[i].dispose()
    alone.dispose()
  }
}
