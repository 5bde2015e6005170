/**
 * Rasterises every artwork once and keeps all sprites of a use in one file; prints which styles have
 * which concepts.
 *
 *   node models/recipe/art/art.mjs [--work <folder>] [--use train|valid|test] [--names]
 *
 * `--names` prints the icons of every style as JSON: test/fixtures/recipe has them.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { CONCEPTS } from './concepts.mjs'
import { fetchArt, workFolder } from './fetch.mjs'
import { openStyle } from './icons.mjs'
import { STYLES } from './packages.mjs'

/** @typedef {import('./packages.mjs').Use} Use */

/**
 * @typedef {object} Sprite an artwork, trimmed to its visible pixels
 * @property {number} concept index into CONCEPTS
 * @property {string} style
 * @property {string} icon
 * @property {Level[]} levels full size first, each next one half as large
 */

/** @typedef {{ width: number, height: number, rgba: Uint8Array }} Level premultiplied RGBA */

/** Longer side of a sprite's full size. */
const SIDE = 160
/** Below this alpha a pixel is not part of the artwork: soft shadows are trimmed away. */
const TRIM_ALPHA = 16

/**
 * All sprites of a use, from the cache file if it was made from the same tables.
 *
 * @param {Use} use
 * @param {string} [work]
 * @returns {Promise<{ header: object[], pixels: SharedArrayBuffer }>} for {@link toSprites}; the pixels
 *   can be shared with workers
 */
export async function loadArt(use, work = workFolder()) {
  const tables = [SIDE, TRIM_ALPHA, CONCEPTS, STYLES.filter(style => style.use === use)]
  const print = createHash('sha256').update(JSON.stringify(tables)).digest('hex').slice(0, 16)
  const file = join(work, `sprites-${use}-${print}.bin`)
  return readArt(file) ?? (await makeArt(use, work, file))
}

function readArt(file) {
  let handle
  try {
    handle = openSync(file, 'r')
  } catch {
    return undefined
  }
  try {
    const length = Buffer.alloc(4)
    readSync(handle, length)
    const json = Buffer.alloc(length.readUInt32LE())
    readSync(handle, json)
    const header = JSON.parse(json.toString())
    const last = header.at(-1)
    const pixels = new SharedArrayBuffer(last.offset + last.width * last.height * 4)
    readSync(handle, new Uint8Array(pixels))
    return { header, pixels }
  } finally {
    closeSync(handle)
  }
}

async function makeArt(use, work, file) {
  await fetchArt(work)
  const header = []
  const parts = []
  let offset = 0
  for (const style of STYLES.filter(style => style.use === use)) {
    const artworks = openStyle(work, style)
    for (const [concept, entry] of CONCEPTS.entries()) {
      for (const { icon, source } of artworks(entry)) {
        const { data, info } = await rasterise(source)
        const { width, height } = info
        header.push({ concept, style: style.id, icon, width, height, offset })
        parts.push(data)
        offset += data.length
      }
    }
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  const part = `${file}.${process.pid}`
  writeFileSync(part, Buffer.concat([length, json, ...parts]))
  renameSync(part, file)
  return readArt(file)
}

/** Draws an artwork at SIDE x SIDE at most, cut to its visible pixels; straight RGBA. */
async function rasterise(source) {
  // Drawn larger than needed: most artworks have margins, which trimming takes off.
  const large = await sharp(source, { density: 72 })
    .metadata()
    .then(({ width, height }) => sharp(source, { density: (72 * 512) / Math.max(width, height) }))
  const { data, info } = await large
    .resize(512, 512, { fit: 'inside' })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  let [left, top, right, bottom] = [info.width, info.height, 0, 0]
  for (let y = 0; y < info.height; y++)
    for (let x = 0; x < info.width; x++)
      if (data[(y * info.width + x) * 4 + 3] >= TRIM_ALPHA) {
        left = Math.min(left, x)
        right = Math.max(right, x + 1)
        top = Math.min(top, y)
        bottom = Math.max(bottom, y + 1)
      }
  return sharp(data, { raw: { width: info.width, height: info.height, channels: 4 } })
    .extract({ left, top, width: right - left, height: bottom - top })
    .resize(SIDE, SIDE, { fit: 'inside' })
    .raw()
    .toBuffer({ resolveWithObject: true })
}

/**
 * Sprites with their half-size levels, premultiplied.
 *
 * @param {{ header: object[], pixels: SharedArrayBuffer }} art
 * @returns {Sprite[]}
 */
export function toSprites({ header, pixels }) {
  return header.map(({ concept, style, icon, width, height, offset }) => {
    const straight = new Uint8Array(pixels, offset, width * height * 4)
    const rgba = new Uint8Array(straight.length)
    for (let i = 0; i < rgba.length; i += 4) {
      const alpha = straight[i + 3]
      for (let c = 0; c < 3; c++) rgba[i + c] = Math.round((straight[i + c] * alpha) / 255)
      rgba[i + 3] = alpha
    }
    const levels = [{ width, height, rgba }]
    while (levels.at(-1).width > 12 && levels.at(-1).height > 12) levels.push(half(levels.at(-1)))
    return { concept, style, icon, levels }
  })
}

/** Mean of each 2 x 2 pixels; an odd last row or column stands alone. */
function half({ width, height, rgba }) {
  const [w, h] = [(width + 1) >> 1, (height + 1) >> 1]
  const out = new Uint8Array(w * h * 4)
  for (let y = 0; y < h; y++) {
    const [a, b] = [2 * y * width, Math.min(2 * y + 1, height - 1) * width]
    for (let x = 0; x < w; x++) {
      const [l, r] = [2 * x, Math.min(2 * x + 1, width - 1)]
      for (let c = 0; c < 4; c++) {
        const sum =
          rgba[(a + l) * 4 + c] +
          rgba[(a + r) * 4 + c] +
          rgba[(b + l) * 4 + c] +
          rgba[(b + r) * 4 + c]
        out[(y * w + x) * 4 + c] = (sum + 2) >> 2
      }
    }
  }
  return { width: w, height: h, rgba: out }
}

/** Artworks per concept and style: lines of a table. @param {object[]} header */
export function coverage(header) {
  const styles = [...new Set(header.map(({ style }) => style))]
  const lines = CONCEPTS.map((concept, index) => {
    const counts = styles.map(
      style => header.filter(s => s.concept === index && s.style === style).length,
    )
    const have = counts.filter(Boolean).length
    return [concept.name.padEnd(16), String(have).padStart(2), ...counts.map(n => n || '.')].join(
      ' ',
    )
  })
  return [`styles: ${styles.join(', ')}`, ...lines, `${header.length} sprites`]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      work: { type: 'string' },
      use: { type: 'string', default: 'train' },
      names: { type: 'boolean', default: false },
    },
  })
  if (values.names) {
    const work = values.work ?? workFolder()
    await fetchArt(work)
    const names = STYLES.map(style => {
      const artworks = openStyle(work, style)
      return [
        style.id,
        [...new Set(CONCEPTS.flatMap(c => artworks(c).map(({ icon }) => icon)))].sort(),
      ]
    })
    console.log(JSON.stringify(Object.fromEntries(names), null, 1))
  } else {
    const { header } = await loadArt(values.use, values.work)
    console.log(coverage(header).join('\n'))
  }
}
