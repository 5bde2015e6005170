import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { ioError } from '../../../base/files.js'
import { parsePythonJson } from '../../../base/python-json.js'
import { DeclipError } from '../../../errors.js'

/** UTF-8, or UTF-16 with a byte order mark; the mark is taken off. Undefined for other bytes. */
export function decodeText(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  return isUtf8(bytes) ? new TextDecoder().decode(bytes) : undefined
}

/** A text file in the encodings of {@link decodeText}. @throws DeclipError ERR_DECLIP_IO */
export async function readText(path: string): Promise<string> {
  let bytes: Buffer
  let text: string | undefined
  try {
    bytes = await readFile(path)
    text = decodeText(bytes)
  } catch (error) {
    throw ioError('read', path, error)
  }
  if (text !== undefined) return text
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `Line ${wrongLine(bytes)} of ${path} is not UTF-8 text. Save the file as UTF-8.`,
  )
}

/** The first line that is not UTF-8, from 1: no byte of a longer sequence is a line feed. */
function wrongLine(bytes: Buffer): number {
  let line = 1
  for (let from = 0; from < bytes.length; line++) {
    const end = bytes.indexOf(10, from)
    const to = end < 0 ? bytes.length : end
    if (!isUtf8(bytes.subarray(from, to))) break
    from = to + 1
  }
  return line
}

/**
 * JSON from a file or a part of one, which the error names. NaN and Infinity, which Python's json module
 * writes, are read as null.
 *
 * @throws DeclipError ERR_DECLIP_IO
 */
export function parseJson(name: string, text: string): unknown {
  try {
    return parsePythonJson(text, () => null)
  } catch (cause) {
    throw new DeclipError('ERR_DECLIP_IO', `${name} is not JSON: ${(cause as Error).message}.`, {
      cause,
    })
  }
}
