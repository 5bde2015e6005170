/** Draws a sprite into a picture: affine resampling, a change of style, compositing, masks. */

/** @typedef {import('../art/art.mjs').Sprite} Sprite */
/** @typedef {import('./backgrounds.mjs').Canvas} Canvas */
/** @typedef {import('./restyle.mjs').Restyle} Restyle */

/**
 * @typedef {object} Placement
 * @property {number} x centre in pixels
 * @property {number} y
 * @property {number} size longer side of the sprite in pixels
 * @property {number} angle radians
 * @property {number} shear
 * @property {number} stretch width over height, relative to the artwork
 * @property {boolean} mirror
 * @property {Warp} [warp]
 */

/**
 * Waves that bend an artwork: columns are shifted by `u sin(2π fv v + pv)`, rows by
 * `v sin(2π fu u + pu)`, with u and v in [0, 1] across the sprite.
 *
 * @typedef {{ u: number, v: number, fu: number, fv: number, pu: number, pv: number }} Warp
 */

/** @typedef {{ x: number, y: number, width: number, height: number, rgba: Float32Array }} Tile */

/** Scratch memory that one drawing after the other uses. */
export class Scratch {
  #buffers = new Map()

  /** Zeroed floats. @param {string} name @param {number} length */
  floats(name, length) {
    let buffer = this.#buffers.get(name)
    if (!buffer || buffer.length < length) {
      buffer = new Float32Array(length * 1.5)
      this.#buffers.set(name, buffer)
    }
    return buffer.subarray(0, length).fill(0)
  }
}

/**
 * Maps picture coordinates to a sprite's: `u = a x + b y + c`, `v = d x + e y + f`, in pixels of its
 * full size, [0, width] x [0, height].
 *
 * @param {Sprite} sprite
 * @param {Placement} placement
 */
export function inverseMap(sprite, { x, y, size, angle, shear, stretch, mirror, warp }) {
  const { width, height } = sprite.levels[0]
  const scale = size / Math.max(width, height)
  const [sx, sy] = [scale * Math.sqrt(stretch) * (mirror ? -1 : 1), scale / Math.sqrt(stretch)]
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  // Forward: rotate(shear(scale(p))).
  const m = [cos * sx, (cos * shear - sin) * sy, sin * sx, (sin * shear + cos) * sy]
  const det = m[0] * m[3] - m[1] * m[2]
  const [a, b, d, e] = [m[3] / det, -m[1] / det, -m[2] / det, m[0] / det]
  const reach = [(0.5 + Math.abs(warp?.u ?? 0)) * width, (0.5 + Math.abs(warp?.v ?? 0)) * height]
  const box = [
    Math.abs(m[0]) * reach[0] + Math.abs(m[1]) * reach[1],
    Math.abs(m[2]) * reach[0] + Math.abs(m[3]) * reach[1],
  ]
  return { a, b, c: width / 2 - a * x - b * y, d, e, f: height / 2 - d * x - e * y, scale, box }
}

/**
 * Samples a sprite where a placement puts it, on the pixels of a canvas.
 *
 * @param {Sprite} sprite
 * @param {Placement} placement
 * @param {Canvas} canvas
 * @param {number} margin pixels to leave around it
 * @param {Scratch} scratch
 * @returns {Tile | undefined} premultiplied RGBA in [0, 255]; nothing if it lies outside
 */
