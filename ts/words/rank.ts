import { inTurns } from '../base/event-loop.js'

/** exp(logit_scale) of CLIP's released models, for checkpoints that have none. */
const LOGIT_SCALE = 100

/** What turns cosines into probabilities: a model's own, null where it has none. @internal */
export interface Logits {
  readonly logitScale: number | null
  readonly logitBias: number | null
}

/** A class, how well it fits and how probable it is. */
export interface RankedClass {
  /** The class's name. */
  readonly class: string
  /** Its place among the classes. */
  readonly index: number
  /** Cosine with the best of its words, -1 to 1. */
  readonly score: number
  /**
   * 0 to 1: the softmax over all classes of their cosines times the model's logit scale; or, of a model with a logit
   * bias (SigLIP), the sigmoid of the class's own, which need not add up to 1.
   */
  readonly probability: number
}

/**
 * The best classes of every row, the best first; of equal ones the first. A class counts by the best of its words.
 *
 * @param cosines - [K, Q], row by row
 * @param topK - how many, at most as many as there are
 * @internal
 */
export async function rankClasses(
  cosines: Float32Array,
  { classes, wordClass }: { classes: readonly string[]; wordClass: Int32Array },
  logits: Logits,
  topK: number,
): Promise<RankedClass[][]> {
  const words = wordClass.length
  const out: RankedClass[][] = []
  const starts = Array.from({ length: cosines.length / words }, (_, k) => k * words)
  await inTurns(
    starts,
    start => {
      const best = new Float64Array(classes.length).fill(Number.NEGATIVE_INFINITY)
      for (let q = 0; q < words; q++) {
        const c = wordClass[q] as number
        best[c] = Math.max(best[c] as number, cosines[start + q] as number)
      }
      const probabilities = probabilitiesOf(best, logits)
      const order = Array.from(best.keys()).sort(
        (a, b) => (best[b] as number) - (best[a] as number) || a - b,
      )
      out.push(
        order.slice(0, topK).map(index => ({
          class: classes[index] as string,
          index,
          score: best[index] as number,
          probability: probabilities[index] as number,
        })),
      )
    },
    Math.max(1, Math.floor(65536 / words)),
  )
  return out
}

function probabilitiesOf(scores: Float64Array, { logitScale, logitBias }: Logits): Float64Array {
  const scale = logitScale ?? LOGIT_SCALE
  if (logitBias !== null)
    return scores.map(score => 1 / (1 + Math.exp(-(scale * score + logitBias))))
  const highest = scores.reduce((a, b) => Math.max(a, b))
  const exponentials = scores.map(score => Math.exp(scale * (score - highest)))
  const sum = exponentials.reduce((a, b) => a + b, 0)
  return exponentials.map(x => x / sum)
}
