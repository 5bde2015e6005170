import type { MiouConvention } from '../../methods/benchmarks.js'
import { SemanticCounts } from '../metrics/semantic.js'
import type { ResultLine } from '../results-file.js'
import type { RunHeader } from '../run-folder.js'
import type { Figures, Scorer } from './scorer.js'

/** mIoU, mAcc and aAcc of all pixels. @internal */
export class SemanticScorer implements Scorer {
  readonly #header: RunHeader
  readonly #counts: SemanticCounts

  constructor(header: RunHeader) {
    this.#header = header
    this.#counts = new SemanticCounts(header.classes.length)
  }

  add({ pairs }: ResultLine): number | null {
    const triples = Array.isArray(pairs) ? pairs : [Number.NaN]
    const own = new SemanticCounts(this.#header.classes.length).add(triples)
    this.#counts.add(triples)
    return own.scores().miou
  }

  async figures(): Promise<Figures> {
    const scores = this.#counts.scores()
    const { mious, macc, aacc, perClass } = scores
    const { values } = this.#header.settings
    const convention = (values['convention'] as MiouConvention | undefined) ?? 'mmsegmentation'
    const classes = perClass.map(({ iou, acc, pixels }, c) => ({
      name: this.#header.classes[c]?.name ?? String(c),
      iou,
      acc,
      pixels,
    }))
    return {
      figures: { miou: mious[convention], mious, macc, aacc, classes },
      confusion: scores.confusion,
    }
  }
}