export function sample(sprite, placement, canvas, margin, scratch) {
  const map = inverseMap(sprite, placement)
  const [bx, by] = [map.box[0] + margin + 1, map.box[1] + margin + 1]
  const x0 = Math.max(0, Math.floor(placement.x - bx))
  const y0 = Math.max(0, Math.floor(placement.y - by))
  const x1 = Math.min(canvas.width, Math.ceil(placement.x + bx))
  const y1 = Math.min(canvas.height, Math.ceil(placement.y + by))
  if (x1 <= x0 || y1 <= y0) return undefined
  // The smallest level that is not magnified: bilinear sampling then skips at most every other pixel.
  const level = Math.min(
    sprite.levels.length - 1,
    Math.max(0, Math.floor(Math.log2(1 / map.scale))),
  )
  const { width: w, height: h, rgba: source } = sprite.levels[level]
  const [kx, ky] = [w / sprite.levels[0].width, h / sprite.levels[0].height]
  const [a, b, c] = [map.a * kx, map.b * kx, map.c * kx]
  const [d, e, f] = [map.d * ky, map.e * ky, map.f * ky]
  const [width, height] = [x1 - x0, y1 - y0]
  const rgba = scratch.floats('tile', width * height * 4)
  const { warp } = placement
  for (let y = 0; y < height; y++) {
    let lu = a * (x0 + 0.5) + b * (y0 + y + 0.5) + c - 0.5
    let lv = d * (x0 + 0.5) + e * (y0 + y + 0.5) + f - 0.5
    let o = y * width * 4
    for (let x = 0; x < width; x++, lu += a, lv += d, o += 4) {
      let [u, v] = [lu, lv]
      if (warp) {
        u += warp.u * w * Math.sin(2 * Math.PI * ((warp.fv * (lv + 0.5)) / h) + warp.pv)
        v += warp.v * h * Math.sin(2 * Math.PI * ((warp.fu * (lu + 0.5)) / w) + warp.pu)
      }
      if (u <= -1 || v <= -1 || u >= w || v >= h) continue
      const left = Math.floor(u)
      const top = Math.floor(v)
      const fu = u - left
      const fv = v - top
      const inL = left >= 0
      const inR = left + 1 < w
      const w00 = inL && top >= 0 ? (1 - fu) * (1 - fv) : 0
      const w10 = inR && top >= 0 ? fu * (1 - fv) : 0
      const w01 = inL && top + 1 < h ? (1 - fu) * fv : 0
      const w11 = inR && top + 1 < h ? fu * fv : 0
      const i = (top * w + left) * 4
      const j = i + w * 4
      for (let k = 0; k < 4; k++) {
        let sum = 0
        if (w00 !== 0) sum += w00 * source[i + k]
        if (w10 !== 0) sum += w10 * source[i + 4 + k]
        if (w01 !== 0) sum += w01 * source[j + k]
        if (w11 !== 0) sum += w11 * source[j + 4 + k]
        rgba[o + k] = sum
      }
    }
  }
  return { x: x0, y: y0, width, height, rgba }
}

/** Recolors a tile in place. @param {Tile} tile @param {Restyle} style */
export function recolor({ width, height, rgba }, { matrix, gamma, levels, ramp, shade }) {
  const [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11] = matrix
  const curve = gamma === 1 && !levels ? undefined : toneCurve(gamma, levels)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i += 4) {
      const alpha = rgba[i + 3]
      if (alpha === 0) continue
      const cover = alpha / 255
      let [r, g, b] = [rgba[i], rgba[i + 1], rgba[i + 2]]
      if (ramp) {
        const luma = (0.299 * r + 0.587 * g + 0.114 * b) / alpha
        const at = Math.min(0.9999, Math.max(0, luma)) * (ramp.length - 1)
        const [lo, hi] = [ramp[Math.floor(at)], ramp[Math.floor(at) + 1]]
        const t = at % 1
        r = (lo[0] + (hi[0] - lo[0]) * t) * cover
        g = (lo[1] + (hi[1] - lo[1]) * t) * cover
        b = (lo[2] + (hi[2] - lo[2]) * t) * cover
      }
      let nr = m0 * r + m1 * g + m2 * b + m3 * cover
      let ng = m4 * r + m5 * g + m6 * b + m7 * cover
      let nb = m8 * r + m9 * g + m10 * b + m11 * cover
      if (shade) {
        const by = 1 + shade.dx * (x / width - 0.5) + shade.dy * (y / height - 0.5)
        nr *= by
        ng *= by
        nb *= by
      }
      nr = Math.min(alpha, Math.max(0, nr))
      ng = Math.min(alpha, Math.max(0, ng))
      nb = Math.min(alpha, Math.max(0, nb))
      if (curve) {
        const k = 255 / alpha
        nr = curve[(nr * k + 0.5) | 0] * cover
        ng = curve[(ng * k + 0.5) | 0] * cover
        nb = curve[(nb * k + 0.5) | 0] * cover
      }
      rgba[i] = nr
      rgba[i + 1] = ng
      rgba[i + 2] = nb
    }
}

