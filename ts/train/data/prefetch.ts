/** Makes things ahead of time, in order, at most `ahead` of them. */
export class Prefetch<T> {
  readonly #make: (n: number) => Promise<T>
  readonly #discard: (thing: T) => void
  readonly #ahead: number
  readonly #end: number
  readonly #waiting = new Map<number, Promise<T>>()
  #next: number

  /**
   * @param make - makes thing n
   * @param discard - gives one back that nobody takes
   */
  constructor(options: {
    make: (n: number) => Promise<T>
    discard: (thing: T) => void
    ahead: number
    start: number
    end: number
  }) {
    this.#make = options.make
    this.#discard = options.discard
    this.#ahead = options.ahead
    this.#next = options.start
    this.#end = options.end
  }

  /** The next thing; those after it are begun. */
  take(): Promise<T> {
    const n = this.#next++
    const taken = this.#waiting.get(n) ?? this.#make(n)
    this.#waiting.delete(n)
    for (let later = n + 1; later <= n + this.#ahead && later < this.#end; later++) {
      if (this.#waiting.has(later)) continue
      const made = this.#make(later)
      made.catch(() => {}) // whoever takes it is told
      this.#waiting.set(later, made)
    }
    return taken
  }

  /** Waits for what is being made and gives it back. */
  async close(): Promise<void> {
    const made = await Promise.allSettled(this.#waiting.values())
    this.#waiting.clear()
    for (const result of made) if (result.status === 'fulfilled') this.#discard(result.value)
  }
}
