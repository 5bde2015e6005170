import { invalid } from '../../errors.js'
import { type RankedRegion, RegionCounts } from '../metrics/regions.js'
import type { ResultLine } from '../results-file.js'
import type { RunHeader } from '../run-folder.js'
import type { Figures, Scorer } from './scorer.js'

/** Mean accuracy over classes of regions. @internal */
export class RegionsScorer implements Scorer {
  readonly #header: RunHeader
  readonly #counts: RegionCounts
  readonly #confusion: Float64Array
  #regions = 0

  constructor(header: RunHeader) {
    const { length } = header.classes
    this.#header = header
    this.#counts = new RegionCounts(length)
    this.#confusion = new Float64Array((length + 1) ** 2)
  }

  add({ regions }: ResultLine): number | null {
    if (!Array.isArray(regions)) throw invalid('regions', 'a list', regions)
    const rows = regions.map(row => this.#read(row))
    this.#counts.add(rows.map(({ region }) => region))
    const side = this.#header.classes.length + 1
    let hits = 0
    for (const { region, top } of rows) {
      const at = region.label * side + top
      this.#confusion[at] = (this.#confusion[at] as number) + 1
      if (top === region.label) hits += 1
    }
    this.#regions += rows.length
    return rows.length === 0 ? null : hits / rows.length
  }

  #read(row: unknown): { region: RankedRegion; top: number } {
    const numbers = Array.isArray(row) ? row : []
    const [label, thing, boxes, masks, crops, top] = numbers
    const isClass = (c: unknown) =>
      Number.isInteger(c) && Number(c) >= 0 && Number(c) < this.#header.classes.length
    if (!isClass(label) || !isClass(top)) throw invalid('regions', 'rows with two classes', row)
    const rank = (value: unknown) => (value === null ? undefined : (value as number))
    const ranks = { boxes: rank(boxes), masks: rank(masks), crops: rank(crops) }
    return { region: { label, thing: thing === 1, ranks: defined(ranks) }, top }
  }

  async figures(): Promise<Figures> {
    const { boxes, masks, crops, perClass } = this.#counts.scores()
    const classes = perClass.map((one, c) => {
      const { name = String(c), thing } = this.#header.classes[c] ?? {}
      return { name, thing: thing ?? null, ...one }
    })
    const figures = { boxes, masks, crops, regions: this.#regions, classes }
    return { figures, confusion: this.#confusion }
  }
}

function defined(ranks: Record<string, number | undefined>): RankedRegion['ranks'] {
  return Object.fromEntries(Object.entries(ranks).filter(([, rank]) => rank !== undefined))
}
