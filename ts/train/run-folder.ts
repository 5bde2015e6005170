import { appendFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DeclipError } from '../errors.js'
import { ioError, writeFileAtomic } from '../files.js'
import type { ResolvedConfig } from './config-fields.js'

/** Fields that may differ when a run goes on: they do not change what is learnt. */
const HARMLESS: readonly (keyof ResolvedConfig)[] = [
  'out',
  'threads',
  'prefetch',
  'logEvery',
  'saveEvery',
  'exportEvery',
]

/** What a run was started with; config.json of its folder. */
export interface RunRecord {
  readonly config: ResolvedConfig
  /** Of the data: a run goes on with the same only. */
  readonly data: { readonly samples: number; readonly digest: string }
}

/** A line of log.jsonl. */
export interface LogLine {
  readonly step: number
  readonly [name: string]: number | Readonly<Record<string, number>> | readonly string[]
}

/** The folder that a run writes. */
export class RunFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Everything but the weights of the exports: see {@link RunFolder.file}. */
  get state(): string {
    return this.file('state.safetensors')
  }

  get log(): string {
    return this.file('log.jsonl')
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /**
   * Begins a run, or goes on with the one that is there.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG if there is a run and `resume` is false, none and it is
   * true, or one of another configuration; ERR_DECLIP_IO
   */
  async open(record: RunRecord, resume: boolean): Promise<void> {
    const path = this.file('config.json')
    const existing = await readIfThere(path)
    if (!resume) {
      if (existing !== undefined || (await exists(this.state))) {
        throw new DeclipError(
          'ERR_DECLIP_INVALID_ARG',
          `out: ${this.path} has a run already. Go on with it (--resume, or resume: true), choose another folder, or delete it.`,
        )
      }
      await makeFolder(this.path)
      await writeFileAtomic(path, Buffer.from(`${JSON.stringify(record, null, 2)}\n`))
      return
    }
    if (existing === undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `There is no run in ${this.path} to go on with; start one without resume.`,
      )
    }
    compare(path, existing, record)
  }

  /** Whether a step was saved. */
  async hasState(): Promise<boolean> {
    return exists(this.state)
  }

  /** Adds lines to the log. @throws DeclipError ERR_DECLIP_IO */
  async append(lines: readonly LogLine[]): Promise<void> {
    if (lines.length === 0) return
    try {
      await appendFile(this.log, lines.map(line => `${JSON.stringify(line)}\n`).join(''))
    } catch (error) {
      throw ioError('write', this.log, error)
    }
  }

  /** The log's whole lines up to a step; what comes after it is cut off, as it will be made again. */
  async rewindLog(step: number): Promise<LogLine[]> {
    const text = (await readIfThere(this.log)) ?? ''
    const lines = text
      .split('\n')
      .map(parseLine)
      .filter(line => line !== undefined)
      .filter(line => line.step <= step)
    const kept = lines.map(line => `${JSON.stringify(line)}\n`).join('')
    if (kept !== text) await writeFileAtomic(this.log, Buffer.from(kept))
    return lines
  }

  /** Puts a folder that was written under a temporary name in its place. */
  async place(temporary: string, name: string): Promise<string> {
    const target = this.file(name)
    try {
      await rm(target, { recursive: true, force: true })
      await rename(temporary, target)
    } catch (error) {
      throw ioError('write', target, error)
    }
    return target
  }
}

function compare(path: string, text: string, record: RunRecord): void {
  let earlier: RunRecord
  try {
    earlier = JSON.parse(text) as RunRecord
    if (typeof earlier.config !== 'object' || typeof earlier.data !== 'object') throw new Error()
  } catch (cause) {
    throw new DeclipError('ERR_DECLIP_IO', `${path} is not what a run writes.`, { cause })
  }
  const drop = (config: ResolvedConfig) => {
    const rest: Partial<ResolvedConfig> = { ...config }
    for (const field of HARMLESS) delete rest[field]
    return rest
  }
  const changed = differences(drop(earlier.config), JSON.parse(JSON.stringify(drop(record.config))))
  if (changed.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `A run goes on with the configuration that it was started with, but ${changed.join('; ')}. ` +
        `Change it back, or start another run in another folder.`,
    )
  }
  if (JSON.stringify(earlier.data) !== JSON.stringify(record.data)) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data has changed since the run was started (${earlier.data.samples} pictures then, ${record.data.samples} now, or others); a run goes on with the same data only.`,
    )
  }
}

/** 'name was a and is b' for every field that differs. */
function differences(before: unknown, after: unknown, name = ''): string[] {
  const inner = (x: unknown) => typeof x === 'object' && x !== null && !Array.isArray(x)
  if (inner(before) && inner(after)) {
    const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>]
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    return keys.flatMap(key => differences(a[key], b[key], name === '' ? key : `${name}.${key}`))
  }
  const [a, b] = [JSON.stringify(before), JSON.stringify(after)]
  return a === b ? [] : [`${name} was ${a ?? 'not given'} and is ${b ?? 'not given'}`]
}

function parseLine(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text)
    return Number.isInteger(line?.step) ? line : undefined
  } catch {
    return undefined // the last line of a process that was killed
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw ioError('write', path, error)
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw ioError('read', path, error)
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
