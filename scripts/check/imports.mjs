/**
 * Which file of ts/ imports which, types included, and what follows from it: rooms and circles.
 *
 *   node scripts/check/imports.mjs [folder]      prints the rooms and the largest circle
 */
import { readFileSync } from 'node:fs'
import { join, posix, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { filesUnder, root } from '../build/common.mjs'

/** The rooms of ts/ in the order in which they may import: each those before it, and itself. */
export const ROOMS = [
  'base',
  'engine',
  'hub',
  'image',
  'text',
  'methods',
  'words',
  'masks',
  'result',
  'model',
  'segment',
  'detect',
  'evaluate',
  'bank',
  'export',
  'train',
  'cli',
]

/**
 * Every source file with its room ('' at the top of ts/), its lines and the files of ts/ that it
 * imports, as paths from ts/ such as 'base/files.ts'.
 *
 * @returns Map of path to { room, lines, imports }
 */
export function readImports(folder = join(root, 'ts')) {
  const paths = filesUnder(relative(root, folder))
    .map(path => posix.relative(relative(root, folder), path))
    .filter(path => path.endsWith('.ts'))
  const files = new Map()
  for (const path of paths) {
    const text = readFileSync(join(folder, path), 'utf8')
    const imports = new Set()
    for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
      if (!fileName.startsWith('.')) continue
      imports.add(posix.join(posix.dirname(path), fileName).replace(/\.js$/, '.ts'))
    }
    const room = path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
    files.set(path, { room, lines: text.split('\n').length - 1, imports: [...imports].sort() })
  }
  return files
}

/** Sets of files that import one another in a circle, the largest first. */
export function circles(files) {
  const index = new Map()
  const low = new Map()
  const stack = []
  const found = []
  const visit = path => {
    index.set(path, index.size)
    low.set(path, index.get(path))
    stack.push(path)
    const { imports } = files.get(path)
    for (const next of imports.filter(name => files.has(name))) {
      if (!index.has(next)) visit(next)
      if (stack.includes(next)) low.set(path, Math.min(low.get(path), low.get(next)))
    }
    if (low.get(path) !== index.get(path)) return
    const members = stack.splice(stack.indexOf(path)).sort()
    if (members.length > 1 || imports.includes(path)) found.push(members)
  }
  for (const path of files.keys()) if (!index.has(path)) visit(path)
  return found.sort((a, b) => b.length - a.length)
}

/** Imports that go to a later room, as 'from -> to'. Files at the top of ts/ may import any room. */
export function upwardImports(files) {
  const found = []
  for (const [path, { room, imports }] of files) {
    for (const target of imports) {
      const other = files.get(target)?.room
      if (room === '' ? path === 'errors.ts' : ROOMS.indexOf(other ?? '') > ROOMS.indexOf(room)) {
        found.push(`${path} -> ${target}`)
      }
    }
  }
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(root, 'ts'))
  const files = readImports(folder)
  for (const room of ['', ...ROOMS]) {
    const own = [...files.values()].filter(file => file.room === room)
    if (own.length === 0) continue
    const lines = own.reduce((sum, file) => sum + file.lines, 0)
    console.log(`${(room || '(top)').padEnd(8)} ${own.length} files, ${lines} lines`)
  }
  const [largest = []] = circles(files)
  console.log(
    `largest circle: ${largest.length} files${largest.map(path => `\n  ${path}`).join('')}`,
  )
}
