import { Worker } from 'node:worker_threads'
import t from 'tap'
import { loadAddon, loadedAddon } from '../../../ts/engine/load-addon.js'
import { configure, type Settings, settings } from '../../../ts/engine/settings.js'
import { stats } from '../../../ts/engine/stats.js'

t.test('before anything native is loaded', t => {
  t.match(settings(), { maxWaiting: Number.POSITIVE_INFINITY, maxPixels: 62_000_000 })
  t.ok(settings().decodeAhead > 1)
  t.equal(configure({ maxWaiting: 8, memoryBudget: 2 ** 30 }), undefined)
  configure({ threads: 1, maxWaiting: undefined })
  t.match(settings(), { maxWaiting: 8, memoryBudget: 2 ** 30 }, 'what is left out stays')
  t.match(stats(), {
    waiting: 0,
    decoding: 0,
    running: 0,
    refused: 0,
    memory: { used: 0, budget: 2 ** 30 },
    models: 0,
    threads: 1,
  })
  t.equal(loadedAddon(), undefined)
  t.end()
})

t.test('what was set reaches the native part', t => {
  const addon = loadAddon()
  t.equal(addon.runtime().threads, 1)
  t.equal(addon.memoryUse().budget, 2 ** 30)
  configure({ threads: 2, memoryBudget: 2 ** 29 })
  t.match(stats(), { threads: 2, memory: { budget: 2 ** 29 } })
  configure({ memoryBudget: 50e9 }) // more than 32 bits
  t.match(stats(), { memory: { budget: 50e9 } })
  t.end()
})

t.test('what cannot be is refused whole', t => {
  for (const [given, message] of [
    [null, /^settings must be an object/],
    [{ maxwaiting: 5 }, /^configure\(\) knows no 'maxwaiting'; it takes threads, maxWaiting, .*/],
    [{ threads: 0 }, /^threads must be a whole number, 1 to 1024, received 0/],
    [{ maxWaiting: -1 }, /^maxWaiting must be a whole number of at least 0, or Infinity/],
    [{ maxWaiting: Number.NaN }, /^maxWaiting must be/],
    [{ memoryBudget: 1000 }, /^memoryBudget must be a whole number of at least 1048576/],
    [{ memoryBudget: 1e9 + 0.5 }, /^memoryBudget must be/],
    [{ maxPixels: 2 ** 30 }, /^maxPixels must be a whole number, 1 to 536870912/],
    [{ maxPixels: 1000, decodeAhead: 0 }, /^decodeAhead must be a whole number, 1 to 1024/],
  ] as const) {
    t.throws(() => configure(given as unknown as Settings), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  }
  t.equal(settings().maxPixels, 62_000_000)
  t.end()
})

t.test('the pixel limit of the environment, until another is set', t => {
  t.teardown(() => delete process.env['DECLIP_MAX_PIXELS'])
  process.env['DECLIP_MAX_PIXELS'] = '1e8'
  t.equal(settings().maxPixels, 1e8)
  process.env['DECLIP_MAX_PIXELS'] = 'many'
  t.throws(() => settings(), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: "DECLIP_MAX_PIXELS must be a whole number, 1 to 536870912, received 'many'.",
  })
  configure({ maxPixels: 7 })
  t.equal(settings().maxPixels, 7)
  t.end()
})

t.test('a worker begins with what was set', async t => {
  configure({ maxPixels: 1234 })
  const code = `
    const { getEnvironmentData, parentPort } = require('node:worker_threads')
    parentPort.postMessage(getEnvironmentData('declip-native settings'))`
  const worker = new Worker(code, { eval: true })
  const seen = await new Promise(resolve => worker.once('message', resolve))
  t.match(seen, { maxPixels: 1234, maxWaiting: 8, threads: 2 })
})
