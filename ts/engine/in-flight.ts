import { loadAddon } from './load-addon.js'

/** Pictures that wait decoded for a thread. */
const DECODED = 2

/**
 * How many pictures to begin at a time so that the threads always have work: one for each, since small
 * ones are computed side by side, and those that are decoded meanwhile.
 *
 * @internal
 */
export function picturesInFlight(): number {
  return loadAddon().runtime().threads + DECODED
}
