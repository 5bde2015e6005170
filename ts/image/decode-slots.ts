import { onAbort } from '../base/abort.js'
import { type Call, priorityOf } from '../base/call.js'
import { loadedAddon } from '../engine/load-addon.js'
import { settings } from '../engine/settings.js'
import { aborted, DeclipError } from '../errors.js'
import { Line, type Waiter } from './line.js'

/** A lower priority gets one place after so many of higher ones. */
const GRANTS_BEFORE = 7

/** A place among the pictures that may be decoded. @internal */
export interface Slot {
  /**
   * Counts the picture's bytes against the memory budget, waiting for other pictures where there is no room.
   *
   * @throws DeclipError ERR_DECLIP_ABORTED, or ERR_DECLIP_OUT_OF_MEMORY where there is no room for it alone
   */
  reserve(bytes: number, signal: AbortSignal | undefined): Promise<void>
  /** Gives the place and its bytes back; may be called again. */
  release(): void
}

/** Pictures that wait, by priority. */
const lines = [new Line(), new Line(), new Line()]
/** Asked again whenever memory comes back; true for one that need not wait any more. */
const wanting = new Set<() => boolean>()
let places = 0
/** Of places that were given bytes. */
let reserved = 0

/**
 * Waits until a picture may be decoded, in the order in which the engine's queue takes jobs. It counts until it is
 * released.
 *
 * @throws DeclipError ERR_DECLIP_ABORTED
 * @internal
 */
export function takeSlot(call: Call): Promise<Slot> {
  const { signal, client = '', order = loadedAddon()?.ticket() ?? 0 } = call
  const line = lines[priorityOf(call)] as Line
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal))
    const waiter: Waiter = {
      client,
      order,
      grant() {
        forget()
        resolve(new Place())
      },
    }
    const forget = onAbort(signal, () => {
      line.remove(waiter)
      reject(aborted(signal as AbortSignal))
    })
    line.add(waiter)
    serve()
  })
}

class Place implements Slot {
  #bytes: number | undefined
  #live = true

  constructor() {
    places += 1
  }

  reserve(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: DeclipError) => {
        forget()
        wanting.delete(attempt)
        if (error) reject(error)
        else resolve()
      }
      const attempt = () => {
        if (!this.#live) settle()
        else if (loadedAddon()?.reserveMemory(bytes) ?? true) {
          this.#bytes = bytes
          reserved += 1
          settle()
        } else if (reserved === 0) settle(noRoom(bytes))
        else return false
        return true
      }
      const forget = onAbort(signal, () => settle(aborted(signal as AbortSignal)))
      if (!attempt()) wanting.add(attempt)
    })
  }

  release(): void {
    if (!this.#live) return
    this.#live = false
    places -= 1
    if (this.#bytes !== undefined) {
      reserved -= 1
      loadedAddon()?.unreserveMemory(this.#bytes)
    }
    for (const attempt of [...wanting]) if (!attempt()) break
    serve()
  }
}

/** Pictures of higher priority find a place that those below may not take. */
function most(priority: number): number {
  return Math.max(settings().decodeAhead + priority - 1, 1)
}

function serve(): void {
  for (;;) {
    const priority = nextPriority()
    if (priority < 0 || places >= most(priority)) return
    for (const line of lines.slice(0, priority)) line.pass()
    lines[priority]?.take().grant()
  }
}

/** The highest, or a lower one that was passed over often enough; -1 where nothing waits. */
function nextPriority(): number {
  const due = lines.findIndex(line => line.length > 0 && line.passed >= GRANTS_BEFORE)
  return due >= 0 ? due : lines.findLastIndex(line => line.length > 0)
}

function noRoom(bytes: number): DeclipError {
  const { used, budget } = loadedAddon()?.memoryUse() ?? { used: 0, budget: 0 }
  const megabytes = (n: number) => `${Math.ceil(n / 2 ** 20)} MB`
  return new DeclipError(
    'ERR_DECLIP_OUT_OF_MEMORY',
    `Out of memory: the decoded picture needs ${megabytes(bytes)}, ${megabytes(used)} are in use, and the budget is ${megabytes(budget)}. Make the picture smaller, dispose() results and views that are done, or raise the budget: configure({ memoryBudget }) in bytes.`,
  )
}
