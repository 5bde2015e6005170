/** Who waits in a {@link Line}. @internal */
export interface Waiter {
  readonly client: string
  readonly order: number
  grant(): void
}

/**
 * Who waits for the same: clients take turns, and what one client waits for goes by `order`, as in the engine's
 * queue (cpp/runtime/job_queue.cpp).
 *
 * @internal
 */
export class Line {
  /** Times that it was passed over since it was served last. */
  passed = 0
  readonly #clients = new Map<string, { waiters: Waiter[]; turn: number }>()
  #turns = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  add(waiter: Waiter): void {
    let own = this.#clients.get(waiter.client)
    if (!own) {
      // behind those that have waited for their turn since the last one was given
      own = { waiters: [], turn: this.#turns }
      this.#clients.set(waiter.client, own)
    }
    const before = own.waiters.findLastIndex(({ order }) => order <= waiter.order)
    own.waiters.splice(before + 1, 0, waiter)
    if (this.#length++ === 0) this.passed = 0
  }

  /** Takes out the next one; there has to be one. */
  take(): Waiter {
    const clients = [...this.#clients.values()]
    const next = clients.reduce((a, b) => (isBefore(b, a) ? b : a))
    next.turn = ++this.#turns
    this.passed = 0
    const waiter = next.waiters[0] as Waiter
    this.remove(waiter)
    return waiter
  }

  /** No effect for one that waits no more. */
  remove(waiter: Waiter): void {
    const own = this.#clients.get(waiter.client)
    const at = own?.waiters.indexOf(waiter) ?? -1
    if (!own || at < 0) return
    own.waiters.splice(at, 1)
    if (own.waiters.length === 0) this.#clients.delete(waiter.client)
    this.#length -= 1
  }

  pass(): void {
    if (this.#length > 0) this.passed += 1
  }
}

type Own = { readonly waiters: readonly Waiter[]; readonly turn: number }

function isBefore(a: Own, b: Own): boolean {
  const order = ({ waiters }: Own) => waiters[0]?.order ?? 0
  return a.turn === b.turn ? order(a) < order(b) : a.turn < b.turn
}
