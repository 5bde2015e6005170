/** Labelled boxes of a scene: its objects, and small cells of one class. */
import { CONCEPTS } from './concepts.mjs'

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./scenes.mjs').Scene} Scene */
/** @typedef {{ box: [number, number, number, number], label: string }} Region x, y, width, height */

const CELLS = 64
/** Sides of a cell, in pixels: from a dot between patches to a patch and a little. */
const SIDES = /** @type {[number, number]} */ ([4, 10])
/** Share of the cells that may be background. */
const BACKGROUND_SHARE = 0.4
/** Share of a cell's pixels that must be of its class: outlines lie where two classes have equal shares. */
const MAJORITY = 0.5
/** Objects with fewer visible pixels have no box. */
const MIN_AREA = 16

/**
 * @param {Scene} scene
 * @param {Random} rng
 * @returns {Region[]} objects first
 */
export function regions(scene, rng) {
  const { objects, owner, width, height } = scene
  const visible = objects.filter(({ area }) => area >= MIN_AREA)
  const labels = ['background', ...objects.map(({ concept }) => CONCEPTS[concept].name)]
  /** @type {Region[]} */
  const list = visible.map(object => ({ box: object.box, label: CONCEPTS[object.concept].name }))
  const background = Math.round(CELLS * (visible.length ? BACKGROUND_SHARE : 0.5))
  const counts = { background: 0, object: 0 }
  // Places inside the box of each object in turn; the background takes what comes by.
  for (let attempt = 0; attempt < CELLS * 5; attempt++) {
    if (counts.background + counts.object >= CELLS) break
    const side = rng.int(...SIDES)
    const object = attempt % 3 === 2 ? undefined : visible[attempt % (visible.length || 1)]
    const [x, y, w, h] = object?.box ?? [0, 0, width, height]
    const left = clamp(x + Math.floor(rng.uniform(-side / 4, w - (3 * side) / 4)), width - side)
    const top = clamp(y + Math.floor(rng.uniform(-side / 4, h - (3 * side) / 4)), height - side)
    const label = content(owner, labels, width, left, top, side)
    if (label === undefined) continue
    const kind = label === 'background' ? 'background' : 'object'
    if (kind === 'background' && counts.background >= background) continue
    counts[kind]++
    list.push({ box: [left, top, side, side], label })
  }
  return list
}

const clamp = (value, max) => Math.min(max, Math.max(0, value))

/** The class that has most of a square, if one has. */
function content(owner, labels, width, left, top, side) {
  const counts = new Map()
  for (let y = top; y < top + side; y++)
    for (let x = left; x < left + side; x++) {
      const label = labels[owner[y * width + x]]
      counts.set(label, (counts.get(label) ?? 0) + 1)
    }
  for (const [label, count] of counts) if (count > MAJORITY * side * side) return label
  return undefined
}
