/** Which artworks show a concept in a style: icon names, and their SVG or picture file. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageFolder } from './fetch.mjs'
import { STYLES } from './packages.mjs'

/** @typedef {import('./packages.mjs').Style} Style */
/** @typedef {import('./concepts.mjs').Concept} Concept */
/** @typedef {{ icon: string, source: Buffer | string }} Artwork `source`: SVG bytes or a file */

/**
 * The icons of one style.
 *
 * @param {string} work the folder that fetch.mjs filled
 * @param {Style} style
 * @returns {(concept: Concept) => Artwork[]} artworks of a concept; each drawing once, however many names
 *   it has. Names of `emoji` that a style lacks are skipped; those of `more` must exist.
 */
export function openStyle(work, style) {
  const folder = packageFolder(work, style)
  if (style.icons === 'codepoints') return openCodepoints(work, folder)
  const set = JSON.parse(readFileSync(join(folder, 'icons.json'), 'utf8'))
  return concept => {
    const names = style.icons === 'names' ? concept.emoji : (concept.more[style.id] ?? [])
    /** @type {Map<string, Artwork>} */
    const found = new Map()
    for (const name of names) {
      const icon = set.icons[name] ? name : set.aliases?.[name]?.parent
      const drawing = set.icons[icon]
      if (drawing) found.set(icon, { icon, source: svg(set, drawing) })
      else if (style.icons === 'table') throw new Error(`${style.id} has no icon '${name}'`)
    }
    return [...found.values()]
  }
}

/** A set whose files are named by code points; Fluent Emoji Flat's table says which is which. */
function openCodepoints(work, folder) {
  const flat = STYLES.find(style => style.id === 'fluent-emoji-flat')
  const chars = JSON.parse(readFileSync(join(packageFolder(work, flat), 'chars.json'), 'utf8'))
  const codepoints = new Map(Object.entries(chars).map(([code, name]) => [name, code]))
  return concept =>
    concept.emoji
      .map(icon => ({ icon, source: join(folder, 'assets', `${codepoints.get(icon)}.webp`) }))
      .filter(({ source }) => existsSync(source))
}

function svg(set, drawing) {
  const pick = (key, fallback) => drawing[key] ?? set[key] ?? fallback
  const box = [pick('left', 0), pick('top', 0), pick('width', 16), pick('height', 16)]
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
      `viewBox="${box.join(' ')}" width="${box[2]}" height="${box[3]}">${drawing.body}</svg>`,
  )
}
