import { setImmediate } from 'node:timers/promises'

/** How long work may hold the event loop, in milliseconds. */
const TURN_MS = 5

/**
 * Long work in steps: a generator that yields every few hundred microseconds. The same work can be done at once, or in
 * turns with the event loop. @internal
 */
export type Steps<T> = Generator<void, T, void>

/** Items between two steps of {@link everyItem}. */
const ITEMS_PER_STEP = 256

/** Calls `visit` for every item. @internal */
export function* everyItem<T>(
  items: Iterable<T>,
  visit: (item: T, index: number) => void,
): Steps<void> {
  let index = 0
  for (const item of items) {
    if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
    visit(item, index++)
  }
}

/** Does the work at once. @internal */
export function finishNow<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

/** Does the work, letting the event loop turn in between. @internal */
export async function finishInTurns<T>(steps: Steps<T>): Promise<T> {
  for (let begun = performance.now(); ; ) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() - begun < TURN_MS) continue
    await setImmediate()
    begun = performance.now()
  }
}
