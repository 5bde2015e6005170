import { statSync } from 'node:fs'
import { fingerprintOf } from '../base/fingerprint.js'
import type { ModelFamily } from '../base/names.js'
import { DeclipError } from '../errors.js'

/** A model that made something of a bank. */
export interface BankModel {
  /** File or folder that it was loaded from. */
  readonly path: string
  readonly family: ModelFamily
  /** Tells its weights from others; null of a bank that was not built here. */
  readonly fingerprint: string | null
}

/** What the keys or values of a bank were made by. */
export interface BankPart {
  /** Numbers of a row. */
  readonly width: number
  /** Null of a bank that was not built here. */
  readonly model: BankModel | null
  /** How, in words and numbers: two banks of one model and another `how` do not go together. */
  readonly how: unknown
}

/** What a bank says of itself, kept in its file. @internal */
export interface About {
  readonly keys: BankPart
  readonly values: readonly BankPart[]
}

/** How keys are made; a change of it makes another number. @internal */
export const KEYS = {
  features: 'dense, of the whole picture in its own size, sides rounded to whole patches',
  version: 1,
} as const

/** What has a path and a family: a Model or a FoundationModel. @internal */
export interface KnownModel {
  readonly info: { readonly path: string; readonly family: ModelFamily; readonly embedDim: number }
}

const known = new Map<string, Promise<string>>()

/** The fingerprint of a model's file, read once as long as the file is not changed. */
function printOf(path: string): Promise<string> {
  const { mtimeMs, size } = statSync(path)
  const key = `${path} ${mtimeMs} ${size}`
  let print = known.get(key)
  if (!print) {
    print = fingerprintOf(path)
    known.set(key, print)
    print.catch(() => known.delete(key))
  }
  return print
}

/** @internal */
export async function describeModel({ info }: KnownModel): Promise<BankModel> {
  const { path, family } = info
  return { path, family, fingerprint: await printOf(path) }
}

/** Whether two parts were made in one way; a path is not part of it. @internal */
export function isSame(a: BankPart, b: BankPart): boolean {
  const plain = ({ width, model, how }: BankPart) =>
    JSON.stringify([width, model?.family, model?.fingerprint, how])
  return plain(a) === plain(b)
}

/**
 * Refuses a model that did not make this part.
 *
 * @param what - 'keys' or 'values'
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export async function checkModel(what: string, part: BankPart, model: KnownModel): Promise<void> {
  const { embedDim, path } = model.info
  if (part.model?.fingerprint) {
    if ((await printOf(path)) === part.model.fingerprint) return
  } else if (embedDim === part.width) return
  const made = part.model
    ? `${part.model.path} (${part.model.family})`
    : `a model with ${part.width} numbers a row`
  const way =
    what === 'keys'
      ? "Pass that model as proxy: { model }, or leave proxy out where the bank was built with the model's own features"
      : 'Load that model'
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `The bank's ${what} were made by ${made}, and this is ${path}: what is looked up must be made by the same weights. ${way}, or build the bank again.`,
  )
}

/** @throws DeclipError ERR_DECLIP_WEIGHTS @internal */
export function parseAbout(text: string, path: string): About {
  try {
    const { keys, values } = JSON.parse(text) as About
    const isPart = (part: unknown) => typeof (part as BankPart | null)?.width === 'number'
    if (isPart(keys) && Array.isArray(values) && values.every(isPart)) return { keys, values }
  } catch {
    // said below
  }
  throw new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `${path}: what the bank says of the models that made it cannot be read; build it again.`,
  )
}
