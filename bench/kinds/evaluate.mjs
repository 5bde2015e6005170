/**
 * evaluate() against segmentMany() on the same scenes, in alternating blocks, and resident memory along the way. What
 * evaluate() does besides is the data set, the truth's decoding, the counts and a line a picture on the disk.
 *
 * { model, options, blocks, pictures, side, atLeast, atMost }
 * pictures         of a block
 * side             of scenes, about, in pixels
 * atLeast, atMost  goals: ratio of the throughputs, growth of the memory
 */
import { readdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { evaluate, segmentMany } from '../../dist/index.mjs'
import { Confusion } from '../../models/recipe/measure/confusion.mjs'
import { cutOutSprites, writeFolder } from '../../models/recipe/scenes/folder.mjs'
import { check, processorUse } from '../measure.mjs'

export async function run({ options, blocks, pictures, side, atLeast, atMost }, { load, folder }) {
  const model = await load()
  const sprites = await cutOutSprites()
  const sets = Array.from({ length: blocks }, (_, i) =>
    join(folder, `scenes-${side}-${pictures}`, `${i}`),
  )
  for (const [i, set] of sets.entries())
    await writeFolder(set, { count: pictures, side, seed: `bench-${i}`, sprites })
  const lines = (await readFile(join(sets[0], 'classes.txt'), 'utf8')).trim().split('\n')
  const vocabulary = await model.vocabulary(lines, { background: 0 })
  const settings = { ...options, model }
  const out = join(folder, 'evaluated')
  const measure = async set => {
    rmSync(out, { recursive: true, force: true })
    return evaluate({
      ...settings,
      dataset: 'folder',
      data: set,
      classes: vocabulary,
      out,
      report: false,
    })
  }
  const filesOf = set =>
    readdirSync(join(set, 'images'))
      .sort()
      .map(name => join(set, 'images', name))

  // The first block is not timed: its figures are compared with plain loops over the pixels.
  await checkFigures(await measure(sets[0]), filesOf(sets[0]), lines.length, {
    vocabulary,
    settings,
  })

  const samples = { evaluate: [], many: [] }
  const processors = { evaluate: 0, many: 0 }
  const curve = []
  const ways = {
    evaluate: async set => {
      const { failed } = await measure(set)
      check(failed.length === 0, `${failed.length} pictures failed`)
      curve.push(process.memoryUsage.rss())
    },
    many: async set => {
      for await (const seg of segmentMany(filesOf(set), vocabulary, settings)) seg.dispose()
    },
  }
  for (const [i, set] of sets.entries()) {
    for (const name of i % 2 === 0 ? ['evaluate', 'many'] : ['many', 'evaluate']) {
      const { ms, cpu } = await processorUse(() => ways[name](set))
      samples[name].push(ms / pictures)
      processors[name] += cpu / pictures / blocks
    }
  }
  rmSync(out, { recursive: true, force: true })
  const sum = values => values.reduce((a, b) => a + b, 0)
  const ratio = sum(samples.many) / sum(samples.evaluate)
  // V8's heap takes its size in the first blocks.
  const [settled, ...after] = curve.slice(1)
  const growth = Math.max(settled, ...after) / settled - 1
  const work = `evaluate() of ${blocks * pictures} scenes`
  return {
    rows: [
      { what: 'per picture, evaluate', samples: samples.evaluate },
      { what: 'per picture, segmentMany', samples: samples.many },
    ],
    notes: {
      'throughput, evaluate / segmentMany': ratio,
      'processor ms a picture, evaluate': processors.evaluate,
      'processor ms a picture, segmentMany': processors.many,
      [`memory growth after ${2 * pictures}`]: growth,
      'memory curve': curve,
    },
    goals: atLeast && [
      {
        work,
        measure: 'time',
        program: 'evaluate',
        against: 'segmentMany',
        unit: 'ms',
        ours: sum(samples.evaluate) * pictures,
        theirs: sum(samples.many) * pictures,
        ratio,
        atLeast,
      },
      {
        work: `${work}: growth of memory`,
        measure: 'peak memory',
        program: 'declip',
        against: `its first ${2 * pictures}`,
        ratio: growth,
        atMost,
      },
    ],
  }
}

async function checkFigures(result, files, classes, { vocabulary, settings }) {
  const confusion = new Confusion(classes)
  const every = Array.from({ length: classes }, (_, i) => i)
  for await (const seg of segmentMany(files, vocabulary, settings)) {
    const labels = seg.image.replace(/images(.)(.*)\.jpg$/, 'labels$1$2.png')
    const truth = await sharp(labels).extractChannel(0).raw().toBuffer()
    confusion.add(truth, await seg.labels.data(), every, every)
    seg.dispose()
  }
  const { iou, pixels } = confusion.figures()
  check(Math.abs(pixels - result.aacc) < 1e-9, `aAcc ${result.aacc}, plain loops give ${pixels}`)
  for (const [i, value] of iou.entries()) {
    const got = result.classes[i].iou
    // Plain loops leave out what is found and never true.
    check(value === null || Math.abs(value - got) < 1e-9, `IoU of class ${i}: ${got}, not ${value}`)
  }
}
