import { shown } from '../../../base/coco-entries.js'
import type { LeftOut } from './left-out.js'
import { boxProblem } from './regions.js'
import type { Item, Needs, Region } from './source.js'
import { decodeText, parseJson } from './text.js'

/** What the texts of a sample say about its picture. */
export type Content = Pick<Item, 'caption' | 'regions'>

/**
 * Caption and boxes from the `.txt` and `.json` of a sample, as far as they are needed. What cannot be used
 * is left out and told.
 *
 * @param name - archive and sample
 */
export function contentOf(
  name: string,
  files: { readonly text: Buffer | undefined; readonly json: Buffer | undefined },
  needs: Needs,
  leftOut: LeftOut,
): Content {
  const text = needs.caption && files.text ? decode(`${name}.txt`, files.text, leftOut) : undefined
  const own = text?.trim() || undefined
  const needsJson = needs.boxes !== 'none' || (needs.caption && own === undefined)
  const json = needsJson && files.json ? objectOf(`${name}.json`, files.json, leftOut) : {}
  const caption = needs.caption ? (own ?? captionOf(`${name}.json`, json, leftOut)) : undefined
  const regions = needs.boxes === 'none' ? [] : regionsOf(`${name}.json`, json, needs, leftOut)
  return { ...(caption !== undefined && { caption }), regions }
}

function decode(name: string, bytes: Buffer, leftOut: LeftOut): string | undefined {
  const text = decodeText(bytes)
  if (text === undefined) leftOut.add('texts that are not UTF-8', name)
  return text
}

function objectOf(name: string, bytes: Buffer, leftOut: LeftOut): Record<string, unknown> {
  const text = decode(name, bytes, leftOut)
  if (text === undefined) return {}
  let json: unknown
  try {
    json = parseJson(name, text)
  } catch {
    leftOut.add('files that are not JSON', name)
    return {}
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
    return json as Record<string, unknown>
  }
  leftOut.add('JSON files without an object', `${name}, ${shown(json)}`)
  return {}
}

function captionOf(
  name: string,
  json: Readonly<Record<string, unknown>>,
  leftOut: LeftOut,
): string | undefined {
  const { caption } = json
  if (typeof caption === 'string') return caption.trim() || undefined
  if (caption !== undefined && caption !== null) {
    leftOut.add('captions that are no texts', `${name}, ${shown(caption)}`)
  }
  return undefined
}

function regionsOf(
  name: string,
  json: Readonly<Record<string, unknown>>,
  { boxes }: Needs,
  leftOut: LeftOut,
): Region[] {
  const { regions = null } = json
  if (regions === null) return []
  if (!Array.isArray(regions)) {
    leftOut.add('regions that are no list', `${name}, ${shown(regions)}`)
    return []
  }
  return regions.flatMap((region, i) => {
    const { box, label = null } = (region ?? {}) as { box?: unknown; label?: unknown }
    const problem = boxProblem(box)
    if (problem !== undefined) {
      leftOut.add(problem, `regions[${i}] of ${name}, box ${shown(box)}`)
      return []
    }
    const own = box as unknown as Region['box']
    if (typeof label === 'string' && label.trim() !== '') return [{ box: own, label }]
    if (boxes !== 'proposals') {
      leftOut.add('boxes without a label', `regions[${i}] of ${name}, label ${shown(label)}`)
    }
    return [{ box: own }]
  })
}
