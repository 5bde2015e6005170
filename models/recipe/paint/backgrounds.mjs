/** Generated backgrounds. Every kind has the words that may name it in a caption. */
import { anyColor, hsv } from './color.mjs'

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {{ pixels: Float32Array, width: number, height: number }} Canvas RGB in [0, 255], [H, W, 3] */

/**
 * Kinds: how they are painted, their hues (in turns) if they have any, and their words. Without its
 * own hues a kind loses its words to the general ones.
 *
 * @type {Record<string, { paint: (canvas: Canvas, rng: Random, palette: number[][]) => void,
 *   hues?: [number, number], saturation?: [number, number], value?: [number, number],
 *   words: string[], weight: number }>}
 */
const KINDS = {
  plain: { paint: plain, words: ['nothing', 'background', 'wall'], weight: 2 },
  gradient: { paint: gradient, words: ['background', 'nothing'], weight: 2 },
  sky: {
    paint: sky,
    hues: [0.52, 0.64],
    saturation: [0.2, 0.8],
    value: [0.5, 1],
    words: ['sky'],
    weight: 2,
  },
  clouded: { paint: noise, words: ['texture', 'background', 'wall'], weight: 3 },
  ground: {
    paint: ground,
    hues: [0.04, 0.12],
    saturation: [0.2, 0.7],
    value: [0.25, 0.8],
    words: ['ground'],
    weight: 1.5,
  },
  grass: {
    paint: grass,
    hues: [0.2, 0.38],
    saturation: [0.4, 0.9],
    value: [0.25, 0.85],
    words: ['grass'],
    weight: 1.5,
  },
  water: {
    paint: water,
    hues: [0.48, 0.64],
    saturation: [0.4, 0.9],
    value: [0.3, 0.9],
    words: ['water'],
    weight: 1.5,
  },
  bricks: { paint: bricks, words: ['wall'], weight: 1.5 },
  planks: {
    paint: planks,
    hues: [0.04, 0.12],
    saturation: [0.2, 0.7],
    value: [0.25, 0.85],
    words: ['floor'],
    weight: 1.5,
  },
  tiles: { paint: tiles, words: ['floor', 'pattern'], weight: 1.5 },
  stripes: { paint: stripes, words: ['pattern'], weight: 1 },
  dots: { paint: dots, words: ['pattern'], weight: 1 },
  shapes: { paint: shapes, words: ['pattern', 'background'], weight: 2 },
  strokes: { paint: strokes, words: ['texture', 'pattern'], weight: 1.5 },
  grain: { paint: grain, words: ['texture', 'nothing'], weight: 1 },
  horizon: { paint: horizon, words: ['background'], weight: 3 },
}
const NAMES = Object.keys(KINDS)
const WEIGHTS = Object.values(KINDS).map(kind => kind.weight)

/**
 * Paints a background.
 *
 * @param {Canvas} canvas
 * @param {Random} rng
 * @returns {{ kind: string, words: string[] }} words that name it
 */
export function paintBackground(canvas, rng) {
  const kind = /** @type {string} */ (NAMES[rng.weighted(WEIGHTS)])
  const { paint, hues, saturation = [0, 1], value = [0.1, 1], words } = KINDS[kind]
  const natural = hues !== undefined && rng.chance(0.8)
  const color = () =>
    natural
      ? hsv(rng.uniform(...hues), rng.uniform(...saturation), rng.uniform(...value))
      : anyColor(rng)
  const first = color()
  // Colors of one picture are often alike.
  const near = rng.chance(0.6) ? rng.uniform(0.1, 0.6) : 1
  const palette = [first]
  for (let i = 0; i < 4; i++) {
    const other = color()
    palette.push(first.map((v, c) => v + (other[c] - v) * near))
  }
  paint(canvas, rng, palette)
  if (rng.chance(0.35)) clutter(canvas, rng)
  if (rng.chance(0.3)) light(canvas, rng)
  return { kind, words: hues && !natural ? ['texture', 'background'] : words }
}

/** Sets every pixel to `t(x, y)` between two colors. */
function blend({ pixels, width, height }, [a, b], t) {
  let i = 0
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = t(x, y)
      for (let c = 0; c < 3; c++) pixels[i++] = a[c] + (b[c] - a[c]) * at
    }
}

function plain(canvas, rng, palette) {
  const slight = rng.chance(0.5) ? rng.uniform(0, 0.08) : 0
  blend(canvas, palette, () => slight * rng.next())
}

