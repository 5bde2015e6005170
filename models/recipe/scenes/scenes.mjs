/** Composes scenes: a picture, the class of each of its pixels, and what is in it. */

import { CONCEPTS } from '../art/concepts.mjs'
import { STYLES } from '../art/packages.mjs'
import { paintBackground } from '../paint/backgrounds.mjs'
import { degrade } from '../paint/degrade.mjs'
import { composite, outline, recolor, Scratch, sample, shadow } from '../paint/draw.mjs'
import { random } from '../paint/random.mjs'
import { AS_DRAWN, drawRestyle } from '../paint/restyle.mjs'

/** @typedef {import('../art/art.mjs').Sprite} Sprite */
/** @typedef {import('../paint/random.mjs').Random} Random */

/** @typedef {'single' | 'grid' | 'anywhere' | 'empty'} Layout */

/**
 * @typedef {object} SceneObject
 * @property {number} concept index into CONCEPTS
 * @property {string} style
 * @property {string} icon
 * @property {[number, number, number, number]} box x, y, width, height of its visible pixels
 * @property {number} area visible pixels
 * @property {number} visible share of its pixels in the picture that nothing covers
 * @property {number} inside share of the artwork's box that lies in the picture
 */

/**
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} pixels RGB, [H, W, 3]
 * @property {Uint8Array} owner [H, W]: 0 for background, k for the k-th object
 * @property {SceneObject[]} objects in drawing order, the hidden ones too
 * @property {Layout} layout
 * @property {string[]} backgroundWords
 */

/**
 * @typedef {object} SceneOptions
 * @property {number | string} seed
 * @property {number} [width] 96
 * @property {number} [height] 96
 * @property {Partial<Record<Layout, number>>} [layouts] how often each; default {@link MIXED}
 * @property {[number, number]} [gridCount] objects of a grid; 3 to 4
 * @property {number} [strength] of the changes of style and picture: 1 for training, 0 for none
 * @property {number} [concept] of the object of a single scene, instead of a random one
 */

/** Layouts of training scenes. @type {Record<Layout, number>} */
export const MIXED = { single: 0.3, grid: 0.32, anywhere: 0.33, empty: 0.05 }

/**
 * Makes a composer for a set of sprites. Concepts that none of them shows are in no scene.
 *
 * @param {Sprite[]} sprites
 * @returns {(index: number, options: SceneOptions) => Scene} a pure function of its arguments
 */
export function composer(sprites) {
  const scratch = new Scratch()
  const byConcept = CONCEPTS.map((_, concept) => {
    const own = sprites.filter(sprite => sprite.concept === concept)
    const styles = STYLES.map(style => ({
      weight: style.weight,
      sprites: own.filter(sprite => sprite.style === style.id),
    })).filter(style => style.sprites.length > 0)
    return { styles, weights: styles.map(style => style.weight) }
  })
  const shown = CONCEPTS.map((_, concept) => concept).filter(
    concept => byConcept[concept].styles.length > 0,
  )

  return (index, options) => {
    const { seed, width = 96, height = 96, layouts = MIXED, strength = 1 } = options
    const rng = random(seed, index)
    const canvas = { pixels: new Float32Array(width * height * 3), width, height }
    const names = /** @type {Layout[]} */ (Object.keys(layouts))
    const layout = names[rng.weighted(names.map(name => layouts[name] ?? 0))]
    const background = paintBackground(canvas, rng)
    const owner = new Uint8Array(width * height)
    const places = PLACES[layout](rng, width, height, options)
    if (strength > 0)
      for (const placement of places) if (rng.chance(0.5 * strength)) placement.warp = bend(rng)
    const concepts = drawConcepts(rng, shown, places.length, layout, options.concept)
    const common = strength > 0 && rng.chance(0.25)
    const objects = places.map((placement, i) => {
      const { styles, weights } = byConcept[concepts[i]]
      const sprite = rng.pick(styles[rng.weighted(weights)].sprites)
      // Sometimes all objects of a picture change alike, as those of one hand would.
      const look = common ? random(seed, index, 'look') : rng
      const restyle = strength > 0 ? drawRestyle(look, sprite.style, strength) : AS_DRAWN
      const pixels = drawObject(canvas, owner, sprite, placement, restyle, i + 1, scratch)
      return { sprite, placement, pixels }
    })
    degrade(canvas, rng, strength)
    const boxes = visibleBoxes(owner, width, height, objects.length)
    return {
      width,
      height,
      pixels: toBytes(canvas.pixels),
      owner,
      objects: objects.map(({ sprite, placement, pixels }, i) => ({
        concept: sprite.concept,
        style: sprite.style,
        icon: sprite.icon,
        ...boxes[i],
        visible: pixels ? boxes[i].area / pixels : 0,
        inside: inside(placement, width, height),
      })),
      layout,
      backgroundWords: background.words,
    }
  }
}

function toBytes(floats) {
  const bytes = new Uint8Array(floats.length)
  for (let i = 0; i < bytes.length; i++) {
    const value = floats[i] + 0.5
    bytes[i] = value < 0 ? 0 : value > 255 ? 255 : value
  }
  return bytes
}

