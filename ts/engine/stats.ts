import type { NativeQueueStats } from './addon-types.js'
import { Durations, type Histogram } from './histogram.js'
import { loadedAddon } from './load-addon.js'
import { settings } from './settings.js'

/** What {@link stats} gives. Of counts the first three go up and down, the others only up. */
export interface Stats {
  /** Calls that wait for a decoder or for the engine. */
  readonly waiting: number
  /** Calls whose picture is being decoded. */
  readonly decoding: number
  /** Calls that are computed. */
  readonly running: number
  /** Calls that gave a result. */
  readonly done: number
  /** Calls that failed, other than by being stopped. */
  readonly failed: number
  /** Calls that their signal or timeout stopped. */
  readonly aborted: number
  /** Calls that were refused with ERR_DECLIP_BUSY. */
  readonly refused: number
  /** From its beginning to its end, of every call that gave a result. */
  readonly callSeconds: Histogram
  /** What calls have computed: jobs, of which a call has one or more, for instance its words and its picture. */
  readonly jobs: JobStats
  /** Memory of tensors and decoded pictures of the process, in bytes, and what it may be. */
  readonly memory: { readonly used: number; readonly budget: number }
  /** Models that calls named by source and that are kept; see {@link releaseModels}. */
  readonly models: number
  /** CPU threads of the engine; 0 where it is not loaded yet and they were not set. */
  readonly threads: number
}

/** Of the engine's queue. */
export interface JobStats {
  /** Jobs that wait for threads. */
  readonly waiting: number
  /** Jobs that are computed. */
  readonly running: number
  /** Jobs that ended well. */
  readonly done: number
  /** Jobs that failed. */
  readonly failed: number
  /** Jobs that were stopped. */
  readonly cancelled: number
  /** Seconds that all jobs waited which began, in all and at most. */
  readonly waitSeconds: number
  readonly longestWaitSeconds: number
  /** Seconds that all jobs took which ended, in all and at most. */
  readonly runSeconds: number
  readonly longestRunSeconds: number
}

/** What is counted here. @internal */
export const counters = {
  /** Calls that have not ended. */
  active: 0,
  decoding: 0,
  /** Calls with a job in the engine's queue. */
  queued: 0,
  done: 0,
  failed: 0,
  aborted: 0,
  refused: 0,
}

/** Set by those who know. @internal */
export const gauges = { models: (): number => 0 }

const durations = new Durations()

/** Counts a call that began at `start`, as performance.now() gave it. @internal */
export function ended(how: 'done' | 'failed' | 'aborted', start: number): void {
  counters[how] += 1
  if (how === 'done') durations.add((performance.now() - start) / 1000)
}

/**
 * How the package is doing, for a server's metrics. Calls are those of the calling thread of JavaScript; jobs, memory
 * and threads are the process's. Loads nothing and costs some microseconds.
 *
 * @example
 * ```ts
 * const { waiting, running, memory } = stats()
 * console.log(`${waiting} waiting, ${running} running, ${memory.used / 2 ** 20} MB`)
 * ```
 */
export function stats(): Stats {
  const { active, decoding, queued, done, failed, aborted, refused } = counters
  const addon = loadedAddon()
  const queue = addon?.queueStats()
  const jobs = jobStats(queue)
  const running = Math.min(queued, jobs.running)
  return {
    waiting: Math.max(active - decoding - running, 0),
    decoding,
    running,
    done,
    failed,
    aborted,
    refused,
    callSeconds: durations.read(),
    jobs,
    memory: addon?.memoryUse() ?? { used: 0, budget: settings().memoryBudget },
    models: gauges.models(),
    threads: queue?.threads ?? settings().threads,
  }
}

function jobStats(queue?: NativeQueueStats): JobStats {
  const sum = (numbers: readonly number[] = []) => numbers.reduce((a, b) => a + b, 0)
  return {
    waiting: sum(queue?.waiting),
    running: sum(queue?.running),
    done: queue?.done ?? 0,
    failed: queue?.failed ?? 0,
    cancelled: queue?.cancelled ?? 0,
    waitSeconds: (queue?.waitMs ?? 0) / 1000,
    longestWaitSeconds: (queue?.longestWaitMs ?? 0) / 1000,
    runSeconds: (queue?.runMs ?? 0) / 1000,
    longestRunSeconds: (queue?.longestRunMs ?? 0) / 1000,
  }
}
