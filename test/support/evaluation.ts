/** A small labelled data set for tests of evaluation. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { png } from './png.js'

/** In label order, as words-tiny knows them. */
export const CLASSES = ['background', 'sun', 'tree', 'balloon']

/** Side of the pictures in pixels, about. */
const SIDE = 56

/**
 * `images/*.png`, `labels/*.png` and `classes.txt`: rectangles of plain colours, as many as there are classes, with a
 * line that is not counted. Every picture has a size of its own.
 *
 * @returns the folder
 */
export async function writeDataFolder(folder: string, count: number): Promise<string> {
  for (let i = 0; i < count; i++) {
    const [width, height] = [SIDE + (i % 5), SIDE + (i % 3)]
    const labels = new Uint8Array(width * height)
    const pixels = new Uint8Array(3 * labels.length)
    for (let at = 0; at < labels.length; at++) {
      const [x, y] = [at % width, Math.floor(at / width)]
      const label = (x > width / 2 ? 1 : 0) + (y > (height * (1 + (i % 4))) / 5 ? 2 : 0)
      labels[at] = y === 3 ? 255 : label
      const color = [40 + 50 * label, 200 - 40 * label, (i * 37 + 60 * label) % 256]
      for (let c = 0; c < 3; c++) pixels[3 * at + c] = ((color[c] as number) + ((x * y) % 17)) % 256
    }
    const name = `${String(i).padStart(3, '0')}.png`
    const raw = { width, height, channels: 3 } as const
    await write(join(folder, 'images', name), await sharp(pixels, { raw }).png().toBuffer())
    await write(join(folder, 'labels', name), png(width, height, labels))
  }
  await write(join(folder, 'classes.txt'), `${CLASSES.join('\n')}\n`)
  return folder
}

async function write(path: string, bytes: Uint8Array | string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}

/** COCO's instances as far as tests look at them. */
export interface Annotations {
  images: { id: number; file_name: string; width: number; height: number }[]
  categories: { id: number; name: string }[]
  annotations: {
    id: number
    image_id: number
    category_id: number
    bbox: [number, number, number, number]
    area: number
    iscrowd: 0
    segmentation: number[][]
  }[]
}

/** `annotations.json` of the rectangles of all classes but the background, in a folder of {@link writeDataFolder}. */
export async function writeAnnotations(folder: string): Promise<Annotations> {
  const categories = CLASSES.slice(1).map((name, i) => ({ id: i + 1, name }))
  const found: Annotations = { images: [], categories, annotations: [] }
  const names = readdirSync(join(folder, 'images')).sort()
  for (const [i, file_name] of names.entries()) {
    const { width = 0, height = 0 } = await sharp(join(folder, 'images', file_name)).metadata()
    found.images.push({ id: i + 1, file_name, width, height })
    const [middle, line] = [Math.floor(width / 2) + 1, Math.floor((height * (1 + (i % 4))) / 5) + 1]
    const boxes: [number, number, number, number][] = [
      [middle, 0, width - middle, line],
      [0, line, middle, height - line],
      [middle, line, width - middle, height - line],
    ]
    for (const [c, bbox] of boxes.entries()) {
      const [x, y, w, h] = bbox
      found.annotations.push({
        id: found.annotations.length + 1,
        image_id: i + 1,
        category_id: c + 1,
        bbox,
        area: w * h,
        iscrowd: 0,
        segmentation: [[x, y, x + w, y, x + w, y + h, x, y + h]],
      })
    }
  }
  await write(join(folder, 'annotations.json'), JSON.stringify(found))
  return found
}
