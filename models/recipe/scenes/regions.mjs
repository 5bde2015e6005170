/** Labelled boxes of a scene: its objects, and small cells of one class. */
import { CONCEPTS } from '../art/concepts.mjs'

/** @typedef {import('../paint/random.mjs').Random} Random */
/** @typedef {import('./scenes.mjs').Scene} Scene */
/** @typedef {{ box: [number, number, number, number], label: string }} Region x, y, width, height */

/**
 * Cells of a scene: how many, their sides in pixels, and the share of a cell that its class must have.
 *
 * @type {Record<string, { count: number, sides: [number, number], share: number }>}
 */
export const CELLS = {
  /** About a patch each, and clearly of one class. */
  whole: { count: 40, sides: [6, 12], share: 0.75 },
  /** Smaller, and by majority, so that outlines are learnt as well. */
  dots: { count: 64, sides: [4, 10], share: 0.501 },
}
/** Share of the cells that may be background. */
const BACKGROUND_SHARE = 0.4
/** Objects with fewer visible pixels have no box. */
const MIN_AREA = 16

/**
 * @param {Scene} scene
 * @param {Random} rng
 * @param {keyof typeof CELLS} cells
 * @returns {Region[]} objects first
 */
export function regions(scene, rng, cells = 'whole') {
  const { count, sides, share } = CELLS[cells]
  const { objects, owner, width, height } = scene
  const visible = objects.filter(({ area }) => area >= MIN_AREA)
  const labels = ['background', ...objects.map(({ concept }) => CONCEPTS[concept].name)]
  /** @type {Region[]} */
  const list = visible.map(object => ({ box: object.box, label: CONCEPTS[object.concept].name }))
  const background = Math.round(count * (visible.length ? BACKGROUND_SHARE : 0.5))
  const counts = { background: 0, object: 0 }
  // Places inside the box of each object in turn; the background takes what comes by.
  for (let attempt = 0; attempt < count * 5; attempt++) {
    if (counts.background + counts.object >= count) break
    const side = rng.int(...sides)
    const object = attempt % 3 === 2 ? undefined : visible[attempt % (visible.length || 1)]
    const [x, y, w, h] = object?.box ?? [0, 0, width, height]
    const left = clamp(x + Math.floor(rng.uniform(-side / 4, w - (3 * side) / 4)), width - side)
    const top = clamp(y + Math.floor(rng.uniform(-side / 4, h - (3 * side) / 4)), height - side)
    const label = content(owner, labels, width, left, top, side, share)
    if (label === undefined) continue
    const kind = label === 'background' ? 'background' : 'object'
    if (kind === 'background' && counts.background >= background) continue
    counts[kind]++
    list.push({ box: [left, top, side, side], label })
  }
  return list
}

const clamp = (value, max) => Math.min(max, Math.max(0, value))

/** The class that has enough of a square, if one has. */
function content(owner, labels, width, left, top, side, share) {
  const counts = new Map()
  for (let y = top; y < top + side; y++)
    for (let x = left; x < left + side; x++) {
      const label = labels[owner[y * width + x]]
      counts.set(label, (counts.get(label) ?? 0) + 1)
    }
  for (const [label, count] of counts) if (count >= share * side * side) return label
  return undefined
}