function gradient(canvas, rng, palette) {
  const { width, height } = canvas
  if (rng.chance(0.3)) {
    const [cx, cy] = [rng.uniform(0, width), rng.uniform(0, height)]
    const reach = rng.uniform(0.5, 1.2) * Math.max(width, height)
    blend(canvas, palette, (x, y) => Math.min(1, Math.hypot(x - cx, y - cy) / reach))
    return
  }
  const angle = rng.uniform(0, 2 * Math.PI)
  const [dx, dy] = [Math.cos(angle) / width, Math.sin(angle) / height]
  blend(canvas, palette, (x, y) => 0.5 + (x - width / 2) * dx + (y - height / 2) * dy)
}

/**
 * Value noise: bilinear interpolation of random grids of several cell sizes.
 *
 * @returns {Float32Array} about [0, 1], [H, W]
 */
export function valueNoise(width, height, rng, cellX, cellY, octaves) {
  const field = new Float32Array(width * height)
  let [weight, total] = [1, 0]
  for (let octave = 0; octave < octaves; octave++) {
    const [sx, sy] = [Math.max(1, cellX / 2 ** octave), Math.max(1, cellY / 2 ** octave)]
    const columns = Math.ceil(width / sx) + 2
    const grid = new Float32Array(columns * (Math.ceil(height / sy) + 2))
    for (let i = 0; i < grid.length; i++) grid[i] = rng.next()
    for (let y = 0; y < height; y++) {
      const v = y / sy
      const row = Math.floor(v)
      const fv = v - row
      for (let x = 0; x < width; x++) {
        const u = x / sx
        const column = Math.floor(u)
        const fu = u - column
        const i = row * columns + column
        const top = grid[i] + (grid[i + 1] - grid[i]) * fu
        const bottom = grid[i + columns] + (grid[i + columns + 1] - grid[i + columns]) * fu
        field[y * width + x] += weight * (top + (bottom - top) * fv)
      }
    }
    total += weight
    weight *= 0.55
  }
  for (let i = 0; i < field.length; i++) field[i] /= total
  return field
}

function fromField(canvas, palette, field, contrast) {
  const { width } = canvas
  blend(canvas, palette, (x, y) =>
    Math.max(0, Math.min(1, 0.5 + (field[y * width + x] - 0.5) * contrast)),
  )
}

function noise(canvas, rng, palette) {
  const { width, height } = canvas
  const cell = rng.uniform(6, 60)
  const stretch = rng.chance(0.3) ? rng.uniform(0.2, 5) : 1
  const field = valueNoise(width, height, rng, cell, cell * stretch, rng.int(1, 4))
  fromField(canvas, palette, field, rng.uniform(0.8, 2.5))
}

function sky(canvas, rng, palette) {
  const { width, height } = canvas
  const field = valueNoise(width, height, rng, rng.uniform(20, 60), rng.uniform(10, 30), 3)
  const soft = rng.chance(0.5) ? rng.uniform(0.2, 0.9) : 0
  blend(canvas, palette, (x, y) => y / height + soft * (field[y * width + x] - 0.5))
}

function ground(canvas, rng, palette) {
  const { width, height } = canvas
  const field = valueNoise(width, height, rng, rng.uniform(3, 14), rng.uniform(3, 14), 3)
  fromField(canvas, palette, field, rng.uniform(1, 2.5))
}

function grass(canvas, rng, palette) {
  ground(canvas, rng, palette)
  const { width, height } = canvas
  const count = rng.chance(0.7) ? (width * height) / rng.uniform(20, 80) : 0
  for (let i = 0; i < count; i++) {
    const [x, y] = [rng.uniform(0, width), rng.uniform(0, height)]
    line(canvas, x, y, x + rng.uniform(-2, 2), y - rng.uniform(2, 7), 0.8, rng.pick(palette), 0.7)
  }
}

function water(canvas, rng, palette) {
  const { width, height } = canvas
  const field = valueNoise(width, height, rng, rng.uniform(12, 40), rng.uniform(2, 8), 3)
  if (rng.chance(0.4)) {
    const [length, phase] = [rng.uniform(4, 14), rng.uniform(3, 12)]
    for (let y = 0, i = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++)
        field[i] = 0.6 * field[i] + 0.2 * (1 + Math.sin((y / length) * 6.28 + Math.sin(x / phase)))
  }
  fromField(canvas, palette, field, rng.uniform(1, 2))
}

