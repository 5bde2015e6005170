/** What the cases work on: checkpoints, pictures and words. */
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { root } from '../scripts/build/common.mjs'
import {
  ARCHITECTURES,
  checkpointPath,
  makeCheckpoint,
} from '../scripts/make/make-random-checkpoint.mjs'

/** A photograph, 451 x 300 pixels. */
export const PHOTO = join(root, 'test/fixtures/itaclip-pipeline/photo.png')

/** Drawn scenes, 384 x 288 pixels, that the bundled model knows. */
export const SCENES = [
  'desk',
  'garden',
  'harbour',
  'music',
  'night',
  'park',
  'street',
  'table',
].map(name => join(root, `models/scenes/${name}.png`))

/** PASCAL VOC's classes with its background; one word each. */
export const VOC21 =
  'background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, table, dog, horse, motorbike, person, plant, sheep, sofa, train, monitor'.split(
    ', ',
  )

/** 171 things and materials, about as long as COCO-Stuff's. */
export const WORDS171 =
  'person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, television, laptop, mouse, remote control, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush, banner, blanket, branch, bridge, building, bush, cabinet, cage, cardboard, carpet, ceiling, tiled ceiling, cloth, clothes, clouds, counter, cupboard, curtain, desk, dirt, door, fence, marble floor, floor, stone floor, tiled floor, wooden floor, flower, fog, food, fruit, furniture, grass, gravel, ground, hill, house, leaves, light, mat, metal, mirror, moss, mountain, mud, napkin, net, paper, pavement, pillow, plant, plastic, platform, playing field, railing, railroad, river, road, rock, roof, rug, salad, sand, sea, shelf, sky, skyscraper, snow, solid, stairs, stone, straw, structural beam, table, tent, textile, towel, tree, vegetable, brick wall, concrete wall, wall, panel wall, stone wall, tiled wall, wooden wall, water, waterdrops, blind, window, wood'.split(
    ', ',
  )

/** Names of checkpoints with random weights; any other model is what loadModel() takes. */
export const isRandom = model => model in ARCHITECTURES

/** The checkpoint of a model, written at the first use. */
export async function checkpoint(model, folder) {
  if (!isRandom(model)) return model
  const path = checkpointPath(model, { folder })
  return existsSync(path) ? path : makeCheckpoint(model, { folder })
}

/** RGB pixels of the photograph stretched to a size. */
export async function photoOfSize(width, height) {
  const { data } = await sharp(PHOTO)
    .resize(width, height, { fit: 'fill' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { data, width, height, channels: 3 }
}

/** A JPEG of 4000 x 3000 pixels with a camera's noise, made at the first use. */
export async function cameraJpeg(folder) {
  const path = join(folder, 'camera.jpg')
  if (existsSync(path)) return path
  const [width, height] = [4000, 3000]
  const grain = await sharp({
    create: { width, height, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 12 } },
  })
    .png()
    .toBuffer()
  await mkdir(folder, { recursive: true })
  await sharp(SCENES[5])
    .resize(width, height, { fit: 'fill' })
    .composite([{ input: grain, blend: 'overlay' }])
    .jpeg({ quality: 92 })
    .toFile(`${path}.part`)
  await rename(`${path}.part`, path)
  return path
}

/** Different JPEG photographs of 0.5 to 2 megapixels, made at the first use. */
export async function photographs(count, folder) {
  const inside = join(folder, 'photographs')
  await mkdir(inside, { recursive: true })
  const paths = Array.from({ length: count }, (_, i) => join(inside, `${i}.jpg`))
  for (const [i, path] of paths.entries()) {
    if (existsSync(path)) continue
    const width = 800 + 7 * ((61 * i) % 117) // sizes in no order
    const left = i % 96
    const top = (5 * i) % 72
    await sharp(SCENES[i % SCENES.length])
      .extract({ left, top, width: 384 - 96, height: 288 - 72 })
      .modulate({ brightness: 0.8 + (i % 11) / 25, hue: (37 * i) % 360 })
      .flop(i % 2 === 1)
      .resize(width, Math.round(0.75 * width))
      .jpeg({ quality: 90 })
      .toFile(`${path}.part`)
    await rename(`${path}.part`, path)
  }
  return paths
}

/** Different PNG pictures of one size, cut out of the drawn scenes, made at the first use. */
export async function smallPictures(count, { width, height }, folder) {
  const inside = join(folder, `pictures-${width}x${height}`)
  await mkdir(inside, { recursive: true })
  const paths = Array.from({ length: count }, (_, i) => join(inside, `${i}.png`))
  for (const [i, path] of paths.entries()) {
    if (existsSync(path)) continue
    const [left, top] = [(37 * i) % (384 - width), (23 * i) % (288 - height)]
    await sharp(SCENES[i % SCENES.length])
      .extract({ left, top, width, height })
      .modulate({ hue: (37 * i) % 360 })
      .png()
      .toFile(`${path}.part`)
    await rename(`${path}.part`, path)
  }
  return paths
}

/**
 * Floating-point operations of one image-level pass through a vision tower: matrix products only, a
 * multiplication and an addition counted as two.
 */
export function encodeFlops(model) {
  const { image, patch, width, mlp, layers, embed } = ARCHITECTURES[model]
  const patches = (image / patch) ** 2
  const tokens = 1 + patches
  const mlpProducts = mlp === 4 * width ? 2 : 3 // SwiGLU has a third
  const block = tokens * (4 * width ** 2 + mlpProducts * width * mlp + 2 * tokens * width)
  return 2 * (patches * 3 * patch ** 2 * width + layers * block + width * embed)
}

/** A float32 tensor of a safetensors file. */
export async function tensorOf(path, name) {
  const file = await open(path)
  try {
    const length = Buffer.alloc(8)
    await file.read(length, 0, 8, 0)
    const size = Number(length.readBigUInt64LE())
    const header = Buffer.alloc(size)
    await file.read(header, 0, size, 8)
    const [begin, end] = JSON.parse(header.toString())[name].data_offsets
    const values = new Float32Array((end - begin) / 4)
    await file.read(new Uint8Array(values.buffer), 0, end - begin, 8 + size + begin)
    return values
  } finally {
    await file.close()
  }
}

/** Numbers of a raw little-endian file. */
export async function readRaw(path, Elements) {
  const { buffer, byteOffset, byteLength } = await readFile(path)
  return new Elements(buffer.slice(byteOffset, byteOffset + byteLength))
}
