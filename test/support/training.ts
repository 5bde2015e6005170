/** What tests of training share: pictures on disk, shards, a model that trains in a moment. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import * as tar from 'tar'
import type { TrainConfig } from '../../ts/index.js'
import { picture } from './calls.js'

/** A model of 100,000 parameters beside its token table. */
export const newModel = {
  imageSize: 32,
  patchSize: 8,
  width: 32,
  layers: 2,
  heads: 2,
  mlp: 64,
  embedDim: 16,
  text: { width: 16, layers: 1, heads: 1, contextLength: 16 },
} as const

export const COLOURS = { red: [220, 30, 30], green: [30, 200, 40], blue: [30, 40, 220] } as const

/** A JPEG of a square in a colour on grey, at `box`. */
export async function square(
  colour: keyof typeof COLOURS,
  box: readonly [x: number, y: number, width: number, height: number],
  side = 32,
): Promise<Buffer> {
  const [x, y, w, h] = box
  const data = new Uint8Array(side * side * 3).fill(128)
  for (let row = y; row < y + h; row++) {
    for (let column = x; column < x + w; column++)
      data.set(COLOURS[colour], 3 * (row * side + column))
  }
  return sharp(data, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 95 })
    .toBuffer()
}

/** Writes shards of captioned squares with a labelled box each; returns their pattern. */
export async function writeShards(folder: string, shards = 2, perShard = 12): Promise<string> {
  const names = Object.keys(COLOURS) as (keyof typeof COLOURS)[]
  for (let shard = 0; shard < shards; shard++) {
    const files: string[] = []
    const inside = join(folder, `shard-${shard}`)
    mkdirSync(inside, { recursive: true })
    for (let i = 0; i < perShard; i++) {
      const colour = names[(i + shard) % names.length] as keyof typeof COLOURS
      const box = [(i * 5) % 16, (i * 3) % 16, 16, 16] as const
      const key = String(100 * shard + i).padStart(6, '0')
      writeFileSync(join(inside, `${key}.jpg`), await square(colour, box))
      writeFileSync(join(inside, `${key}.txt`), `a ${colour} square\n`)
      writeFileSync(
        join(inside, `${key}.json`),
        JSON.stringify({ regions: [{ box, label: `${colour} square` }] }),
      )
      files.push(`${key}.jpg`, `${key}.txt`, `${key}.json`)
    }
    await tar.create(
      { file: join(folder, `train-${shard}.tar`), cwd: inside, portable: true },
      files,
    )
  }
  return join(folder, `train-{0..${shards - 1}}.tar`)
}

/** Writes PNGs of coloured rectangles; returns their names. */
export async function writePictures(folder: string, count: number): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  const names = Array.from({ length: count }, (_, i) => `picture-${i}.png`)
  for (const [i, name] of names.entries()) {
    const { data, width, height } = picture(60 + 10 * (i % 3), 48, i + 1)
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer()
    writeFileSync(join(folder, name), png)
  }
  return names
}

/** Contrastive training of {@link newModel} on shards, with every kind of random choice. */
export function contrastive(path: string, out: string): TrainConfig {
  return {
    objective: 'contrastive',
    out,
    newModel,
    data: { kind: 'shards', path },
    batch: 6,
    epochs: 3,
    regionWeight: 0.5,
    regionLoss: 'softmax',
    templates: ['a {}.', '{}'],
    augment: {
      crop: [0.6, 1],
      mirror: 0.5,
      brightness: 0.2,
      contrast: 0.1,
      saturation: 0.1,
      hue: 10,
    },
    schedule: { rate: 1e-3, warmup: 2 },
    optimizer: { emaDecay: 0.9 },
  }
}
