/** Statistics, timing, the lateness of a timer, and memory. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The answer of a case is not what it has to be: nothing of it is timed. */
export class WrongAnswer extends Error {}

/** Throws a WrongAnswer unless `holds`. */
export function check(holds, message) {
  if (!holds) throw new WrongAnswer(message)
}

/** Runs `work` a few times unrecorded, then `repeat` times; returns milliseconds. */
export async function time(work, { warmUp = 1, repeat }) {
  for (let i = 0; i < warmUp; i++) await work()
  const samples = []
  for (let i = 0; i < repeat; i++) {
    const start = performance.now()
    await work()
    samples.push(performance.now() - start)
  }
  return samples
}

/** Quantiles by the nearest rank. */
export function statistics(samples) {
  const sorted = [...samples].sort((a, b) => a - b)
  const quantile = q => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
  return {
    runs: sorted.length,
    median: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    max: sorted.at(-1),
  }
}

/**
 * How late a 10 ms timer fires while `work` runs, in milliseconds, and what the event loop's thread
 * did since the firing before, where Linux tells it: `busy`, computing; `starved`, ready to run
 * while other threads had the processors. A stall that is ours shows as busy.
 */
export async function timerLateness(work) {
  const INTERVAL = 10
  const firings = []
  let timer
  let before = schedule()
  const arm = () => {
    const due = performance.now() + INTERVAL
    timer = setTimeout(() => {
      const late = Math.max(0, performance.now() - due)
      const now = schedule()
      firings.push({ late, busy: now.ran - before.ran, starved: now.waited - before.waited })
      before = now
      arm()
    }, INTERVAL)
  }
  arm()
  try {
    await work()
    await sleep(2 * INTERVAL) // a stall at the very end shows at the next firing
  } finally {
    clearTimeout(timer)
  }
  return firings
}

/** Milliseconds that the main thread has run and has waited for a processor; NaN where unknown. */
function schedule() {
  try {
    const [ran, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(
      ' ',
    )
    return { ran: ran / 1e6, waited: waited / 1e6 }
  } catch {
    return { ran: Number.NaN, waited: Number.NaN }
  }
}

/**
 * What `work` takes: milliseconds of time, and of all threads' processors. `wanted` adds for how long
 * threads were ready to run while other programs had the processors (Linux; else it is `cpu`).
 */
export async function processorUse(work) {
  const before = waitedFor()
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  const used = (user + system) / 1000
  return { ms, cpu: used, wanted: used + waitedFor() - before }
}

/** Milliseconds for which this process's threads were ready and did not run; 0 where unknown. */
function waitedFor() {
  try {
    return readdirSync('/proc/self/task').reduce((total, task) => {
      const [, waited] = readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')
      return total + waited / 1e6
    }, 0)
  } catch {
    return 0
  }
}

let peakBefore = 0

/** Starts a new peak of the resident memory (Linux); elsewhere peaks are those of the process. */
export function resetPeakRss() {
  peakBefore = Math.max(peakBefore, peakRss())
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {}
}

/** Highest resident memory since the last reset, in bytes. */
export function peakRss() {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
    return kilobytes * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

/** Highest resident memory of the process's life, in bytes. */
export function processPeakRss() {
  return Math.max(peakBefore, peakRss())
}
