/** A COCO-style set of coloured rectangles on grey, for tests of detection. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { COLOURS } from './training.js'

type Colour = keyof typeof COLOURS

/** Classes in the order of their ids, which are not that of the file. */
export const RECTANGLES = ['red square', 'green square', 'blue square'] as const

const IDS: Readonly<Record<(typeof RECTANGLES)[number], number>> = {
  'red square': 3,
  'green square': 7,
  'blue square': 20,
}

export interface Rectangle {
  readonly label: (typeof RECTANGLES)[number]
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
}

/** What is on picture i: two rectangles that do not touch. */
export function rectanglesOf(i: number): { width: number; height: number; objects: Rectangle[] } {
  const [width, height] = [60 + 4 * (i % 3), 48 + 2 * (i % 5)]
  const label = (k: number) => RECTANGLES[(i + k) % 3] as Rectangle['label']
  return {
    width,
    height,
    objects: [
      { label: label(0), box: [2 + (i % 7), 3 + (i % 5), 18 + (i % 4), 14 + (i % 6)] },
      { label: label(1), box: [36 + (i % 3), 22 + (i % 4), 14 + (i % 5), 16 + (i % 3)] },
    ],
  }
}

/** Writes `count` pictures into `folder`/images and `folder`/annotations.json, as evaluate() and train() take them. */
export async function writeRectangles(folder: string, count: number, from = 0): Promise<void> {
  mkdirSync(join(folder, 'images'), { recursive: true })
  const images: object[] = []
  const annotations: object[] = []
  for (let i = from; i < from + count; i++) {
    const { width, height, objects } = rectanglesOf(i)
    const data = new Uint8Array(width * height * 3).fill(128)
    for (const { label, box } of objects) {
      const [x, y, w, h] = box
      const colour = COLOURS[label.split(' ')[0] as Colour]
      for (let row = y; row < y + h; row++) {
        for (let column = x; column < x + w; column++) {
          data.set(colour, 3 * (row * width + column))
        }
      }
      annotations.push({
        id: annotations.length + 1,
        image_id: i + 1,
        category_id: IDS[label],
        bbox: box,
        area: w * h,
        iscrowd: 0,
        segmentation:
          annotations.length % 2 === 0
            ? [[x, y, x + w, y, x + w, y + h, x, y + h]]
            : { size: [height, width], counts: runs(width, height, box) },
      })
    }
    const name = `picture-${i}.png`
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(folder, 'images', name))
    images.push({ id: i + 1, file_name: name, width, height })
  }
  const categories = [...RECTANGLES].reverse().map(name => ({ id: IDS[name], name }))
  writeFileSync(
    join(folder, 'annotations.json'),
    JSON.stringify({ images, annotations, categories }),
  )
}

/** COCO's run lengths of a rectangle, down the columns. */
function runs(width: number, height: number, [x, y, w, h]: Rectangle['box']): number[] {
  const counts = [x * height + y]
  for (let column = 0; column < w; column++) {
    counts.push(h, column === w - 1 ? height - y - h + (width - x - w) * height : height - h)
  }
  return counts
}
