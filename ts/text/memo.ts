/** Longest word kept, in UTF-16 units, and how many of them. */
const LENGTH = 64
const SIZE = 16384

/** What was made of short words; texts that are tokenized together share most of theirs. */
export class Memo<T> {
  readonly #known = new Map<string, T>()

  /** What is known of a word, or what `make` makes of it, which nobody may change. */
  get(word: string, make: (word: string) => T): T {
    const known = this.#known.get(word)
    if (known !== undefined) return known
    const made = make(word)
    if (word.length <= LENGTH) {
      if (this.#known.size >= SIZE) this.#known.clear()
      this.#known.set(word, made)
    }
    return made
  }
}
