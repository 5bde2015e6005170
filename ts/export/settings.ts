import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ioError, writeFileAtomic } from '../base/files.js'
import { DeclipError } from '../errors.js'
import type { FormatSettings } from './format.js'
import { EXPORT_FORMATS, type ExportFormat } from './formats.js'
import { PARTS } from './parts.js'
import type { PictureWay } from './pictures.js'

/** File in a data set's folder that says how it was made. */
export const SETTINGS_FILE = 'export.json'

/** What the annotations of a data set depend on; parts of one data set have the same. */
export interface ExportSettings extends FormatSettings {
  readonly to: ExportFormat
  readonly semantic: boolean
  /** Null for what depends on the picture's size. */
  readonly minArea: number | null
  readonly pictures: PictureWay
  /** Model, method and whatever else a label depends on. */
  readonly made: Readonly<Record<string, unknown>>
}

/** The settings of a data set's folder; undefined where there are none. */
export async function readSettings(out: string): Promise<ExportSettings | undefined> {
  const path = join(out, SETTINGS_FILE)
  const text = await readFile(path, 'utf8').catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw ioError('read', path, error)
  })
  if (text === undefined) return undefined
  try {
    const settings = JSON.parse(text) as ExportSettings
    if (EXPORT_FORMATS.includes(settings.to) && Array.isArray(settings.classes)) return settings
  } catch {
    // as for other contents
  }
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `${path} does not say how an export was made; choose another folder.`,
  )
}

/** Says how a data set is made, before anything else is written. */
export async function writeSettings(out: string, settings: ExportSettings): Promise<void> {
  await mkdir(join(out, PARTS), { recursive: true }).catch(error => {
    throw ioError('write', out, error)
  })
  await writeFileAtomic(
    join(out, SETTINGS_FILE),
    Buffer.from(`${JSON.stringify(settings, undefined, 1)}\n`),
  )
}

/**
 * @param where - what has the other settings
 * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the first that differs
 */
export function checkSame(
  settings: ExportSettings,
  others: ExportSettings,
  where: string,
  wayOut: string,
): void {
  const plain = JSON.parse(JSON.stringify(settings)) as Record<string, unknown>
  const there = others as unknown as Record<string, unknown>
  for (const name of new Set([...Object.keys(plain), ...Object.keys(there)])) {
    if (isDeepStrictEqual(plain[name], there[name])) continue
    const [mine, theirs] = [plain[name], there[name]].map(value => shortened(name, value))
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${where} has other settings: ${name} is ${theirs} there and ${mine} here; ${wayOut}.`,
    )
  }
}

function shortened(name: string, value: unknown): string {
  const shown = name === 'classes' ? (value as ExportSettings['classes']).map(c => c.name) : value
  const text = JSON.stringify(shown) ?? 'not set'
  return text.length > 200 ? `${text.slice(0, 200)}...` : text
}

/**
 * Refuses a folder that has files in it which no export wrote.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG or ERR_DECLIP_IO
 */
export async function checkEmpty(out: string): Promise<void> {
  const names = await readdir(out).catch(error => {
    if (error.code === 'ENOENT') return []
    throw ioError('write', out, error)
  })
  const strangers = names.filter(name => !name.startsWith('.'))
  if (strangers.length === 0) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `The folder ${out} has other files in it, such as '${strangers[0]}'; give one that is empty or not there yet.`,
  )
}
