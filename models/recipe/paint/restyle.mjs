/**
 * Random changes of an artwork's style. The styles that a model will meet differ from those it is
 * trained on in hues, outlines and shading, so these are what is varied most.
 */
import { anyColor, compose, gain, hsv, hueTurn, saturation } from './color.mjs'

/** @typedef {import('./random.mjs').Random} Random */

/**
 * @typedef {object} Restyle
 * @property {number[]} matrix affine map of RGB, [3, 4]
 * @property {number} gamma
 * @property {number} levels of a posterised channel; 0: not posterised
 * @property {number[][] | undefined} ramp colors that replace luminances, dark to light
 * @property {{ dx: number, dy: number } | undefined} shade brightness across the object
 * @property {{ radius: number, color: number[] } | undefined} stroke radius as a share of the size
 * @property {{ dx: number, dy: number, strength: number } | undefined} shadow in pixels
 */

/** Styles whose one hue is a matter of taste: any other would do. */
const DUOTONE =
  /^(icon-park|fluent-color|streamline-(plump|flex|sharp|cyber|freehand|stickies)-color|streamline-color)$/

/** Draws nothing but the artwork itself. @type {Restyle} */
export const AS_DRAWN = {
  matrix: gain(1, 0),
  gamma: 1,
  levels: 0,
  ramp: undefined,
  shade: undefined,
  stroke: undefined,
  shadow: undefined,
}

/**
 * @param {Random} rng
 * @param {string} style the package that the artwork is from
 * @param {number} strength 0: as drawn; 1: for training
 * @returns {Restyle}
 */
export function drawRestyle(rng, style, strength) {
  // Some artworks stay nearly as drawn: a strange mixture must not be all there is to see.
  const scale = rng.chance(0.25) ? 0.2 * strength : strength
  const often = (/** @type {number} */ p) => rng.chance(p * scale)
  const duotone = DUOTONE.test(style)
  let matrix = gain(1, 0)
  if (often(duotone ? 0.9 : 0.22)) matrix = compose(hueTurn(rng.uniform(-Math.PI, Math.PI)), matrix)
  else if (often(0.6)) matrix = compose(hueTurn(rng.uniform(-0.5, 0.5)), matrix)
  if (often(0.6)) matrix = compose(saturation(rng.chance(0.1) ? 0 : rng.uniform(0.4, 1.6)), matrix)
  if (often(0.7)) matrix = compose(gain(rng.uniform(0.65, 1.35), rng.uniform(-35, 35)), matrix)
  const ramp = often(duotone ? 0.35 : 0.06) ? drawRamp(rng) : undefined
  const turn = rng.uniform(0, 2 * Math.PI)
  const reach = rng.uniform(0.15, 0.8)
  return {
    matrix,
    gamma: often(0.3) ? rng.uniform(0.6, 1.7) : 1,
    levels: often(0.12) ? rng.int(2, 5) : 0,
    ramp,
    shade: often(0.3) ? { dx: reach * Math.cos(turn), dy: reach * Math.sin(turn) } : undefined,
    stroke: often(0.25)
      ? { radius: rng.uniform(0.012, 0.045), color: strokeColor(rng) }
      : undefined,
    shadow: often(0.12)
      ? { dx: rng.int(-3, 3), dy: rng.int(1, 4), strength: rng.uniform(0.15, 0.5) }
      : undefined,
  }
}

function strokeColor(rng) {
  const kind = rng.next()
  if (kind < 0.55) return hsv(rng.next(), rng.uniform(0, 0.7), rng.uniform(0, 0.3))
  if (kind < 0.75) return [255, 255, 255]
  return anyColor(rng)
}

/** Two to four colors, mostly from dark to light. */
function drawRamp(rng) {
  const hue = rng.next()
  const colors = Array.from({ length: rng.int(2, 4) }, (_, i, n = 3) =>
    hsv(hue + rng.uniform(-0.12, 0.12), rng.uniform(0, 0.9), Math.min(1, 0.15 + (0.9 * i) / n)),
  )
  return rng.chance(0.12) ? colors.reverse() : colors
}
