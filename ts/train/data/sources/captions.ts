import { dirname } from 'node:path'
import { parse } from 'csv-parse/sync'
import { shown } from '../../../base/coco-entries.js'
import { DeclipError } from '../../../errors.js'
import { fileSource, fromFolder } from './files.js'
import { LeftOut } from './left-out.js'
import { UNCAPTIONED } from './regions.js'
import type { Item, Source } from './source.js'
import { parseJson, readText } from './text.js'

/** An entry of a list; `line` is its last one, from 1. */
interface Row {
  readonly line: number
  readonly fields: Readonly<Record<string, unknown>>
}

interface Columns {
  readonly image: string
  readonly caption: string
}

/**
 * A list of pictures with captions: `.csv` or `.tsv` with a line of column names, or `.jsonl` with an
 * object per line. A `.csv` may have tabs or semicolons between its fields. Entries without a picture's
 * name or a caption are left out.
 *
 * @param columns - names of the columns or keys
 * @param folder - where file names start; default: the list's folder
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG for a list without these columns
 */
export async function openCaptions(
  path: string,
  columns: Columns,
  folder: string | undefined,
): Promise<Source> {
  const leftOut = new LeftOut()
  const rows = parseRows(path, await readText(path), columns, leftOut)
  const root = folder ?? dirname(path)
  const items = rows.flatMap(row => itemOf(path, row, columns, root, leftOut))
  const [first] = rows
  for (const column of Object.values(columns)) {
    if (first === undefined || rows.some(({ fields }) => Object.hasOwn(fields, column))) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `data.path: entry 1 of ${path} has no '${column}'; it has ${Object.keys(first.fields).join(', ')}. Name the columns with data.imageColumn and data.captionColumn.`,
    )
  }
  return fileSource(items, { path, needs: { caption: true, boxes: 'none' }, leftOut })
}

function itemOf(
  path: string,
  { line, fields }: Row,
  columns: Columns,
  root: string,
  leftOut: LeftOut,
): Item[] {
  const field = (column: string, kind: string): string | undefined => {
    const value = Object.hasOwn(fields, column) ? fields[column] : undefined
    if (typeof value === 'string' && value.trim() !== '') return value
    leftOut.add(kind, `line ${line} of ${path}, ${column}: ${shown(value)}`)
    return undefined
  }
  const name = field(columns.image, 'entries without the name of a picture')
  if (name === undefined) return []
  const caption = field(columns.caption, UNCAPTIONED)
  if (caption === undefined) return []
  return [{ name, picture: fromFolder(root, name), caption, regions: [] }]
}

function parseRows(path: string, text: string, columns: Columns, leftOut: LeftOut): Row[] {
  if (/\.(jsonl|ndjson)$/i.test(path)) return parseLines(path, text)
  if (/\.tsv$/i.test(path)) return parseTable(path, text, columns, '\t,;', leftOut)
  if (/\.csv$/i.test(path)) return parseTable(path, text, columns, ',\t;', leftOut)
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `data.path must end in .csv, .tsv or .jsonl for data.kind 'captions', received '${path}'.`,
  )
}

function parseLines(path: string, text: string): Row[] {
  return text.split('\n').flatMap((content, i) => {
    if (content.trim() === '') return []
    const json = parseJson(`Line ${i + 1} of ${path}`, content)
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
    return [{ line: i + 1, fields: isObject ? (json as Record<string, unknown>) : {} }]
  })
}

/** Of `usual`, what stands between the columns that are asked for, else between any. */
function delimiterOf(text: string, usual: string, { image, caption }: Columns): string {
  const heading = text.slice(0, text.search(/[\r\n]|$/))
  const splits = [...usual].filter(delimiter => heading.includes(delimiter))
  const fits = splits.find(delimiter => {
    const names = heading.split(delimiter).map(name => name.replaceAll('"', '').trim())
    return names.includes(image) && names.includes(caption)
  })
  return fits ?? splits[0] ?? (usual[0] as string)
}

/** Quotes as Python's csv module has them: special only where a field begins with one. */
function parseTable(
  path: string,
  text: string,
  columns: Columns,
  usual: string,
  leftOut: LeftOut,
): Row[] {
  const delimiter = delimiterOf(text, usual, columns)
  // Tab-separated lists have quotes as ordinary characters.
  const quote = delimiter === '\t' && /\.tsv$/i.test(path) ? null : '"'
  const options = {
    delimiter,
    quote,
    relax_quotes: true,
    skip_empty_lines: true,
    columns: (names: string[]) => headingOf(path, names, columns),
    on_record: (fields: Record<string, string>, { lines }: { lines: number }): Row => {
      for (const value of Object.values(fields)) {
        if (!/^".*[\r\n]/.test(value)) continue
        leftOut.add(
          'fields that begin with a quote and go over several lines; where it is no quotation, write it twice in quotes',
          `line ${lines} of ${path}, ${shown(value)}`,
        )
      }
      return { line: lines, fields }
    },
  }
  try {
    return parse(text, options) as unknown as Row[]
  } catch (error) {
    if (error instanceof DeclipError) throw error
    throw listError(path, error as Error & { code?: string; records?: number }, to =>
      (parse(text, { ...options, to }) as unknown as Row[]).at(-1),
    )
  }
}

function headingOf(path: string, heading: readonly string[], columns: Columns): string[] {
  const names = heading.map(name => name.trim())
  const twice = Object.values(columns).find(
    column => names.indexOf(column) !== names.lastIndexOf(column),
  )
  if (twice === undefined) return names
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `data.path: line 1 of ${path} names two columns '${twice}'; rename one of them.`,
  )
}

function listError(
  path: string,
  cause: Error & { code?: string; records?: number },
  last: (to: number) => Row | undefined,
): DeclipError {
  let { message } = cause
  if (cause.code === 'CSV_QUOTE_NOT_CLOSED') {
    const before = cause.records ? last(cause.records)?.line : 1
    message = `the field that begins with a quote in line ${(before ?? 1) + 1} never ends; write such a quote twice, in a field in quotes`
  } else if (cause.code === 'CSV_RECORD_INCONSISTENT_COLUMNS') {
    message += '; a caption with the separator in it must stand in quotes'
  }
  return new DeclipError('ERR_DECLIP_IO', `${path} is no list: ${message}.`, { cause })
}
