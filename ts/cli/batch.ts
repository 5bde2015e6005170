/** Work on the pictures that a command was given, of which some may fail. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { ahead, type Outcome } from '../base/ahead.js'
import { ioError } from '../base/files.js'
import { inShard, type Shard } from '../base/shard.js'
import { DeclipError, isOfEveryPicture } from '../errors.js'
import { duration, perSecond } from './durations.js'
import type { Outputs } from './outputs.js'
import { findPictures, type Picture, type Search } from './pictures.js'
import { shard } from './shard.js'
import { type Run, usage } from './shared.js'

/** Options of commands that take pictures. */
export interface BatchFlags {
  recursive?: boolean
  from?: string
  shard?: Shard
  errors?: string
  skipExisting?: boolean
  json?: boolean
}

/** Adds {@link BatchFlags}; `outputs`: the command writes files, so that those there can be skipped. */
export function addBatchOptions(command: Command, outputs: boolean): Command {
  command
    .optionsGroup('Pictures:')
    .option('--recursive', 'also pictures in the folders below, which outputs keep apart')
    .option(
      '--from <list>',
      "file with a name per line, or with NULs between names, or '-' for standard input",
    )
    .addOption(
      new Option('--shard <i/n>', 'only the i-th of n parts of the pictures').argParser(shard),
    )
    .option('--errors <file>', 'write a JSON line for every picture that failed')
  if (outputs) {
    command.option('--skip-existing', 'leave out pictures whose outputs are there already')
  }
  return command
}

/** A picture and the files that are written for it. */
export interface Job<Kind extends string = string> {
  readonly picture: Picture
  readonly outputs: Outputs<Kind>
}

/** How a batch is opened. */
export interface BatchOptions<Kind extends string> {
  readonly flags: BatchFlags
  /** Where outputs go. */
  readonly plan: (pictures: readonly Picture[]) => Promise<Outputs<Kind>[]>
  /** See {@link Search.avoid}. */
  readonly avoid?: Search['avoid']
  /**
   * For --skip-existing where not files tell what is done: whether the picture of this place is. Nothing is said
   * here where all are.
   */
  readonly isDone?: ((place: string) => boolean) | undefined
}

/** Names that are looked up at a time. */
const LOOKUPS = 32

/** Pictures of which one that cannot be used is reported and left out, where it is not the only one. */
export class Batch<Kind extends string = string> {
  /** What is to be done; where it is nothing, that was said already. */
  readonly jobs: readonly Job<Kind>[]
  /** Pictures of this part, also those that are skipped or cannot be used. */
  readonly total: number
  readonly #run: Run
  readonly #json: boolean
  readonly #canSkip: boolean
  readonly #skipped: number
  #errors: number | undefined
  #failed = 0
  #done = 0
  #begun: number | undefined
  /** What ends the run though it came with one picture. */
  #last: unknown

  private constructor(
    jobs: readonly Job<Kind>[],
    counts: { total: number; skipped: number },
    { skipExisting, json = false }: BatchFlags,
    run: Run,
  ) {
    this.jobs = jobs
    this.total = counts.total
    this.#skipped = counts.skipped
    this.#canSkip = skipExisting !== undefined || jobs.some(hasOutputs)
    this.#json = json
    this.#run = run
  }

  /**
   * Finds the pictures, decides where their outputs go, and keeps this part's of which outputs are
   * missing.
   *
   * @throws DeclipError where none of them can be used, or as {@link planOutputs}
   */
  static async open<Kind extends string>(
    given: readonly string[],
    { flags, plan, avoid, isDone }: BatchOptions<Kind>,
    run: Run,
  ): Promise<Batch<Kind>> {
    const { from, recursive, skipExisting = false } = flags
    const { pictures, unusable } = await findPictures(given, { from, recursive, avoid })
    const outputs = await plan(pictures)
    const mine = (place: string) => flags.shard === undefined || inShard(place, flags.shard)
    const all = pictures.map((picture, i) => ({ picture, outputs: outputs[i] ?? {} }))
    const jobs = all.filter(({ picture }) => mine(picture.place))
    const failures = unusable.filter(({ place }) => mine(place))
    const left = await remaining(jobs, skipExisting, isDone)
    const total = jobs.length + failures.length
    const batch = new Batch(left, { total, skipped: jobs.length - left.length }, flags, run)
    batch.#openErrors(flags.errors)
    for (const { name, error } of failures) batch.#report(name, error)
    const [only] = unusable
    if (only && pictures.length === 0 && unusable.length === 1) throw only.error
    if (left.length === 0 && !isDone) batch.#end()
    return batch
  }

