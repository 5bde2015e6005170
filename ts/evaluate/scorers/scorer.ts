import type { ResultLine } from '../results-file.js'

/** What a scorer comes to. @internal */
export interface Figures {
  /** The task's part of the result. */
  readonly figures: Readonly<Record<string, unknown>>
  /** (C + 1) x (C + 1) by true (row) and found class. */
  readonly confusion?: Float64Array | undefined
  readonly curves?:
    | readonly {
        readonly name: string
        readonly recall: readonly number[]
        readonly precision: readonly number[]
      }[]
    | undefined
}

/** Makes figures of pictures' measurements; their order does not matter. @internal */
export interface Scorer {
  /**
   * @param place - of the picture in the data set
   * @returns how well it was done, 0 to 1; null where nothing was to be found
   * @throws DeclipError for measurements that cannot be
   */
  add(line: ResultLine, place: number): number | null
  figures(signal?: AbortSignal): Promise<Figures>
}
