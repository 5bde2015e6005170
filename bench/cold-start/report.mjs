/** Prints what the process has taken up to now, as both programs of the case do. */
import { peakRss } from '../measure.mjs'

export function report(right) {
  const { user, system } = process.cpuUsage()
  const line = { right, cpu: (user + system) / 1000, wall: performance.now(), peak: peakRss() }
  console.log(JSON.stringify(line))
}
