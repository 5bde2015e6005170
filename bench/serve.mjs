/** The program's side of bench/program.mjs, for contestants in JavaScript. */
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { peakRss, resetPeakRss } from './measure.mjs'

/**
 * `prepare(request)` resolves to { engine, work, toTypedArray }: `work(run)` does the task for the
 * run'th time, from 0, and resolves to its answer, of which `toTypedArray` makes numbers.
 */
export async function serve(prepare) {
  const { engine, work, toTypedArray } = await prepare(JSON.parse(process.argv.at(-1)))
  const peak = peakRss()
  resetPeakRss()
  say({ ready: true, engine, rss: process.memoryUsage.rss(), peak })
  let runs = 0
  let answer
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'run') {
      answer = undefined // what is measured has no other answer beside it
      const start = performance.now()
      const next = await work(runs++)
      const ms = performance.now() - start
      const runPeak = peakRss()
      answer = await toTypedArray(next)
      say({ ms, peak: runPeak, bytes: answer.byteLength })
    } else {
      await writeFile(line.slice('answer '.length), answer)
      say({ written: true })
    }
  }
}

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
