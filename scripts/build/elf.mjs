/** What a 64-bit little-endian ELF library asks of the system that loads it. */
import { readFileSync } from 'node:fs'

const SECTION = { dynamic: 6, symbols: 11, needs: 0x6ffffffe, versions: 0x6fffffff }
const TAG = { needed: 1, runpath: 29 }

/**
 * `needed`: libraries by name; `runpath`: where they are searched; `symbols`: those taken from
 * others that have a version, `{ name, version }`; `isStripped`: without symbols for debuggers.
 */
export function readElf(path) {
  const file = readFileSync(path)
  if (file.toString('latin1', 0, 4) !== '\x7fELF' || file[4] !== 2 || file[5] !== 1)
    throw new Error(`${path} is no 64-bit little-endian ELF file`)
  const all = sections(file)
  const find = type => all.find(section => section.type === type)
  const textAt = (table, offset) => {
    const start = table.offset + offset
    return file.toString('latin1', start, file.indexOf(0, start))
  }

  const dynamic = find(SECTION.dynamic)
  const needed = []
  let runpath = ''
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = Number(file.readBigUInt64LE(at))
    const text = () => textAt(all[dynamic.link], Number(file.readBigUInt64LE(at + 8)))
    if (tag === TAG.needed) needed.push(text())
    else if (tag === TAG.runpath) runpath = text()
  }

  const versionNames = readNeeds(file, find(SECTION.needs), offset =>
    textAt(all[find(SECTION.needs).link], offset),
  )
  const symbols = []
  const table = find(SECTION.symbols)
  const versions = find(SECTION.versions)
  for (let index = 0; versions && index < table.size / 24; index++) {
    const at = table.offset + 24 * index
    const version = versionNames.get(file.readUInt16LE(versions.offset + 2 * index) & 0x7fff)
    const isDefined = file.readUInt16LE(at + 6) !== 0
    if (version && !isDefined)
      symbols.push({ name: textAt(all[table.link], file.readUInt32LE(at)), version })
  }
  return { needed, runpath, symbols, isStripped: !all.some(({ type }) => type === 2) }
}

function sections(file) {
  const start = Number(file.readBigUInt64LE(0x28))
  const [size, count] = [file.readUInt16LE(0x3a), file.readUInt16LE(0x3c)]
  return Array.from({ length: count }, (_, index) => {
    const at = start + size * index
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      size: Number(file.readBigUInt64LE(at + 32)),
      link: file.readUInt32LE(at + 40),
    }
  })
}

/** Versions by the number that symbols have them under: a chain of libraries, each with a chain. */
function readNeeds(file, section, textAt) {
  const names = new Map()
  if (!section) return names
  for (let library = section.offset, next = 1; next !== 0; library += next) {
    const count = file.readUInt16LE(library + 2)
    let entry = library + file.readUInt32LE(library + 8)
    for (let index = 0; index < count; index++) {
      names.set(file.readUInt16LE(entry + 6), textAt(file.readUInt32LE(entry + 8)))
      entry += file.readUInt32LE(entry + 12)
    }
    next = file.readUInt32LE(library + 12)
  }
  return names
}
