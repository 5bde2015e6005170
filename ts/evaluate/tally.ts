/** From the lines of pictures to the figures of a run. */
import { createHash } from 'node:crypto'
import { DeclipError } from '../errors.js'
import type { EvaluationTask } from './datasets/dataset.js'
import { publishedFor } from './published.js'
import type { EvaluationResult, EvaluationSummary, FailedPicture } from './result.js'
import type { ResultLine } from './results-file.js'
import type { RunHeader } from './run-folder.js'
import { scorerOf } from './scorers/open.js'
import type { Figures, Scorer } from './scorers/scorer.js'

/** What a run comes to. @internal */
export interface Scored extends Pick<Figures, 'confusion' | 'curves'> {
  readonly result: EvaluationResult
  /** In the data set's order. */
  readonly scores: readonly { readonly id: string; readonly score: number | null }[]
  /** Pictures that two parts have with the same measurements. */
  readonly doubled: readonly string[]
}

/** Of a picture that was measured. */
interface Measured {
  readonly digest: string
  readonly from: string
  readonly score: number | null
}

/**
 * Takes the lines of a run in any order. A picture that was measured after it had failed counts as measured; one that
 * was measured twice counts once, if both say the same.
 *
 * @internal
 */
export class Tally {
  readonly #header: RunHeader
  readonly #places: ReadonlyMap<string, number>
  readonly #scorer: Scorer
  readonly #measured = new Map<string, Measured>()
  readonly #failed = new Map<string, FailedPicture['error']>()
  readonly #doubled: string[] = []

  constructor(header: RunHeader) {
    this.#header = header
    this.#places = new Map(header.pictures.map((id, place) => [id, place]))
    this.#scorer = scorerOf(header)
  }

  /** How many pictures were measured. */
  get measured(): number {
    return this.#measured.size
  }

  /** How many could not be. */
  get failed(): number {
    return this.#failed.size
  }

  isMeasured(id: string): boolean {
    return this.#measured.has(id)
  }

  /**
   * @param from - the file that the line is in, for messages
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for a picture that the run does not have, or has with other measurements
   */
  add(line: ResultLine, from: string): void {
    const { id, error, ms: _, ...measurements } = line
    const place = this.#places.get(id)
    if (place === undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${from} has a result of picture '${id}', which the run of its settings.json does not have. Keep results with the settings that they were made with.`,
      )
    }
    const before = this.#measured.get(id)
    if (error) {
      if (!before) this.#failed.set(id, error)
      return
    }
    const digest = createHash('sha256').update(JSON.stringify(measurements)).digest('base64')
    if (before) {
      if (before.digest !== digest) throw differing(id, before.from, from)
      this.#doubled.push(id)
      return
    }
    let score: number | null
    try {
      score = this.#scorer.add(line, place)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${from}: the result of picture '${id}' is damaged: ${why} Remove its line, and the picture is done again with resume (--resume).`,
        { cause },
      )
    }
    this.#measured.set(id, { digest, from, score })
    this.#failed.delete(id)
  }

  /** @param expected - ids that there should be results of */
  async score(expected: Iterable<string>, signal?: AbortSignal): Promise<Scored> {
    const { settings, versions, pictures, notes } = this.#header
    const { figures, confusion, curves } = await this.#scorer.figures(signal)
    const failed = pictures.flatMap(id => {
      const error = this.#failed.get(id)
      return error ? [{ id, error }] : []
    })
    const missing: string[] = []
    for (const id of expected) {
      if (!this.#measured.has(id) && !this.#failed.has(id)) missing.push(id)
    }
    const summary: EvaluationSummary = {
      dataset: settings.dataset,
      pictures: this.#measured.size,
      failed,
      missing,
      notes,
      published: publishedFor(settings),
      settings,
      versions,
    }
    const task: EvaluationTask = settings.task
    return {
      // Figures first, as people read them.
      result: { task, ...figures, ...summary } as unknown as EvaluationResult,
      confusion,
      curves,
      scores: pictures.flatMap(id => {
        const found = this.#measured.get(id)
        return found ? [{ id, score: found.score }] : []
      }),
      doubled: this.#doubled,
    }
  }
}

function differing(id: string, one: string, other: string): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `Picture '${id}' was measured twice with different results, in ${one} and in ${other}. Machines that compute differently, or other weights under the same name, can cause this; keep one of the two files.`,
  )
}
