/** Colors: affine maps of RGB as 12 numbers, row-major [3, 4]; the last column is added. */

/** @typedef {import('./random.mjs').Random} Random */

/** Applies `after` to what `before` gives. @param {number[]} after @param {number[]} before */
export function compose(after, before) {
  const out = []
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 4; c++) {
      let sum = c === 3 ? after[r * 4 + 3] : 0
      for (let k = 0; k < 3; k++) sum += after[r * 4 + k] * before[k * 4 + c]
      out.push(sum)
    }
  return out
}

/** Turns hues by an angle around the grey axis, keeping luminance (YIQ). @param {number} radians */
export function hueTurn(radians) {
  const [c, s] = [Math.cos(radians), Math.sin(radians)]
  return [
    ...[
      0.299 + 0.701 * c + 0.168 * s,
      0.587 - 0.587 * c + 0.33 * s,
      0.114 - 0.114 * c - 0.497 * s,
      0,
    ],
    ...[
      0.299 - 0.299 * c - 0.328 * s,
      0.587 + 0.413 * c + 0.035 * s,
      0.114 - 0.114 * c + 0.292 * s,
      0,
    ],
    ...[0.299 - 0.3 * c + 1.25 * s, 0.587 - 0.588 * c - 1.05 * s, 0.114 + 0.886 * c - 0.203 * s, 0],
  ]
}

/** Scales distances from grey: 0 is grey, 1 changes nothing. @param {number} by */
export function saturation(by) {
  const [r, g, b] = [0.299 * (1 - by), 0.587 * (1 - by), 0.114 * (1 - by)]
  return [r + by, g, b, 0, r, g + by, b, 0, r, g, b + by, 0]
}

/** Scales around mid-grey, then adds. @param {number} contrast @param {number} brightness */
export function gain(contrast, brightness) {
  const add = 127.5 * (1 - contrast) + brightness
  return [contrast, 0, 0, add, 0, contrast, 0, add, 0, 0, contrast, add]
}

/** Hue in [0, 1), saturation and value in [0, 1] to RGB in [0, 255]. */
export function hsv(/** @type {number} */ h, /** @type {number} */ s, /** @type {number} */ v) {
  const channel = (/** @type {number} */ n) => {
    const k = (n + h * 6) % 6
    return 255 * v * (1 - s * Math.max(0, Math.min(k, 4 - k, 1)))
  }
  return [channel(5), channel(3), channel(1)]
}

/** Any color; greys and pale ones included. @param {Random} rng */
export const anyColor = rng => hsv(rng.next(), rng.next() ** 0.8, rng.uniform(0.08, 1))