  /**
   * Takes what has become of the jobs, in order: prints the lines of those that are done and reports the
   * others.
   *
   * @throws DeclipError where a picture was left out, or what ends the run
   */
  async take(outcomes: AsyncIterable<Outcome<Pick<Job, 'picture'>, string>>): Promise<void> {
    const { print, progress } = this.#run
    this.#begun = performance.now()
    let ended = false
    try {
      for await (const { item, result } of outcomes) {
        if (result.status === 'rejected') this.#leaveOut(item.picture, result.reason)
        else {
          this.#done += 1
          print(result.value)
        }
        this.#showProgress()
      }
      ended = true
    } finally {
      progress.clear()
      if (!ended) this.#summarize('stopped')
    }
    this.#end()
  }

  /** Marks an error as one that would come with every picture: outputs cannot be written. */
  readonly endWith = (error: unknown): never => {
    this.#last = error
    throw error
  }

  /** Counts pictures, where a single one has steps of its own to show. */
  #showProgress(): void {
    if (this.total === 1) return
    const done = this.#done + this.#failed
    this.#run.progress.updatePictures(done, this.total - this.#skipped, this.#elapsed())
  }

  /** @throws the error where it is not of this picture alone */
  #leaveOut({ name }: Picture, error: DeclipError): void {
    if (error === this.#last || isOfEveryPicture(error)) throw error
    const { code, message } = error
    const isNamed = message.includes(name)
    this.#report(
      name,
      isNamed ? error : new DeclipError(code, `${name}: ${message}`, { cause: error }),
    )
    if (this.total === 1) throw error
  }

  #report(image: string, error: DeclipError): void {
    this.#failed += 1
    const { code, message } = error
    const record = JSON.stringify({ image, error: { code, message } })
    if (this.#errors !== undefined) writeSync(this.#errors, `${record}\n`)
    if (this.#json) this.#run.print(record)
    if (this.total > 1) this.#run.complain(error)
  }

  #openErrors(path: string | undefined): void {
    if (path === undefined) return
    try {
      this.#errors = openSync(path, 'w')
    } catch (error) {
      throw ioError('write', path, error)
    }
  }

  /** @throws DeclipError where a picture was left out */
  #end(): void {
    this.#summarize()
    if (this.#errors !== undefined) closeSync(this.#errors)
    if (this.#failed === 0) return
    const message = `${this.#failed} of ${this.total} pictures were left out; the lines above say why.`
    throw new DeclipError('ERR_DECLIP_IMAGE', message)
  }

  #summarize(stopped?: 'stopped'): void {
    if (this.total === 1 && this.#skipped === 0) return
    const handled = this.#done + this.#failed
    const counts = [
      `${this.#done} done`,
      ...(this.#skipped > 0 ? [`${this.#skipped} skipped`] : []),
      ...(this.#failed > 0 ? [`${this.#failed} failed`] : []),
      ...(stopped ? [`${this.total - this.#skipped - handled} not reached`] : []),
    ]
    const seconds = this.#elapsed()
    const rate = this.#begun !== undefined && handled > 0 ? ` (${perSecond(handled, seconds)})` : ''
    const again = stopped && this.#canSkip ? '; --skip-existing goes on with the rest' : ''
    this.#run.tell(
      `${this.total} ${this.total === 1 ? 'picture' : 'pictures'}: ${counts.join(', ')} in ${duration(seconds)}${rate}${again}`,
    )
  }

  /** In seconds, since the first picture was begun. */
  #elapsed(): number {
    return this.#begun === undefined ? 0 : (performance.now() - this.#begun) / 1000
  }
}

function hasOutputs({ outputs }: Job): boolean {
  return Object.keys(outputs).length > 0
}

async function remaining<Kind extends string>(
  jobs: readonly Job<Kind>[],
  skipExisting: boolean,
  isDone: BatchOptions<Kind>['isDone'],
): Promise<readonly Job<Kind>[]> {
  if (!skipExisting) return jobs
  return isDone ? jobs.filter(({ picture }) => !isDone(picture.place)) : missing(jobs)
}

/** The jobs of which an output is not there. Files are renamed when they are whole. */
async function missing<Kind extends string>(jobs: readonly Job<Kind>[]): Promise<Job<Kind>[]> {
  if (jobs.length > 0 && !jobs.some(hasOutputs)) {
    throw usage('--skip-existing needs an option that says where outputs go.')
  }
  const left: Job<Kind>[] = []
  const isFile = (path: string) =>
    stat(path).then(
      found => found.isFile(),
      () => false,
    )
  const looked = ahead(
    jobs.values(),
    async ({ outputs }) => Promise.all((Object.values(outputs) as string[]).map(isFile)),
    { limit: LOOKUPS },
  )
  for await (const { item, result } of looked) {
    if (result.status === 'rejected' || result.value.includes(false)) left.push(item)
  }
  return left
}
