import { invalid } from '../errors.js'

/** What became of one item. @internal */
export interface Outcome<T, R> {
  readonly item: T
  readonly index: number
  readonly result: PromiseSettledResult<R>
}

/**
 * Starts work on items before its results are asked for, and gives these in the order of the items: one
 * that is ready does not wait for an item that is still to come. What was begun is given before an
 * error of `items` is thrown.
 *
 * @param limit - items that are worked on or whose results wait to be taken, at most
 * @param abandon - told of results that nobody takes because the loop was left
 * @internal
 */
export async function* ahead<T, R>(
  items: Iterator<T> | AsyncIterator<T>,
  limit: number,
  start: (item: T, index: number) => Promise<R>,
  abandon: (unused: R) => void = () => {},
): AsyncGenerator<Outcome<T, R>, void, undefined> {
  const pending: { item: T; index: number; settled: Promise<PromiseSettledResult<R>> }[] = []
  let next: Promise<IteratorResult<T>> | undefined
  let failed: { error: unknown } | undefined
  let count = 0
  let more = true
  try {
    while (more || pending.length > 0) {
      const first = pending[0]
      if (more && pending.length < limit) {
        next ??= ask(items)
        try {
          const found = await (first ? Promise.race([next, first.settled.then(() => {})]) : next)
          if (found) {
            next = undefined
            if (found.done) more = false
            else pending.push(begin(found.value, count++, start))
            continue
          }
        } catch (error) {
          failed = { error }
          more = false
          continue
        }
      }
      if (!first) break
      pending.shift()
      const { item, index } = first
      yield { item, index, result: await first.settled }
    }
    if (failed) throw failed.error
  } finally {
    for (const { settled } of pending) {
      settled.then(
        result => result.status === 'fulfilled' && abandon(result.value),
        () => {},
      )
    }
    // An item that is still to come may never do so.
    if (more && next) Promise.resolve(items.return?.()).catch(() => {})
    else if (more) await items.return?.()
  }
}

/** The next item; nobody has to wait for the promise. */
function ask<T>(items: Iterator<T> | AsyncIterator<T>): Promise<IteratorResult<T>> {
  const next = (async () => items.next())()
  next.catch(() => {})
  return next
}

function begin<T, R>(item: T, index: number, start: (item: T, index: number) => Promise<R>) {
  const settled = (async () => start(item, index))().then(
    (value): PromiseSettledResult<R> => ({ status: 'fulfilled', value }),
    (reason: unknown): PromiseSettledResult<R> => ({ status: 'rejected', reason }),
  )
  return { item, index, settled }
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
