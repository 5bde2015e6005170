/**
 * How late a 10 ms timer fires on the thread that called, while a job runs. The contract: never
 * more than 20 ms.
 *
 * { job, model, options, repeat }, job one of {@link JOBS}
 */
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { loadAddon } from '../../dist/engine/load-addon.js'
import { loadModel, segment } from '../../dist/index.mjs'
import { cameraJpeg, PHOTO, VOC21 } from '../inputs.mjs'
import { check, statistics, timerLateness } from '../measure.mjs'

const LIMIT = 20

/** Prepares a job and returns what is watched; it returns or checks its answer. */
const JOBS = {
  /** The timer alone: what this machine makes of it. */
  idle: () => () => sleep(2000),

  /** The process's first call, which loads LibTorch. */
  start: () => async () => (await loadModel('words-tiny')).dispose(),

  async load(_, { path, dtype }) {
    loadAddon()
    return async () => {
      const model = await loadModel(path, { dtype })
      check(model.info.towers.length === 2, 'a tower is missing')
      model.dispose()
    }
  },

  async segment({ options }, { load }) {
    const model = await load()
    return async () => {
      const seg = await segment(PHOTO, VOC21, { ...options, model })
      checkAreas(seg)
      seg.dispose()
    }
  },

  async text(_, { load }) {
    const model = await load()
    let round = 0
    return async () => {
      const words = VOC21.map(word => `${word} ${++round}`)
      const { classes } = await model.vocabulary(words, { templates: 'imagenet' })
      check(classes.length === words.length, 'classes are missing')
    }
  },

  async decode(_, { load, folder }) {
    const model = await load()
    const jpeg = await cameraJpeg(folder)
    return async () => (await model.encodeImage(jpeg)).dispose()
  },

  async pixels(_, { load, folder }) {
    const model = await load()
    const { data, info } = await sharp(await cameraJpeg(folder))
      .raw()
      .toBuffer({ resolveWithObject: true })
    return async () => (await model.encodeImage({ data, ...info })).dispose()
  },

  /** A canvas' four channels. */
  async rgba(_, { load, folder }) {
    const model = await load()
    const { data, info } = await sharp(await cameraJpeg(folder))
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    return async () => (await model.encodeImage({ data, ...info })).dispose()
  },

  toPNG: output(seg => seg.toPNG()),
  overlay: output(seg => seg.toPNG({ overlay: true })),
  toRLE: output(seg => seg.toRLE()),
  compressedRLE: output(seg => seg.toRLE({ compressed: true })),
  toPolygons: output(seg => seg.toPolygons()),
  simplePolygons: output(seg => seg.toPolygons({ tolerance: 2 })),
  labels: output(seg => seg.labels.data()),
}

/** An output of the labels of a 12-megapixel picture. */
function output(make) {
  return async ({ options }, { load, folder }) => {
    const model = await load()
    const seg = await segment(await cameraJpeg(folder), VOC21, { ...options, model })
    checkAreas(seg)
    return async () => {
      const made = await make(seg)
      check(made.length > 0, 'the output is empty')
    }
  }
}

export async function run(benchCase, context) {
  const work = await JOBS[benchCase.job](benchCase, context)
  const firings = []
  const durations = []
  for (let i = 0; i < benchCase.repeat; i++) {
    const start = performance.now()
    firings.push(...(await timerLateness(work)))
    durations.push(performance.now() - start)
  }
  check(firings.length > 0, 'the timer never fired')
  const latest = firings.reduce((a, b) => (b.late > a.late ? b : a))
  const late = firings.map(firing => firing.late)
  return {
    rows: [
      { what: 'late', samples: late },
      { what: 'busy between firings', samples: firings.map(firing => firing.busy) },
    ],
    limit: { what: 'late', ms: LIMIT },
    notes: {
      'late p99, ms': statistics(late).p99,
      'latest: busy, ms': latest.busy,
      'latest: starved, ms': latest.starved,
      'job takes, ms': statistics(durations).median,
    },
  }
}

function checkAreas(seg) {
  const sum = seg.areas.reduce((a, b) => a + b, 0)
  check(Math.abs(sum - 1) < 1e-6, `the areas add up to ${sum}`)
}
