/** Symbols by their names in vocabulary files. */

import { inTurns } from '../base/event-loop.js'
import type { MergeTable } from './byte-pairs.js'

/** Whether a byte's name is the Latin-1 character that it stands for. */
export function isPrintable(byte: number): boolean {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
}

/** Names of the bytes 0..255: printable Latin-1 as is, the rest from U+0100; then those that end a word. */
export const BYTE_SYMBOLS: readonly string[] = (() => {
  let hidden = 0
  const names = Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 0x100 + hidden++),
  )
  return [...names, ...names.map(name => `${name}</w>`)]
})()

/** A learned join of two symbols. */
export type Merge = readonly [left: string, right: string]

/** Reads merges, one to a line after an optional `#version` line. */
export async function parseMerges(text: string): Promise<Merge[]> {
  const merges: Merge[] = []
  await inTurns(text.split(/\r?\n/), (line, i) => {
    if (line === '' || (i === 0 && line.startsWith('#version'))) return
    const space = line.indexOf(' ')
    if (space <= 0 || space !== line.lastIndexOf(' ') || space === line.length - 1) {
      throw new Error(`line ${i + 1} must be two symbols with a space between, found '${line}'`)
    }
    merges.push([line.slice(0, space), line.slice(space + 1)])
  })
  return merges
}

/**
 * Merges as ids.
 *
 * @param ids - id of every symbol by name
 * @param merges - in the order in which they were learned
 * @throws Error naming the symbol that `ids` lacks and what needs it
 */
export async function toMergeTable(
  ids: ReadonlyMap<string, number>,
  merges: readonly Merge[],
): Promise<MergeTable> {
  const idOf = (symbol: string, user: string) => {
    const id = ids.get(symbol)
    if (id === undefined) throw new Error(`${user} needs the symbol '${symbol}', which has no id`)
    return id
  }
  const table = {
    bytes: Int32Array.from(BYTE_SYMBOLS, symbol => idOf(symbol, 'a byte')),
    pairs: new Uint32Array(2 * merges.length),
    joined: new Int32Array(merges.length),
  }
  await inTurns(merges, ([left, right], rank) => {
    const user = `merge ${rank + 1}`
    table.joined[rank] = idOf(left + right, user)
    table.pairs[2 * rank] = idOf(left, user)
    table.pairs[2 * rank + 1] = idOf(right, user)
  })
  return table
}