function toneCurve(gamma, levels) {
  return Float32Array.from({ length: 257 }, (_, i) => {
    const v = Math.min(1, i / 255) ** gamma
    return 255 * (levels ? Math.round(v * (levels - 1)) / (levels - 1) : v)
  })
}

/**
 * Puts a stroke around a tile's shape, beneath it: every pixel within `radius` of the shape.
 *
 * @param {Tile} tile
 * @param {{ radius: number, color: number[] }} stroke
 * @param {Scratch} scratch
 */
export function outline({ width, height, rgba }, { radius, color }, scratch) {
  const reach = Math.ceil(radius)
  const wide = scratch.floats('stroke', width * height)
  const offsets = []
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) {
      // Full inside the radius, fading over the last pixel.
      const weight = Math.min(1, radius + 0.5 - Math.hypot(dx, dy))
      if (weight > 0) offsets.push([dx, dy, weight])
    }
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const alpha = rgba[i * 4 + 3]
      if (alpha === 0) continue
      // Only the shape's border can reach pixels that are not covered yet.
      const inner =
        alpha === 255 &&
        x > 0 &&
        x < width - 1 &&
        y > 0 &&
        y < height - 1 &&
        rgba[i * 4 - 1] === 255 &&
        rgba[i * 4 + 7] === 255 &&
        rgba[(i - width) * 4 + 3] === 255 &&
        rgba[(i + width) * 4 + 3] === 255
      if (inner) {
        wide[i] = 255
        continue
      }
      for (const [dx, dy, weight] of offsets) {
        const [px, py] = [x + dx, y + dy]
        if (px < 0 || py < 0 || px >= width || py >= height) continue
        const j = py * width + px
        if (wide[j] < alpha * weight) wide[j] = alpha * weight
      }
    }
  for (let i = 0, o = 0; i < wide.length; i++, o += 4) {
    const under = (wide[i] * (255 - rgba[o + 3])) / 255
    if (under === 0) continue
    for (let c = 0; c < 3; c++) rgba[o + c] += (color[c] * under) / 255
    rgba[o + 3] += under
  }
}

/** Darkens the canvas beneath a tile. @param {Canvas} canvas @param {Tile} tile */
export function shadow(canvas, tile, { dx, dy, strength }) {
  const { pixels, width, height } = canvas
  for (let y = 0, i = 3; y < tile.height; y++)
    for (let x = 0; x < tile.width; x++, i += 4) {
      const [px, py] = [tile.x + x + dx, tile.y + y + dy]
      if (tile.rgba[i] === 0 || px < 0 || py < 0 || px >= width || py >= height) continue
      const keep = 1 - (tile.rgba[i] / 255) * strength
      const o = (py * width + px) * 3
      for (let c = 0; c < 3; c++) pixels[o + c] *= keep
    }
}

/**
 * Lays a tile over the canvas. Where it covers at least half of a pixel, the pixel is the object's.
 *
 * @param {Canvas} canvas
 * @param {Uint8Array} owner [H, W] number of the object that has the pixel, 0 for none
 * @param {Tile} tile
 * @param {number} object
 * @returns {number} pixels that are the object's now
 */
export function composite(canvas, owner, tile, object) {
  const { pixels, width } = canvas
  let count = 0
  for (let y = 0, i = 0; y < tile.height; y++) {
    let at = (tile.y + y) * width + tile.x
    for (let x = 0; x < tile.width; x++, at++, i += 4) {
      const alpha = tile.rgba[i + 3]
      if (alpha === 0) continue
      const keep = 1 - alpha / 255
      for (let c = 0; c < 3; c++) pixels[at * 3 + c] = pixels[at * 3 + c] * keep + tile.rgba[i + c]
      if (alpha >= 127.5) {
        owner[at] = object
        count++
      }
    }
  }
  return count
}
