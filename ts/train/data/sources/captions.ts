import { dirname, join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { DeclipError } from '../../../errors.js'
import { fileSource, parseJson, readText } from './files.js'
import type { Source } from './source.js'

/**
 * A list of pictures with captions: `.csv` or `.tsv` with a line of column names, or `.jsonl` with an
 * object per line.
 *
 * @param columns - names of the columns or keys
 * @param folder - where file names start; default: the list's folder
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG for a list without these columns
 */
export async function openCaptions(
  path: string,
  columns: { readonly image: string; readonly caption: string },
  folder: string | undefined,
): Promise<Source> {
  const rows = parseRows(path, await readText(path))
  const root = folder ?? dirname(path)
  const items = rows.map((row, i) => {
    const field = (name: string) => {
      const value = Object.hasOwn(row, name) ? row[name] : undefined
      if (typeof value === 'string' && value !== '') return value
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `data.path: entry ${i + 1} of ${path} has no '${name}'; it has ${Object.keys(row).join(', ')}. Name the columns with data.imageColumn and data.captionColumn.`,
      )
    }
    const name = field(columns.image)
    return { name, picture: join(root, name), caption: field(columns.caption), regions: [] }
  })
  return fileSource(items, `data.path: ${path} has no entry.`)
}

function parseRows(path: string, text: string): Record<string, unknown>[] {
  if (/\.(jsonl|ndjson)$/i.test(path)) {
    const lines = text.split('\n').map((line, i) => ({ line, name: `Line ${i + 1} of ${path}` }))
    return lines
      .filter(({ line }) => line.trim() !== '')
      .map(({ line, name }) => (parseJson(name, line) ?? {}) as Record<string, unknown>)
  }
  const delimiter = /\.tsv$/i.test(path) ? '\t' : /\.csv$/i.test(path) ? ',' : undefined
  if (delimiter === undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data.path must end in .csv, .tsv or .jsonl for data.kind 'captions', received '${path}'.`,
    )
  }
  try {
    // Tab-separated lists have quotes as ordinary characters.
    const quote = delimiter === '\t' ? null : '"'
    return parse(text, { bom: true, columns: true, delimiter, quote, skip_empty_lines: true })
  } catch (cause) {
    const { message } = cause as Error
    throw new DeclipError('ERR_DECLIP_IO', `${path} is no list: ${message}.`, { cause })
  }
}
