type Numbers = Float64Array | Uint32Array | Int32Array | Uint8Array

/** A typed array that grows: numbers of many items at a few bytes each, where a list of objects would cost a hundred. @internal */
export class Growing<T extends Numbers> {
  #data: T
  #length = 0
  readonly #make: (length: number) => T

  constructor(make: (length: number) => T) {
    this.#make = make
    this.#data = make(64)
  }

  get length(): number {
    return this.#length
  }

  push(...values: readonly number[]): void {
    this.append(values)
  }

  append(values: ArrayLike<number>): void {
    const length = this.#length + values.length
    if (length > this.#data.length) {
      const larger = this.#make(Math.max(length, 2 * this.#data.length))
      larger.set(this.#data)
      this.#data = larger
    }
    this.#data.set(values, this.#length)
    this.#length = length
  }

  /** What is there now. What is added later leaves it as it is. */
  view(): T {
    return this.#data.subarray(0, this.#length) as T
  }
}