function drawObject(canvas, owner, sprite, placement, restyle, number, scratch) {
  const stroke = restyle.stroke && {
    ...restyle.stroke,
    radius: Math.min(4, Math.max(0.6, restyle.stroke.radius * placement.size)),
  }
  const margin = stroke ? Math.ceil(stroke.radius) + 1 : 0
  const tile = sample(sprite, placement, canvas, margin, scratch)
  if (!tile) return 0
  if (restyle !== AS_DRAWN) recolor(tile, restyle)
  if (stroke) outline(tile, stroke, scratch)
  if (restyle.shadow) shadow(canvas, tile, restyle.shadow)
  return composite(canvas, owner, tile, number)
}

/** Concepts of a scene: all different, but for some of those without order. */
function drawConcepts(rng, shown, count, layout, given) {
  if (given !== undefined) return Array.from({ length: count }, () => given)
  const order = rng
    .shuffled(shown.length)
    .slice(0, count)
    .map(index => shown[index])
  if (layout === 'anywhere')
    for (let i = 1; i < count; i++) if (rng.chance(0.12)) order[i] = order[i - 1]
  return order
}

/**
 * Where objects are put, by layout. Sizes are shares of the shorter side.
 *
 * @type {Record<Layout, (rng: Random, width: number, height: number, options: SceneOptions) =>
 *   import('../paint/draw.mjs').Placement[]>}
 */
const PLACES = {
  empty: () => [],
  single: (rng, width, height) => {
    const size = rng.uniform(0.4, 1) * Math.min(width, height)
    // At most an eighth of it outside.
    const slack = side => Math.max(0, (side - size * 0.75) / 2)
    const x = width / 2 + rng.uniform(-1, 1) * slack(width)
    const y = height / 2 + rng.uniform(-1, 1) * slack(height)
    return [pose(rng, x, y, size)]
  },
  grid: (rng, width, height, { gridCount = [3, 4] }) => {
    const count = rng.int(...gridCount)
    const columns = Math.max(2, Math.round(Math.sqrt((count * width) / height)))
    const rows = Math.ceil(count / columns)
    const [w, h] = [width / columns, height / rows]
    const side = Math.min(width / 2, height / 2, w * 1.15, h * 1.15)
    return rng
      .shuffled(columns * rows)
      .slice(0, count)
      .map(cell => {
        const size = side * rng.uniform(0.66, 1.04)
        const x = ((cell % columns) + 0.5) * w + rng.uniform(-0.16, 0.16) * w
        const y = (Math.floor(cell / columns) + 0.5) * h + rng.uniform(-0.16, 0.16) * h
        return pose(rng, x, y, size)
      })
  },
  anywhere: (rng, width, height) =>
    Array.from({ length: rng.int(1, 5) }, () => {
      // Small ones are more frequent: twice the size hides four times as much.
      const size = 0.28 * (1.35 / 0.28) ** (rng.next() ** 1.4) * Math.min(width, height)
      const x = rng.uniform(-0.02, 1.02) * width
      const y = rng.uniform(-0.02, 1.02) * height
      return pose(rng, x, y, size)
    }),
}

function pose(rng, x, y, size) {
  return {
    x,
    y,
    size,
    angle: rng.chance(0.7)
      ? rng.uniform(-0.35, 0.35)
      : rng.chance(0.15)
        ? rng.uniform(-1.2, 1.2)
        : 0,
    shear: rng.chance(0.3) ? rng.uniform(-0.25, 0.25) : 0,
    stretch: rng.chance(0.4) ? rng.uniform(0.78, 1.28) : 1,
    mirror: rng.chance(0.5),
  }
}

/** A slight bend: no two hands draw a shape alike. */
function bend(rng) {
  return {
    u: rng.uniform(0.01, 0.06),
    v: rng.uniform(0.01, 0.06),
    fu: rng.uniform(0.5, 1.6),
    fv: rng.uniform(0.5, 1.6),
    pu: rng.uniform(0, 2 * Math.PI),
    pv: rng.uniform(0, 2 * Math.PI),
  }
}

/** Share of a placement's square that lies in the picture. */
function inside({ x, y, size }, width, height) {
  const cut = (at, side) =>
    Math.max(0, Math.min(side, at + size / 2) - Math.max(0, at - size / 2)) / size
  return cut(x, width) * cut(y, height)
}

function visibleBoxes(owner, width, height, count) {
  const edges = Array.from({ length: count }, () => [width, height, 0, 0, 0])
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      if (owner[i] === 0) continue
      const edge = edges[owner[i] - 1]
      if (x < edge[0]) edge[0] = x
      if (y < edge[1]) edge[1] = y
      if (x >= edge[2]) edge[2] = x + 1
      if (y >= edge[3]) edge[3] = y + 1
      edge[4]++
    }
  return edges.map(([x0, y0, x1, y1, area]) => ({
    box: /** @type {[number, number, number, number]} */ (
      area ? [x0, y0, x1 - x0, y1 - y0] : [0, 0, 0, 0]
    ),
    area,
  }))
}
