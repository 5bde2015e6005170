import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ioError } from '../../../base/files.js'
import { DeclipError } from '../../../errors.js'
import type { Item, Source } from './source.js'

/** A source of pictures that are files of their own, all of which is known from the start. */
export function fileSource(
  items: readonly Item[],
  nothing: string,
  classes?: readonly string[],
): Source {
  if (items.length === 0) throw new DeclipError('ERR_DECLIP_INVALID_ARG', nothing)
  const digest = createHash('sha256')
  for (const { name, caption, regions } of items) {
    digest.update(JSON.stringify([name, caption, regions]))
  }
  return {
    length: items.length,
    classes,
    digest: digest.digest('hex'),
    read: async index => items[index] as Item,
  }
}

/** A text file. @throws DeclipError ERR_DECLIP_IO */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw ioError('read', path, error)
  }
}

/** JSON from a file or a line of one, named in the error. @throws DeclipError ERR_DECLIP_IO */
export function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new DeclipError('ERR_DECLIP_IO', `${name} is not JSON: ${(cause as Error).message}.`, {
      cause,
    })
  }
}
