import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ioError, writeFileAtomic } from '../../base/files.js'
import { DeclipError } from '../../errors.js'
import type { ResolvedConfig } from '../config-fields.js'

/** Fields that may differ when a run goes on: they do not change what is learnt. */
const MAY_CHANGE: readonly (keyof ResolvedConfig)[] = [
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
  /** SHA-256 of the weights that `model`, `pretrained` and `teacher.model` name. */
  readonly weights: Readonly<Record<string, string>>
  /** That make a step together. */
  readonly processes: number
}

/** The folder that a run writes. */
export class RunFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** What a run goes on from. */
  get state(): string {
    return this.file('state.safetensors')
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /**
   * Looks whether a run can begin here, or go on; writes nothing but the folder.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG if there is a run and `resume` is false, none and it is
   * true, or one of another configuration; ERR_DECLIP_IO
   */
  async check(record: RunRecord, resume: boolean): Promise<void> {
    const path = this.file('config.json')
    const existing = await readIfThere(path)
    if (!resume) {
      if (existing !== undefined || (await exists(this.state))) {
        throw new DeclipError(
          'ERR_DECLIP_INVALID_ARG',
          `out: ${this.path} has a run already. Go on with it (--resume, or resume: true), choose another folder, or delete it.`,
        )
      }
      return makeFolder(this.path)
    }
    if (existing === undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `There is no run in ${this.path} to go on with; start one without resume.`,
      )
    }
    compare(path, existing, record)
    await this.#sweep()
  }

  /** Writes what the run is. */
  async begin(record: RunRecord): Promise<void> {
    const text = `${JSON.stringify(record, null, 2)}\n`
    await writeFileAtomic(this.file('config.json'), Buffer.from(text))
  }

  /** Removes what a killed process was writing. */
  async #sweep(): Promise<void> {
    const names = await readdir(this.path)
    const left = names.filter(name => name.endsWith('.tmp'))
    await Promise.all(left.map(name => rm(this.file(name), { recursive: true, force: true })))
  }

  /** Whether a step was saved. */
  async hasState(): Promise<boolean> {
    return exists(this.state)
  }

  /** Removes a folder of it, which may not be there. */
  async remove(name: string): Promise<void> {
    await rm(this.file(name), { recursive: true, force: true })
  }

  /** A folder that is written as a whole: under a temporary name, then put in its place. */
  async place(name: string, write: (folder: string) => Promise<void>): Promise<string> {
    const target = this.file(name)
    // Processes of a run may write at the same time, under different names.
    const temporary = this.file(`${name.replaceAll('/', '-')}.tmp`)
    await rm(temporary, { recursive: true, force: true })
    await write(temporary)
    try {
      await rm(target, { recursive: true, force: true })
      await mkdir(dirname(target), { recursive: true })
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
    for (const field of MAY_CHANGE) delete rest[field]
    return rest
  }
  const changed = [
    ...differences(drop(earlier.config), JSON.parse(JSON.stringify(drop(record.config)))),
    ...differences(earlier.processes, record.processes, 'the number of processes'),
  ]
  if (changed.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `A run goes on with the configuration that it was started with, but ${changed.join('; ')}. ` +
        `Change it back, or start another run in another folder.`,
    )
  }
  const other = differences(earlier.weights, record.weights).map(text => text.split(' ')[0])
  if (other.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The weights of ${other.join(' and ')} are not those that the run was started with; a run goes on with the same only.`,
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
