/** Words in drawings, as outlines: what is drawn looks the same on every machine. */
import { readFileSync } from 'node:fs'
import { packagePath } from '../base/package-files.js'

/** A character's outline; see assets/legend-font.json. */
interface Glyph {
  /** Thousandths of the font size. */
  readonly advance: number
  readonly path: string
}

let font: ReadonlyMap<string, Glyph> | undefined

/** Outlines of Roboto Regular for Basic Latin and Latin-1, read on first use. */
function glyphs(): ReadonlyMap<string, Glyph> {
  font ??= readGlyphs()
  return font
}

function readGlyphs(): ReadonlyMap<string, Glyph> {
  const text = readFileSync(packagePath('assets/legend-font.json'), 'utf8')
  const file = JSON.parse(text) as { glyphs: Record<string, string> }
  const entries = Object.entries(file.glyphs).map(([character, value]): [string, Glyph] => {
    const space = value.indexOf(' ')
    return [character, { advance: Number(value.slice(0, space)), path: value.slice(space + 1) }]
  })
  return new Map(entries)
}

/**
 * A line of words as SVG. Names in Basic Latin and Latin-1 are outlines, others take the system's fonts.
 *
 * @param y - of the base line
 * @param size - font size in pixels
 * @internal
 */
export function letters(value: string, x: number, y: number, size: number, fill: string): string {
  const outlines: string[] = []
  let advance = 0
  for (const character of value) {
    const glyph = glyphs().get(character)
    if (!glyph) return systemText(value, x, y, size, fill)
    if (glyph.path) outlines.push(`<path transform="translate(${advance})" d="${glyph.path}"/>`)
    advance += glyph.advance
  }
  return `<g transform="translate(${x} ${y}) scale(${size / 1000})" fill="${fill}">${outlines.join('')}</g>`
}

function systemText(value: string, x: number, y: number, size: number, fill: string): string {
  const escaped = value.replace(/[&<>]/g, character => `&#${character.charCodeAt(0)};`)
  return `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" fill="${fill}">${escaped}</text>`
}

/** Width in pixels; a character without an outline counts as wide as it is high. @internal */
export function measure(value: string, size: number): number {
  let width = 0
  for (const character of value) width += glyphs().get(character)?.advance ?? 1000
  return (width * size) / 1000
}

/** A name cut to the room that it has, in pixels. @internal */
export function shorten(name: string, room: number, size: number): string {
  if (measure(name, size) <= room) return name
  const characters = [...name]
  while (characters.length > 1 && measure(`${characters.join('')}...`, size) > room)
    characters.pop()
  return `${characters.join('')}...`
}

/** Without what XML forbids: control characters, lone surrogates and non-characters. @internal */
export function clean(name: string): string {
  return name.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, ' ').trim()
}
