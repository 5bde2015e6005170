import { appendFile, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError, writeFileAtomic } from '../../base/files.js'
import { eventFileName, scalarRecord, versionRecord } from './events.js'
import { plotLosses } from './plot.js'

/** A line of log.jsonl. */
export interface LogLine {
  /** Seconds since 1970. */
  readonly time: number
  readonly step: number
  readonly epoch: number
  readonly loss: number
  readonly losses: Readonly<Record<string, number>>
  readonly gradientNorm: number
  readonly learningRate: number
  readonly picturesPerSecond: number
  /** Pictures replaced since the line before. */
  readonly skipped: number
  /** Why, of the first ones. */
  readonly reasons?: readonly string[]
  /** Figures of an evaluation after this step. */
  readonly evaluation?: Readonly<Record<string, number>>
}

const LOG = 'log.jsonl'

/** log.jsonl, the same for TensorBoard, and the plot at the end. */
export class RunLog {
  readonly path: string
  /** Those that the run's earlier part has had, in order. */
  readonly evaluations: readonly Readonly<Record<string, number>>[]
  readonly #folder: string
  readonly #events: string

  private constructor(folder: string, events: string, lines: readonly LogLine[]) {
    this.#folder = folder
    this.evaluations = lines.flatMap(({ evaluation }) => (evaluation ? [evaluation] : []))
    this.path = join(folder, LOG)
    this.#events = events
  }

  /**
   * The log of a run that goes on after a step: what comes after it is cut off, as it is made again.
   *
   * @throws DeclipError ERR_DECLIP_IO
   */
  static async open(folder: string, step: number): Promise<RunLog> {
    const now = Date.now() / 1000
    const lines = (await linesOf(join(folder, LOG))).filter(line => line.step <= step)
    const log = new RunLog(folder, join(folder, eventFileName(now)), lines)
    await writeFileAtomic(log.path, Buffer.from(lines.map(text).join('')))
    await log.#dropEvents()
    await writeFileAtomic(log.#events, Buffer.concat([versionRecord(now), ...lines.map(event)]))
    return log
  }

  /** @throws DeclipError ERR_DECLIP_IO */
  async add(line: LogLine): Promise<void> {
    await append(this.path, text(line))
    await append(this.#events, event(line))
  }

  /** Writes losses.svg. @throws DeclipError ERR_DECLIP_IO */
  async plot(): Promise<void> {
    const lines = await linesOf(this.path)
    const names = [...new Set(lines.flatMap(({ losses }) => Object.keys(losses)))]
    const curve = (name: string, of: (line: LogLine) => number | undefined) => ({
      name,
      points: lines.flatMap(line => {
        const value = of(line)
        return value === undefined ? [] : [{ step: line.step, value }]
      }),
    })
    const parts = names.map(name => curve(name, ({ losses }) => losses[name]))
    const curves = names.length > 1 ? [curve('sum', ({ loss }) => loss), ...parts] : parts
    await writeFileAtomic(join(this.#folder, 'losses.svg'), Buffer.from(plotLosses(curves)))
  }

  /** Those of earlier calls: their lines are in the new file. */
  async #dropEvents(): Promise<void> {
    const names = await readdir(this.#folder)
    const old = names.filter(name => name.startsWith('events.out.tfevents.'))
    await Promise.all(old.map(name => rm(join(this.#folder, name), { force: true })))
  }
}

async function linesOf(path: string): Promise<LogLine[]> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw ioError('read', path, error)
  }
  return content.split('\n').flatMap(parseLine)
}

const text = (line: LogLine) => `${JSON.stringify(line)}\n`

function event({ time, step, losses, evaluation = {}, ...line }: LogLine): Uint8Array {
  const under = (group: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]) => [`${group}/${name}`, value] as const)
  const parts = [...under('losses', losses), ...under('evaluation', evaluation)]
  return scalarRecord(time, step, {
    loss: line.loss,
    ...Object.fromEntries(parts),
    gradient_norm: line.gradientNorm,
    learning_rate: line.learningRate,
    pictures_per_second: line.picturesPerSecond,
  })
}

/** Nothing for the last line of a process that was killed. */
function parseLine(line: string): LogLine[] {
  try {
    const parsed = JSON.parse(line)
    return Number.isInteger(parsed?.step) && parsed.losses ? [parsed] : []
  } catch {
    return []
  }
}

async function append(path: string, bytes: string | Uint8Array): Promise<void> {
  try {
    await appendFile(path, bytes)
  } catch (error) {
    throw ioError('write', path, error)
  }
}
