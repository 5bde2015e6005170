/**
 * How time and memory grow with one size of a task: the exponents of power laws fitted to several
 * sizes, each measured in a process of its own.
 *
 * { axis, points, goals, repeat }
 * points  { size, task }, task as in tasks.mjs
 * goals   largest exponents of 'time' and 'extra memory'
 */
import { loadAddon } from '../../dist/engine/load-addon.js'
import { contestant } from '../contestants.mjs'
import { statistics } from '../measure.mjs'
import { Program } from '../program.mjs'
import { prepare } from '../tasks.mjs'

export async function run({ name, axis, points, goals, repeat }, { folder, dtype }) {
  const { threads } = loadAddon().runtime()
  const measured = []
  for (const { size, task } of points) {
    const request = {
      ...(await prepare(task, { folder, name: `${name}/${size}` })),
      dtype,
      threads,
    }
    const program = await Program.start('declip', contestant('declip', request), request)
    try {
      await program.run({ counts: false })
      for (let i = 0; i < repeat; i++) await program.run()
    } finally {
      await program.stop()
    }
    const { samples, extraMemory } = program
    measured.push({ size, samples, time: statistics(samples).median, 'extra memory': extraMemory })
  }
  const exponents = Object.keys(goals).map(measure => [
    measure,
    exponent(measured.map(point => [point.size, point[measure]])),
  ])
  return {
    rows: measured.map(({ size, samples }) => ({ what: `${axis}: ${size}`, samples })),
    notes: Object.fromEntries(
      measured.map(point => [
        `peak beyond inputs and answer at ${point.size}`,
        point['extra memory'],
      ]),
    ),
    goals: exponents.map(([measure, ratio]) => ({
      work: `Growth with ${axis}: exponent`,
      measure,
      program: 'declip',
      against: 'a power law',
      ratio,
      atMost: goals[measure],
      digits: 2,
    })),
  }
}

/** Slope of the straight line through the logarithms. */
function exponent(points) {
  const logs = points.map(point => point.map(Math.log))
  const mean = i => logs.reduce((sum, point) => sum + point[i], 0) / logs.length
  const [mx, my] = [mean(0), mean(1)]
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  return covariance / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
}
