/** Durations by size, as Prometheus takes them: counts only grow. */
export interface Histogram {
  /** How many lasted at most `le` seconds; of the last, whose `le` is Infinity, all. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[]
  /** Seconds in all. */
  readonly sum: number
  /** How many there were. */
  readonly count: number
}

/** Upper ends in seconds. */
const ENDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, Infinity]

/** @internal */
export class Durations {
  readonly #counts = ENDS.map(() => 0)
  #sum = 0

  add(seconds: number): void {
    const i = ENDS.findIndex(end => seconds <= end)
    this.#counts[i] = (this.#counts[i] ?? 0) + 1
    this.#sum += seconds
  }

  read(): Histogram {
    let count = 0
    const buckets = ENDS.map((le, i) => {
      count += this.#counts[i] as number
      return { le, count }
    })
    return { buckets, sum: this.#sum, count }
  }
}
