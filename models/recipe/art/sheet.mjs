/**
 * Contact sheet of sprites, to find artworks that are wrong or ambiguous: a row per concept.
 *
 *   node models/recipe/art/sheet.mjs [--use train] [--from 0] [--to 30] [--out sheet.png]
 */
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { loadArt, toSprites } from './art.mjs'
import { CONCEPTS } from './concepts.mjs'

const CELL = 56
const NAMES = 110

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    use: { type: 'string', default: 'train' },
    from: { type: 'string', default: '0' },
    to: { type: 'string', default: '90' },
    out: { type: 'string', default: 'sheet.png' },
  },
})
const [from, to] = [Number(values.from), Math.min(Number(values.to), CONCEPTS.length)]
const sprites = toSprites(await loadArt(values.use, values.work))
const rows = CONCEPTS.slice(from, to).map((_, i) => sprites.filter(s => s.concept === from + i))
const width = NAMES + CELL * Math.max(...rows.map(row => row.length))
const pictures = rows.flatMap((row, y) =>
  row.map(async ({ levels }, x) => {
    const level = levels[1] ?? levels[0]
    const input = await sharp(straight(level), {
      raw: { width: level.width, height: level.height, channels: 4 },
    })
      .resize(CELL - 4, CELL - 4, { fit: 'inside' })
      .png()
      .toBuffer()
    return { input, left: NAMES + x * CELL + 2, top: y * CELL + 2 }
  }),
)
const names = CONCEPTS.slice(from, to)
  .map(({ name }, y) => `<text x="4" y="${y * CELL + 32}" font-size="14">${name}</text>`)
  .join('')
const height = CELL * rows.length
const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${names}</svg>`
await sharp({ create: { width, height, channels: 3, background: '#d8dce0' } })
  .composite([{ input: Buffer.from(text), left: 0, top: 0 }, ...(await Promise.all(pictures))])
  .png()
  .toFile(values.out)
console.log(`${values.out}: ${rows.flat().length} sprites`)

function straight({ rgba }) {
  const out = new Uint8Array(rgba)
  for (let i = 0; i < out.length; i += 4)
    for (let c = 0; c < 3; c++) out[i + c] = Math.min(255, (rgba[i + c] * 255) / (rgba[i + 3] || 1))
  return out
}