function bricks(canvas, rng, palette) {
  const { pixels, width, height } = canvas
  const [w, h] = [rng.uniform(8, 30), rng.uniform(4, 14)]
  const [gap, shift] = [rng.uniform(0.6, 2), rng.next()]
  const tints = Array.from({ length: 64 }, () => rng.uniform(-14, 14))
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / h)
    for (let x = 0; x < width; x++) {
      const u = x + (row % 2) * w * 0.5 + shift * w
      const joint = y - row * h < gap || u % w < gap
      const tint = joint ? 0 : tints[(row * 7 + Math.floor(u / w) * 13) & 63]
      const color = palette[joint ? 1 : 0]
      for (let c = 0; c < 3; c++) pixels[i++] = color[c] + tint
    }
  }
}

function planks(canvas, rng, palette) {
  const { pixels, width, height } = canvas
  const size = rng.uniform(8, 30)
  const upright = rng.chance(0.5)
  const field = upright
    ? valueNoise(width, height, rng, 2, 30, 2)
    : valueNoise(width, height, rng, 30, 2, 2)
  const tints = Array.from({ length: 64 }, () => rng.uniform(-16, 16))
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const across = (upright ? x : y) / size
      const joint = (across % 1) * size < 1
      const shade = joint ? -30 : tints[Math.floor(across) & 63] + 40 * (field[y * width + x] - 0.5)
      for (let c = 0; c < 3; c++) pixels[i++] = palette[0][c] + shade
    }
}

function tiles(canvas, rng, palette) {
  const size = rng.uniform(5, 28)
  const angle = rng.chance(0.3) ? rng.uniform(0, Math.PI / 2) : 0
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  blend(canvas, palette, (x, y) => {
    const [u, v] = [(x * cos + y * sin) / size + 64, (y * cos - x * sin) / size + 64]
    return (Math.floor(u) + Math.floor(v)) & 1
  })
}

function stripes(canvas, rng, palette) {
  const { pixels, width, height } = canvas
  const [size, angle] = [rng.uniform(4, 24), rng.uniform(0, Math.PI)]
  const [dx, dy] = [Math.cos(angle) / size, Math.sin(angle) / size]
  const used = rng.int(2, 4)
  const soft = rng.chance(0.3)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = x * dx + y * dy + 256
      const [a, b] = [palette[Math.floor(at) % used], palette[(Math.floor(at) + 1) % used]]
      const mix = soft ? at % 1 : 0
      for (let c = 0; c < 3; c++) pixels[i++] = a[c] + (b[c] - a[c]) * mix
    }
}

function dots(canvas, rng, palette) {
  const [size, share] = [rng.uniform(6, 24), rng.uniform(0.15, 0.45)]
  blend(canvas, palette, (x, y) => {
    const row = Math.floor(y / size)
    const u = ((x / size + (row % 2) * 0.5) % 1) - 0.5
    return Math.hypot(u, y / size - row - 0.5) < share ? 1 : 0
  })
}

function grain(canvas, rng, palette) {
  const strength = rng.uniform(10, 90)
  const { pixels } = canvas
  const grey = rng.chance(0.5)
  for (let i = 0; i < pixels.length; i += 3) {
    const same = (rng.next() - 0.5) * strength
    for (let c = 0; c < 3; c++)
      pixels[i + c] = palette[0][c] + (grey ? same : (rng.next() - 0.5) * strength)
  }
}

function shapes(canvas, rng, palette) {
  rng.pick([plain, gradient, noise])(canvas, rng, palette)
  const count = rng.int(2, 14)
  for (let i = 0; i < count; i++) shape(canvas, rng, rng.pick(palette), rng.uniform(0.05, 0.35))
}

function strokes(canvas, rng, palette) {
  rng.pick([plain, gradient])(canvas, rng, palette)
  const { width, height } = canvas
  const [count, angle] = [rng.int(10, 70), rng.uniform(0, Math.PI)]
  for (let i = 0; i < count; i++) {
    const [x, y, length] = [rng.uniform(0, width), rng.uniform(0, height), rng.uniform(4, 40)]
    const turn = angle + rng.uniform(-0.5, 0.5)
    const [ex, ey] = [x + length * Math.cos(turn), y + length * Math.sin(turn)]
    line(canvas, x, y, ex, ey, rng.uniform(0.7, 3), rng.pick(palette), rng.uniform(0.3, 0.9))
  }
}

