/** Patterns that no shell has replaced: `*`, `?`, `[a-z]`, `{jpg,png}` and `**` for any folders. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { entriesOf, isFolder } from './folders.js'
import { usage } from './shared.js'

const SPECIAL = /[*?[{]/

/** Whether a text may be a pattern. */
export function isPattern(text: string): boolean {
  return SPECIAL.test(text)
}

/** What a pattern stands for. */
export interface Matches {
  /** The folder that is named before its first special character; '' for the working folder. */
  readonly base: string
  /** Paths of files and folders below it, sorted. `**` at the end stands for files only. */
  readonly paths: string[]
}

/** What is there under a pattern. Hidden names match only what begins with a dot itself. */
export async function expandPattern(
  pattern: string,
  avoid: ReadonlySet<string> = new Set(),
): Promise<Matches> {
  const separated = process.platform === 'win32' ? pattern.replaceAll('\\', '/') : pattern
  const segments = separated.split('/')
  const first = segments.findIndex(isPattern)
  const base = segments.slice(0, first).join('/')
  const root = base === '' && separated.startsWith('/') ? '/' : base
  const found = new Set<string>()
  for (const one of expandBraces(segments.slice(first).join('/'))) {
    const parts = one.split('/').filter(part => part !== '' && part !== '.')
    for await (const path of match(root, '', parts, avoid)) found.add(path)
  }
  return { base: root, paths: [...found].sort() }
}

/** 'a.{jpg,png}' as 'a.jpg' and 'a.png'; braces may stand in braces. */
function expandBraces(pattern: string): string[] {
  const braces = /\{([^{}]*,[^{}]*)\}/.exec(pattern)
  if (!braces) return [pattern]
  const [all, list = ''] = braces
  const before = pattern.slice(0, braces.index)
  const after = pattern.slice(braces.index + all.length)
  return list.split(',').flatMap(one => expandBraces(before + one + after))
}

async function* match(
  root: string,
  below: string,
  [part, ...rest]: readonly string[],
  avoid: ReadonlySet<string>,
): AsyncGenerator<string> {
  if (part === undefined) return
  const folder = join(root, below)
  const path = (name: string) => (below === '' ? name : `${below}/${name}`)
  if (!isPattern(part)) {
    const exists = await stat(join(folder, part)).then(
      () => true,
      () => false,
    )
    if (!exists) return
    if (rest.length === 0) yield path(part)
    else yield* match(root, path(part), rest, avoid)
    return
  }
  const deep = part === '**'
  if (deep && rest.length > 0) yield* match(root, below, rest, avoid)
  const expression = toExpression(deep ? '*' : part)
  const hidden = part.startsWith('.')
  // A folder that cannot be read has nothing in it, as in a shell.
  const entries = await entriesOf(folder === '' ? '.' : folder, hidden).catch(() => [])
  for (const entry of entries) {
    if (!expression.test(entry.name)) continue
    const directory = await isFolder(folder, entry)
    if (directory && avoid.has(resolve(folder, entry.name))) continue
    if (deep) {
      if (directory && !entry.isSymbolicLink()) {
        yield* match(root, path(entry.name), [part, ...rest], avoid)
      } else if (!directory && rest.length === 0) yield path(entry.name)
    } else if (rest.length === 0) yield path(entry.name)
    else if (directory) yield* match(root, path(entry.name), rest, avoid)
  }
}

/** A regular expression for one part of a path. */
function toExpression(part: string): RegExp {
  const source = part.replace(
    /\[(!|\^)?(\]?[^\]]*)\]|\*+|\?|[\\^$.|+(){}[\]]/g,
    (text, not, set) => {
      if (set !== undefined) return `[${not ? '^' : ''}${String(set).replace(/[\\[\]^]/g, '\\$&')}]`
      if (text.startsWith('*')) return '.*'
      return text === '?' ? '.' : `\\${text}`
    },
  )
  try {
    return new RegExp(`^${source}$`, 'su')
  } catch {
    throw usage(`'${part}' is no pattern: a range in brackets must go upwards, as in [a-z].`)
  }
}
