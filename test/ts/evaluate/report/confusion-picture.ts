import sharp from 'sharp'
import t from 'tap'
import { drawConfusion } from '../../../../ts/evaluate/report/confusion-picture.js'

async function draw(size: number, at: (row: number, column: number) => number, name = 'class') {
  const names = Array.from({ length: size }, (_, i) => `${name} ${i}`)
  const counts = Float64Array.from({ length: size * size }, (_, i) =>
    at(Math.floor(i / size), i % size),
  )
  const picture = await drawConfusion({ names, counts })
  const raw = await sharp(picture.bytes).raw().toBuffer({ resolveWithObject: true })
  t.match(raw.info, { width: picture.width, height: picture.height, channels: 3 })
  const { data } = raw
  const colors = new Map<string, number>()
  for (let i = 0; i < data.length; i += 3) {
    const key = `${data[i]},${data[i + 1]},${data[i + 2]}`
    colors.set(key, (colors.get(key) ?? 0) + 1)
  }
  return { ...picture, colors }
}

t.test('right ones are green, mistakes red, rows without truth grey', async t => {
  // Cells of 52 pixels less a line, less the number that is written on them.
  const cell = 51 * 51
  const { colors } = await draw(4, (row, column) =>
    row === 3 ? 0 : column === (row === 2 ? 0 : row) ? 10 : 0,
  )
  const green = colors.get('13,110,108') ?? 0
  const red = colors.get('190,58,12') ?? 0
  t.ok(green > 1.6 * cell && green <= 2 * cell + 200, `${green} green pixels of two cells`)
  t.ok(red > 0.8 * cell && red <= cell + 200, `${red} red pixels of one cell`)
  t.equal(colors.get('240,242,245'), 4 * cell, 'one row is grey')
})

t.test('names need no font and cannot break the drawing', async () => {
  await draw(5, () => 1, '</text><script>&"\u0007\ud800 猫')
})

t.test('any number of classes has a picture of bounded size', async t => {
  for (const size of [1, 24, 60, 61, 171, 1203]) {
    const { width, height, bytes } = await draw(size, (row, column) =>
      row === column ? 5 : Number((7 * row + column) % 13 === 0),
    )
    t.ok(width >= 200 && width < 1900 && height < 1900, `${size} classes: ${width} x ${height}`)
    t.ok(bytes.length < 1.5e6, `${bytes.length} bytes`)
  }
})
