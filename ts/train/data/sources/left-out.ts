interface Kind {
  count: number
  readonly first: string
}

/** What of the data is not learnt from, or not as it was meant: counts by kind, each with an example. */
export class LeftOut {
  readonly #kinds = new Map<string, Kind>()

  /**
   * @param kind - in the plural: 'boxes of crowds'
   * @param example - file and entry
   */
  add(kind: string, example: string): void {
    const known = this.#kinds.get(kind)
    if (known) known.count++
    else this.#kinds.set(kind, { count: 1, first: example })
  }

  get isEmpty(): boolean {
    return this.#kinds.size === 0
  }

  /** 'boxes of crowds: 3 (the first: annotations[7] of a.json); ...' */
  toString(): string {
    return [...this.#kinds]
      .map(([kind, { count, first }]) => `${kind}: ${count} (the first: ${first})`)
      .join('; ')
  }
}

/** The warning of a run about its data; null if there is nothing to say. */
export function leftOutWarning(leftOut: LeftOut): string | null {
  return leftOut.isEmpty ? null : `data: not all of it is learnt from. ${leftOut}.`
}
