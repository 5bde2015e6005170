/** What holds of every package that is published, each as a list of the problems found. */
import { posix } from 'node:path'

/** The newest versions of the system's libraries that may be asked for: those of RHEL 8 and Debian 10. */
export const CEILING = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '8.0.0' }

/** Symbols of an ELF file (scripts/build/elf.mjs) that an older system lacks. */
export function tooNew({ symbols }) {
  return symbols.flatMap(({ name, version }) => {
    const [, library, number] = /^([A-Z]+)_([\d.]+)$/.exec(version) ?? []
    if (!CEILING[library] || compare(number, CEILING[library]) <= 0) return []
    return `needs ${name}@${version}, newer than ${library}_${CEILING[library]}: give it an older version in binding/older_glibc.cpp`
  })
}

function compare(a, b) {
  const [left, right] = [a, b].map(text => text.split('.').map(Number))
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Which of the given folders a file names. */
export function namedFolders(bytes, folders) {
  return folders
    .filter(folder => bytes.includes(`${folder}/`))
    .map(folder => `names ${folder}, a folder of the machine that built it`)
}

/** Relative links of a Markdown text that lead to nothing among `names`. */
export function brokenLinks(text, names, folder = '.') {
  const isThere = path => names.some(name => name === path || name.startsWith(`${path}/`))
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
  return targets
    .filter(target => !/^([a-z]+:|#)/.test(target))
    .map(target => target.replace(/#.*/, ''))
    .filter(target => !isThere(posix.join(folder, target)))
    .map(target => `links to ${target}, which is not in the package`)
}

/** Sizes that a table of a text states as `| name | packed MB | unpacked MB |`, where they are not true. */
export function untrueSizes(text, sizes) {
  return sizes.flatMap(({ name, packed, unpacked }) => {
    const row = text.split('\n').find(line => line.startsWith(`| \`${name}\` |`))
    if (!row) return `says nothing of the size of ${name}`
    const stated = [...row.matchAll(/\| ([\d.]+) MB/g)].map(([, number]) => Number(number))
    return [packed, unpacked].flatMap((bytes, i) =>
      Math.abs(stated[i] * 1e6 - bytes) <= Math.max(0.05 * bytes, 0.1e6)
        ? []
        : `states ${stated[i]} MB for ${name}, which has ${(bytes / 1e6).toFixed(1)} ${i ? 'unpacked' : 'packed'}`,
    )
  })
}
