import { DeclipError, invalid } from '../../errors.js'
import { meanOf } from './ratio.js'

/** How a region's feature was made: from its box, from its mask, or from its crop as a picture of its own. */
export type RegionSource = 'boxes' | 'masks' | 'crops'

const POOLS = ['boxes', 'masks', 'crops'] as const
const KINDS = ['thing', 'stuff'] as const

/** A region and where its true class stands in the ranking. */
export interface RankedRegion {
  /** Its true class. */
  readonly label: number
  readonly thing: boolean
  /**
   * By how its feature was made, the place of the true class among the ranked ones, 0 the best; -1 where it is not
   * among the first five. Left out where that was not measured.
   */
  readonly ranks: Readonly<Partial<Record<RegionSource, number>>>
}

/** Mean accuracies over classes, as fractions; null where no region was measured. */
export interface RegionAccuracy {
  /** Of the best class alone, and of the five best. */
  readonly macc1: number | null
  readonly macc5: number | null
  readonly regions: number
}

/** Accuracies of one class, as fractions. */
export interface RegionClassAccuracy {
  readonly acc1: number | null
  readonly acc5: number | null
  readonly regions: number
}

/** By how features were made, then countable things and stuff. */
export type RegionScores = Readonly<
  Record<RegionSource, Readonly<Record<'thing' | 'stuff', RegionAccuracy>>>
> & {
  /** By class. */
  readonly perClass: readonly Readonly<Record<RegionSource, RegionClassAccuracy>>[]
}

/** Regions, those with the true class first, those with it among the first five. */
const COUNTS = 3

/**
 * Regions of a data set and hits by class, as CLIPSelf and DeCLIP measure them. Whole numbers, so pictures may come in
 * any order and parts may be united: the scores are the same to the last digit.
 */
export class RegionCounts {
  readonly classes: number
  /** Class, then pool, then thing or stuff, then the counts. */
  readonly #counts: Float64Array

  /** @throws DeclipError ERR_DECLIP_INVALID_ARG unless there are 1 to 65536 classes */
  constructor(classes: number) {
    if (!Number.isInteger(classes) || classes < 1 || classes > 65536) {
      throw invalid('classes', 'a whole number, 1 to 65536', classes)
    }
    this.classes = classes
    this.#counts = new Float64Array(classes * POOLS.length * KINDS.length * COUNTS)
  }

  /**
   * Adds the regions of a picture.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG, and then nothing is added
   */
  add(regions: readonly RankedRegion[]): this {
    for (const region of regions) this.#check(region)
    for (const { label, thing, ranks } of regions) {
      for (const pool of POOLS) {
        const rank = ranks[pool]
        if (rank === undefined) continue
        const at = place(label, pool, thing ? 'thing' : 'stuff')
        this.#bump(at)
        if (rank === 0) this.#bump(at + 1)
        if (rank >= 0 && rank < 5) this.#bump(at + 2)
      }
    }
    return this
  }

  /** Adds what another has counted. @throws DeclipError ERR_DECLIP_INVALID_ARG for another number of classes */
  merge(other: RegionCounts): this {
    if (other.classes !== this.classes) {
      throw invalid('other', `counts of ${this.classes} classes`, `those of ${other.classes}`)
    }
    other.#counts.forEach((count, at) => {
      this.#counts[at] = (this.#counts[at] as number) + count
    })
    return this
  }

  /**
   * The mean over the classes that have regions of each class's share of hits (mAcc).
   *
   * @param options - `float16`: each class's share is rounded to float16 before the mean, as CLIPSelf's and DeCLIP's
   * programs have it, which changes a mean by at most 5e-4
   */
  scores({ float16 = false }: { readonly float16?: boolean | undefined } = {}): RegionScores {
    const rounded = (share: number | null) =>
      share === null || !float16 ? share : toFloat16(Math.fround(share))
    const share = (at: number, hits: 1 | 2): number | null => {
      const regions = this.#counts[at] as number
      return regions === 0 ? null : (this.#counts[at + hits] as number) / regions
    }
    const labels = Array.from({ length: this.classes }, (_, label) => label)
    const accuracy = (pool: RegionSource, kind: (typeof KINDS)[number]): RegionAccuracy => {
      const places = labels.map(label => place(label, pool, kind))
      return {
        macc1: meanOf(places.map(at => rounded(share(at, 1)))),
        macc5: meanOf(places.map(at => rounded(share(at, 2)))),
        regions: places.reduce((sum, at) => sum + (this.#counts[at] as number), 0),
      }
    }
    const both = (pool: RegionSource) => ({
      thing: accuracy(pool, 'thing'),
      stuff: accuracy(pool, 'stuff'),
    })
    return {
      boxes: both('boxes'),
      masks: both('masks'),
      crops: both('crops'),
      perClass: labels.map(label => ({
        boxes: this.#ofClass(label, 'boxes'),
        masks: this.#ofClass(label, 'masks'),
        crops: this.#ofClass(label, 'crops'),
      })),
    }
  }

  /** Things and stuff of a class together; a class is all one or the other. */
  #ofClass(label: number, pool: RegionSource): RegionClassAccuracy {
    const total = (offset: number) =>
      KINDS.reduce(
        (sum, kind) => sum + (this.#counts[place(label, pool, kind) + offset] as number),
        0,
      )
    const regions = total(0)
    if (regions === 0) return { acc1: null, acc5: null, regions }
    return { acc1: total(1) / regions, acc5: total(2) / regions, regions }
  }

  #bump(at: number): void {
    this.#counts[at] = (this.#counts[at] as number) + 1
  }

  #check({ label, thing, ranks }: RankedRegion): void {
    if (!Number.isInteger(label) || label < 0 || label >= this.classes) {
      throw invalid('label', `a whole number, 0 to ${this.classes - 1}`, label)
    }
    if (typeof thing !== 'boolean') throw invalid('thing', 'true or false', thing)
    for (const pool of POOLS) {
      const rank = ranks[pool]
      if (rank === undefined || (Number.isInteger(rank) && rank >= -1)) continue
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `ranks.${pool} must be the place of the true class, 0 for the best and -1 for none, received ${rank}.`,
      )
    }
  }
}

function place(label: number, pool: RegionSource, kind: (typeof KINDS)[number]): number {
  return (
    ((label * POOLS.length + POOLS.indexOf(pool)) * KINDS.length + KINDS.indexOf(kind)) * COUNTS
  )
}

/** The nearest float16 of a number from 0 to 1, of two equally near ones the even one. @internal */
export function toFloat16(value: number): number {
  if (value === 0) return 0
  // 11 significant bits; below 2^-14 the steps are 2^-24 whatever the size.
  const exponent = Math.max(-14, Math.floor(Math.log2(value)))
  const step = 2 ** (exponent - 10)
  const steps = value / step
  const below = Math.floor(steps)
  const rest = steps - below
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1)
  return (below + (up ? 1 : 0)) * step
}
