/** Accuracy of every method on held-out drawn scenes, with the bundled model; see methods.mjs. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { evaluate, loadModel, segment, Tensor } from '../../../dist/index.mjs'
import { cutOutSprites, writeFolder } from '../scenes/folder.mjs'
import { colourRegions, trueRegions } from './regions-without-model.mjs'

/** Longest side is at most 1.4 times this, so that no scene is shrunk and windows are cut from its own pixels. */
const SIDE = 200

/** The second column: one grid of windows, and a pixel's best word as it is. */
const PLAIN = {
  stride: 48,
  pamr: false,
  probThreshold: 0,
  areaThreshold: 0,
  closing: false,
}

/** Blocks at the relative depths of the papers' 12: SC-CLIP's 9, 4 and 4 to 10, CorrCLIP's last 5 but one. */
export function atDepth({ layers }) {
  const at = (/** @type {number} */ block) => Math.max(1, Math.round((block * layers) / 12))
  return {
    scclip: {
      middleBlock: at(9),
      earlyBlock: at(4),
      fusedBlocks: [at(4), at(10)],
      classWeight: 0.3,
    },
    corrclip: { spatialBlocks: at(5) },
  }
}

const MASKS = { colours: colourRegions, labels: trueRegions }

/** The held-out scenes of a seed, drawn at the first use. */
async function scenesOf(seed, count, folder, sprites) {
  const data = join(folder, `scenes-${seed}-${SIDE}-${count}`)
  if (!existsSync(join(data, 'classes.txt'))) {
    mkdirSync(data, { recursive: true })
    await writeFolder(data, { count, seed, side: SIDE, sprites })
  }
  const stems = Array.from({ length: count }, (_, i) => String(i).padStart(5, '0'))
  const names = readFileSync(join(data, 'classes.txt'), 'utf8').trim().split('\n')
  return { data, stems, names }
}

/** Where a window of `side` begins along `length` pixels: the last one ends with the picture. */
function starts(length, side, stride) {
  const count = Math.max(0, Math.ceil((length - side) / stride)) + 1
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(i * stride, length - side)))
}

/**
 * The stand-in for a foundation model's features: the bundled model's own patches of every window, [windows, C, h, w].
 */
async function ownPatches(model, file, { side, stride }) {
  const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const maps = []
  let shape = []
  for (const top of starts(info.height, side, stride))
    for (const left of starts(info.width, side, stride)) {
      const window = Buffer.alloc(side * side * 3)
      for (let y = 0; y < side; y++) {
        const from = 3 * ((top + y) * info.width + left)
        data.copy(window, 3 * y * side, from, from + 3 * side)
      }
      const picture = { data: window, width: side, height: side, channels: 3 }
      const map = await model.encodeDense(picture, { mode: 'maskclip' })
      shape = map.shape
      maps.push(await map.data())
      map.dispose()
    }
  const [, channels, height, width] = shape
  const all = new Float32Array(maps.length * channels * height * width)
  for (const [i, map] of maps.entries()) all.set(map, i * map.length)
  return Tensor.from(all, [maps.length, channels, height, width])
}

/** mIoU as evaluate() counts it, for methods whose features differ from picture to picture. */
async function withOwnPatches({ data, stems, names }, { model, method, ...options }) {
  const background = true
  const vocabulary = await model.vocabulary(
    names.map(line => line.split(', ')),
    { background, method },
  )
  const classes = names.length
  const [truths, founds, both] = [0, 0, 0].map(() => new Float64Array(classes))
  for (const stem of stems) {
    const file = join(data, 'images', `${stem}.jpg`)
    const features = await ownPatches(model, file, { side: model.info.imageSize, ...options })
    const seg = await segment(file, vocabulary, {
      model,
      method,
      ...options,
      padTo: model.info.patchSize,
      proxy: { features },
    })
    const found = await seg.labels.data()
    const truth = await sharp(join(data, 'labels', `${stem}.png`))
      .extractChannel(0)
      .raw()
      .toBuffer()
    for (let i = 0; i < truth.length; i++) {
      const [t, p] = [truth[i], Number(found[i])]
      truths[t]++
      founds[p]++
      if (t === p) both[t]++
    }
    seg.dispose()
    features.dispose()
  }
  vocabulary.dispose()
  const ious = Array.from(both, (n, k) => n / (truths[k] + founds[k] - n)).filter(Number.isFinite)
  return ious.reduce((a, b) => a + b) / ious.length
}

/**
 * @param {readonly import('./methods.mjs').Row[]} rows
 * @returns {Promise<Record<string, { preset: (number | null)[], plain: (number | null)[] }>>} mIoU by seed
 */
export async function measureScenes(rows, { scenes, seeds, folder, keep }) {
  const model = await loadModel('words-tiny')
  const depths = atDepth(model.info)
  const sprites = await cutOutSprites()
  const sets = await Promise.all(seeds.map(seed => scenesOf(seed, scenes, folder, sprites)))
  for (const { name, method, options, masks, proxy } of rows) {
    const given = { model, method, ...options }
    if (method in depths) given[method] = depths[method]
    const measure = (/** @type {any} */ set, /** @type {object} */ changes) => {
      const source = masks && { masks: MASKS[masks] }
      // Of a window of 336 pixels every 112, as published: every third of a window.
      const own = proxy && { stride: model.info.imageSize / 3 }
      const all = { ...own, ...given, ...source, ...changes }
      return proxy
        ? withOwnPatches(set, all)
        : evaluate({ dataset: 'folder', data: set.data, ...all }).then(({ miou }) => miou)
    }
    const found = { preset: [], plain: [] }
    for (const set of sets)
      for (const column of /** @type {const} */ (['preset', 'plain'])) {
        const start = performance.now()
        // ITACLIP's windows every eighth of their side, in five copies each, take minutes a scene.
        const cheaper = method === 'itaclip' ? { stride: 48 } : {}
        const value = await measure(set, column === 'plain' ? PLAIN : cheaper).catch(error => {
          console.error(`${name}: ${error.message}`)
          return null
        })
        found[column].push(value)
        const seconds = ((performance.now() - start) / 1000).toFixed(0)
        console.error(`${name}, ${column}: ${value?.toFixed(4)} (${seconds} s)`)
      }
    keep(name, found)
  }
  model.dispose()
}
