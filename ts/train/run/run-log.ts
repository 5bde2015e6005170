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
}

/** log.jsonl, the same for TensorBoard, and the plot at the end. */
export class RunLog {
  readonly path: string
  readonly #folder: string
  readonly #events: string

  private constructor(folder: string, events: string) {
    this.#folder = folder
    this.path = join(folder, 'log.jsonl')
    this.#events = events
  }

  /**
   * The log of a run that goes on after a step: what comes after it is cut off, as it is made again.
   *
   * @throws DeclipError ERR_DECLIP_IO
   */
  static async open(folder: string, step: number): Promise<RunLog> {
    const now = Date.now() / 1000
    const log = new RunLog(folder, join(folder, eventFileName(now)))
    const lines = (await log.#lines()).filter(line => line.step <= step)
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
    const lines = await this.#lines()
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

  async #lines(): Promise<LogLine[]> {
    let content: string
    try {
      content = await readFile(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw ioError('read', this.path, error)
    }
    return content.split('\n').flatMap(parseLine)
  }

  /** Those of earlier calls: their lines are in the new file. */
  async #dropEvents(): Promise<void> {
    const names = await readdir(this.#folder)
    const old = names.filter(name => name.startsWith('events.out.tfevents.'))
    await Promise.all(old.map(name => rm(join(this.#folder, name), { force: true })))
  }
}

const text = (line: LogLine) => `${JSON.stringify(line)}\n`

function event({ time, step, losses, ...line }: LogLine): Uint8Array {
  const parts = Object.entries(losses).map(([name, value]) => [`losses/${name}`, value] as const)
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
