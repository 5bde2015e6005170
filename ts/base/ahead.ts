import { aborted, invalid } from '../errors.js'
import { onAbort } from './abort.js'

/** What became of one item. @internal */
export interface Outcome<T, R> {
  readonly item: T
  readonly index: number
  readonly result: PromiseSettledResult<R>
}

/** How {@link ahead} works. @internal */
export interface AheadOptions<R> {
  /** Items that are worked on or whose results wait to be taken, at most. */
  readonly limit: number
  /** Ends the wait for an item that is still to come; what was begun has to stop by itself. */
  readonly signal?: AbortSignal | undefined
  /** Told of results that nobody takes because the loop was left. */
  readonly abandon?: (unused: R) => void
}

/** An item that was begun; it has a result once it has settled. */
interface Begun<T, R> {
  readonly item: T
  readonly index: number
  readonly settled: Promise<PromiseSettledResult<R>>
  result?: PromiseSettledResult<R>
}

/**
 * Starts work on items before its results are asked for, and gives these in the order of the items: one
 * that is ready does not wait for an item that is still to come. What was begun is given before an
 * error of `items` or the abort is thrown.
 *
 * @internal
 */
export async function* ahead<T, R>(
  items: Iterator<T> | AsyncIterator<T>,
  start: (item: T, index: number) => Promise<R>,
  { limit, signal, abandon = () => {} }: AheadOptions<R>,
): AsyncGenerator<Outcome<T, R>, void, undefined> {
  const pending: Begun<T, R>[] = []
  /** The next item, or why there is none. */
  let arrived: { found: IteratorResult<T> } | { error: unknown } | undefined
  let isAsked = false
  let isOpen = true // to be closed in the end
  let failed: { error: unknown } | undefined
  let count = 0
  // Not Promise.race: it keeps every value for as long as one of its promises is pending.
  let wake = () => {}
  const forget = onAbort(signal, () => wake())

  const ask = () => {
    isAsked = true
    const settle = (what: NonNullable<typeof arrived>) => {
      arrived = what
      wake()
    }
    try {
      const found = items.next()
      if ('then' in found) {
        found.then(
          found => settle({ found }),
          error => settle({ error }),
        )
      } else settle({ found })
    } catch (error) {
      settle({ error })
    }
  }
  const begin = (item: T, index: number) => {
    const settle = (result: PromiseSettledResult<R>) => {
      begun.result = result
      wake()
      return result
    }
    const settled = (async () => start(item, index))().then(
      value => settle({ status: 'fulfilled', value }),
      reason => settle({ status: 'rejected', reason }),
    )
    const begun: Begun<T, R> = { item, index, settled }
    return begun
  }

  try {
    while ((isOpen && !failed) || pending.length > 0) {
      const [first] = pending
      if (isOpen && !failed && pending.length < limit) {
        if (!isAsked) ask()
        if (signal?.aborted) {
          failed = { error: aborted(signal) }
          continue
        }
        if (arrived) {
          if ('error' in arrived) failed = arrived
          else if (!arrived.found.done) pending.push(begin(arrived.found.value, count++))
          isOpen = 'found' in arrived && !arrived.found.done
          isAsked = false
          arrived = undefined
          continue
        }
        if (!first?.result) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
          continue
        }
      }
      if (!first) break
      pending.shift()
      yield { item: first.item, index: first.index, result: first.result ?? (await first.settled) }
    }
    if (failed) throw failed.error
  } finally {
    forget()
    for (const { settled } of pending) {
      settled.then(
        result => result.status === 'fulfilled' && abandon(result.value),
        () => {},
      )
    }
    const closed = isOpen && (async () => items.return?.())()
    // An item that is still to come may never do so.
    if (closed && isAsked) closed.catch(() => {})
    else await closed
  }
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG for what cannot be gone through @internal */
export function iteratorOf<T>(
  name: string,
  items: Iterable<T> | AsyncIterable<T>,
): Iterator<T> | AsyncIterator<T> {
  if (typeof items === 'object' && items !== null && !ArrayBuffer.isView(items)) {
    if (Symbol.asyncIterator in items) return items[Symbol.asyncIterator]()
    if (Symbol.iterator in items) return items[Symbol.iterator]()
  }
  throw invalid(name, 'a list of pictures or anything iterable', items)
}
