import { availableParallelism, totalmem } from 'node:os'
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { checkFields, type Fields, field, kind, whole } from '../base/field.js'
import { DeclipError, invalid } from '../errors.js'
import type { NativeAddon } from './addon-types.js'

/** What {@link configure} takes. */
export interface Settings {
  /**
   * CPU threads of the engine, from its next job on. Default: DECLIP_THREADS, else what affinity and the container's
   * CPU quota allow.
   */
  threads?: number | undefined
  /**
   * Calls that may wait beside the one that is computed; one more is refused at once with ERR_DECLIP_BUSY. Default:
   * no limit.
   */
  maxWaiting?: number | undefined
  /**
   * Bytes that the engine's tensors and decoded pictures may take; a call that needs more rejects with
   * ERR_DECLIP_OUT_OF_MEMORY. Default: three quarters of the memory of container or machine, less 256 MB for the rest
   * of the process.
   */
  memoryBudget?: number | undefined
  /**
   * Pixels of a picture, by its header: a larger one rejects with ERR_DECLIP_IMAGE before it is decoded. Default:
   * DECLIP_MAX_PIXELS, else 62,000,000, which lets pass what cameras of 61 megapixels make.
   */
  maxPixels?: number | undefined
  /**
   * Pictures that are decoded at most, the ones that are computed included; others wait as they came. Default: one
   * more than there are cores.
   */
  decodeAhead?: number | undefined
}

/** The largest picture that can be allowed: its RGB bytes still have 32-bit numbers. */
const MOST_PIXELS = 2 ** 29

/** Kind of `maxPixels`. @internal */
export const PIXELS = whole(1, MOST_PIXELS)

const SETTING_FIELDS: Fields = {
  threads: field(whole(1, 1024), 'CPU threads of the engine'),
  maxWaiting: field(
    kind<number>(
      'a whole number of at least 0, or Infinity',
      value =>
        value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) >= 0),
    ),
    'Calls that may wait',
  ),
  memoryBudget: field(whole(2 ** 20), 'Bytes of tensors and decoded pictures'),
  maxPixels: field(PIXELS, 'Pixels of a picture'),
  decodeAhead: field(whole(1, 1024), 'Pictures that are decoded at once'),
}

/** Workers that are started later begin with what was set before. */
const KEY = 'declip-native settings'

const set: Settings = { ...(getEnvironmentData(KEY) as Settings | undefined) }
let addon: NativeAddon | undefined

/**
 * Sets limits of the process. What is left out stays as it is; calls that have begun keep what they began with.
 * Nothing native is loaded by it. `threads` and `memoryBudget` hold for all threads of JavaScript, the others for
 * the calling one and for workers that it starts later.
 *
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
 *
 * @example
 * ```ts
 * configure({ maxWaiting: 100, maxPixels: 24_000_000, memoryBudget: 1.5 * 2 ** 30 })
 * ```
 */
export function configure(settings: Settings): void {
  if (typeof settings !== 'object' || settings === null) {
    throw invalid('settings', 'an object', settings)
  }
  const names = Object.keys(SETTING_FIELDS)
  const unknown = Object.keys(settings).find(name => !names.includes(name))
  if (unknown !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `configure() knows no '${unknown}'; it takes ${names.join(', ')}.`,
    )
  }
  checkFields(settings, SETTING_FIELDS)
  const given = Object.entries(settings).filter(([, value]) => value !== undefined)
  Object.assign(set, Object.fromEntries(given))
  setEnvironmentData(KEY, { ...set })
  if (addon) apply(addon, settings)
}

/** Hands the addon what was set before it was loaded. @internal */
export function applySettings(loaded: NativeAddon): void {
  addon = loaded
  const { threads, memoryBudget = defaultBudget() } = set
  // Another thread of JavaScript may have given the process its budget.
  const isOpen = !Number.isSafeInteger(addon.memoryUse().budget) && Number.isFinite(memoryBudget)
  apply(addon, { threads, memoryBudget: isOpen ? memoryBudget : undefined })
}

function apply(addon: NativeAddon, { threads, memoryBudget }: Settings): void {
  if (threads !== undefined) addon.setThreads(threads)
  if (memoryBudget !== undefined) addon.setMemoryBudget(memoryBudget)
}

/** What holds now. @internal */
export function settings(): Record<keyof Settings, number> {
  return {
    threads: set.threads ?? 0,
    maxWaiting: set.maxWaiting ?? Number.POSITIVE_INFINITY,
    memoryBudget: set.memoryBudget ?? defaultBudget(),
    maxPixels: set.maxPixels ?? pixelsFromEnvironment() ?? 62_000_000,
    decodeAhead: set.decodeAhead ?? availableParallelism() + 1,
  }
}

/** DECLIP_MAX_PIXELS, for programs that are not one's own, such as the command line. */
function pixelsFromEnvironment(): number | undefined {
  const text = process.env['DECLIP_MAX_PIXELS']
  if (!text) return undefined
  const pixels = Number(text)
  if (PIXELS.holds(pixels)) return pixels
  throw invalid('DECLIP_MAX_PIXELS', PIXELS.range, text)
}

/**
 * Of the memory that the system lets this process have; infinite where that may not be asked, as in Deno without
 * --allow-sys. The budget holds no JavaScript, no code and no small blocks,
 * 200 to 250 MB after the first call, nor what the decoder takes for itself.
 */
function defaultBudget(): number {
  try {
    const all = Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY)
    return Math.max(0.75 * all - 2 ** 28, 2 ** 27)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
