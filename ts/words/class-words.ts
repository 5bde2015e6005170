import type { NativeTensor } from '../engine/addon-types.js'
import { loadAddon } from '../engine/load-addon.js'
import type { Vocabulary } from './vocabulary.js'

/** Words of a vocabulary that a call compares. @internal */
export interface ComparedWords {
  /** [Q, D] */
  readonly features: NativeTensor
  /** Class of every word, [Q]. */
  readonly wordClass: Int32Array
  /** Of what was made for this call; the vocabulary's own is left alone. */
  dispose(): void
}

/**
 * The words of a vocabulary that count.
 *
 * @param which - 'first': of every class the first one, and all of the background, whose words are no synonyms
 * @internal
 */
export async function comparedWords(
  { features, wordClass, background }: Vocabulary,
  which: 'first' | 'all',
): Promise<ComparedWords> {
  const kept = which === 'all' ? undefined : firstOnes(wordClass, background)
  if (kept === undefined || kept.length === wordClass.length) {
    return { features: features.native, wordClass, dispose: () => {} }
  }
  const [, width = 0] = features.shape
  const values = await features.data()
  const rows = new Float32Array(kept.length * width)
  for (const [to, from] of kept.entries()) {
    rows.set(values.subarray(from * width, (from + 1) * width) as Float32Array, to * width)
  }
  const native = loadAddon().tensor(rows, [kept.length, width], 'float32')
  return {
    features: native,
    wordClass: Int32Array.from(kept, from => wordClass[from] as number),
    dispose: () => native.dispose(),
  }
}

/** Places of the words that count. */
function firstOnes(wordClass: Int32Array, background: number): number[] {
  const seen = new Set<number>()
  return [...wordClass.keys()].filter(at => {
    const of = wordClass[at] as number
    const counts = of === background || !seen.has(of)
    seen.add(of)
    return counts
  })
}
