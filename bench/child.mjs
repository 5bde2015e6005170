/**
 * Runs one case in a process of its own and sends the runner what came out.
 *
 *   node bench/child.mjs '{"case":"encode/image/vit-b-16/1","folder":"...","dtype":"float32"}'
 */

import { loadAddon } from '../dist/engine/load-addon.js'
import { loadModel } from '../dist/index.mjs'
import { cases } from './cases.mjs'
import { checkpoint } from './inputs.mjs'
import { processPeakRss, statistics } from './measure.mjs'

const { case: name, folder, dtype, repeat } = JSON.parse(process.argv[2])
const benchCase = cases.find(one => one.name === name)
const path = await checkpoint(benchCase.model, folder)

let info
/** Loads the case's model. */
async function load() {
  const model = await loadModel(path, { dtype })
  info = model.info
  return model
}

const { run } = await import(`./kinds/${benchCase.kind}.mjs`)
const context = { load, path, dtype, folder }
const {
  rows,
  notes = {},
  limit,
  goals,
  skipped,
  family,
} = await run({ ...benchCase, ...(repeat && { repeat }) }, context)

const { libtorch, threads, cpu } = loadAddon().runtime()
process.send(
  {
    name,
    device: info?.device ?? 'cpu',
    dtype: info?.dtype ?? dtype,
    threads,
    libtorch,
    cpu,
    rows: rows.map(({ what, samples }) => ({ what, ...statistics(samples), samples })),
    limit,
    goals,
    skipped,
    family,
    notes,
    peakRss: processPeakRss(),
  },
  () => process.disconnect(),
)