/** Something far above something near: sky over ground, wall over floor. */
function horizon(canvas, rng, palette) {
  const { pixels, width, height } = canvas
  const edge = Math.round(height * rng.uniform(0.25, 0.75))
  const upper = [plain, gradient, sky, noise, bricks]
  const lower = [ground, grass, water, planks, tiles, noise, plain]
  const half = (paint, rows, from) => {
    const part = { pixels: pixels.subarray(from * width * 3), width, height: rows }
    const own = rng.chance(0.8) ? [anyColor(rng), anyColor(rng), ...palette.slice(2)] : palette
    const [a, b] = own
    const near = rng.uniform(0.1, 0.7)
    paint(part, rng, [a, a.map((v, c) => v + (b[c] - v) * near), ...own.slice(2)])
  }
  half(rng.pick(upper), edge, 0)
  half(rng.pick(lower), height - edge, edge)
}

/** Things in the background that are no objects. */
function clutter(canvas, rng) {
  const count = rng.int(1, 6)
  for (let i = 0; i < count; i++) shape(canvas, rng, anyColor(rng), rng.uniform(0.03, 0.2))
}

/** An ellipse, a polygon or a rounded star, sometimes as an outline only. */
function shape({ pixels, width, height }, rng, color, size) {
  const reach = size * Math.max(width, height)
  const [cx, cy] = [rng.uniform(0, width), rng.uniform(0, height)]
  const [stretch, turn] = [rng.uniform(0.4, 1), rng.uniform(0, Math.PI)]
  const corners = rng.pick([0, 0, 3, 4, 4, 5, 6])
  const waves = rng.chance(0.2) ? rng.uniform(0.1, 0.4) : 0
  const [inner, opacity] = [rng.chance(0.25) ? rng.uniform(0.6, 0.9) : 0, rng.uniform(0.4, 1)]
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
  const [x0, x1] = [Math.max(0, Math.floor(cx - reach)), Math.min(width, Math.ceil(cx + reach))]
  const [y0, y1] = [Math.max(0, Math.floor(cy - reach)), Math.min(height, Math.ceil(cy + reach))]
  for (let y = y0; y < y1; y++)
    for (let x = x0; x < x1; x++) {
      const u = ((x - cx) * cos + (y - cy) * sin) / reach
      const v = ((y - cy) * cos - (x - cx) * sin) / (reach * stretch)
      let r = Math.hypot(u, v)
      if (corners || waves) {
        const angle = Math.atan2(v, u)
        if (corners) {
          const part = (2 * Math.PI) / corners
          r *= Math.cos(((angle + 7 * Math.PI) % part) - part / 2) / Math.cos(part / 2)
        }
        if (waves) r *= 1 + waves * Math.sin(angle * 5)
      }
      if (r >= 1 || r < inner) continue
      const i = (y * width + x) * 3
      for (let c = 0; c < 3; c++) pixels[i + c] += (color[c] - pixels[i + c]) * opacity
    }
}

/** A straight line with round ends. */
function line({ pixels, width, height }, ax, ay, bx, by, thickness, color, opacity) {
  const [dx, dy] = [bx - ax, by - ay]
  const square = dx * dx + dy * dy || 1
  const x0 = Math.max(0, Math.floor(Math.min(ax, bx) - thickness))
  const x1 = Math.min(width, Math.ceil(Math.max(ax, bx) + thickness) + 1)
  const y0 = Math.max(0, Math.floor(Math.min(ay, by) - thickness))
  const y1 = Math.min(height, Math.ceil(Math.max(ay, by) + thickness) + 1)
  for (let y = y0; y < y1; y++)
    for (let x = x0; x < x1; x++) {
      const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / square))
      const distance = Math.hypot(x - ax - t * dx, y - ay - t * dy)
      const cover = Math.max(0, Math.min(1, thickness - distance + 0.5)) * opacity
      if (cover === 0) continue
      const i = (y * width + x) * 3
      for (let c = 0; c < 3; c++) pixels[i + c] += (color[c] - pixels[i + c]) * cover
    }
}

/** Uneven light over the whole picture. */
function light({ pixels, width, height }, rng) {
  const angle = rng.uniform(0, 2 * Math.PI)
  const strength = rng.uniform(0.1, 0.45)
  const [dx, dy] = [(Math.cos(angle) * strength) / width, (Math.sin(angle) * strength) / height]
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const by = 1 + (x - width / 2) * dx + (y - height / 2) * dy
      for (let c = 0; c < 3; c++) pixels[i++] *= by
    }
}
