/** Coloured rectangles on grey with the class of every pixel, as evaluate() and train() take them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { RECTANGLES, rectanglesOf } from './objects.js'
import { png } from './png.js'
import { COLOURS } from './training.js'

export const LABELLED_CLASSES = [...RECTANGLES, 'grey ground'] as const

/** Pixels and labels of picture i; the outermost column has no class, 255. */
export function labelledPicture(i: number) {
  const { width, height, objects } = rectanglesOf(i)
  const pixels = new Uint8Array(width * height * 3).fill(128)
  const labels = new Uint8Array(width * height).fill(RECTANGLES.length)
  for (const { label, box } of objects) {
    const [x, y, w, h] = box
    const colour = COLOURS[label.split(' ')[0] as keyof typeof COLOURS]
    for (let row = y; row < y + h; row++) {
      for (let column = x; column < x + w; column++) {
        pixels.set(colour, 3 * (row * width + column))
        labels[row * width + column] = RECTANGLES.indexOf(label)
      }
    }
  }
  for (let row = 0; row < height; row++) labels[row * width + width - 1] = 255
  return { width, height, pixels, labels }
}

/** Writes `count` pictures from number `from` on into images, labels and classes.txt of a folder. */
export async function writeLabelled(folder: string, count: number, from = 0): Promise<void> {
  for (const name of ['images', 'labels']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'classes.txt'), LABELLED_CLASSES.join('\n'))
  for (let i = from; i < from + count; i++) {
    const { width, height, pixels, labels } = labelledPicture(i)
    const picture = sharp(pixels, { raw: { width, height, channels: 3 } })
    await picture.png().toFile(join(folder, `images/picture-${i}.png`))
    writeFileSync(join(folder, `labels/picture-${i}.png`), png(width, height, labels))
  }
}
