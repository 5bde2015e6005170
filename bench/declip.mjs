/** The package's own side of the benches: its tasks through the public API. */
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAddon } from '../dist/engine/load-addon.js'
import { decodeMasks, detect, loadModel, segment, Tensor, Vocabulary } from '../dist/index.mjs'
import { readRaw } from './inputs.mjs'
import { serve } from './serve.mjs'

/** After this long without a call the engine holds no free memory, in milliseconds. */
const GIVEN_BACK = 2500

async function take(tensor) {
  const data = await tensor.data()
  tensor.dispose()
  return data
}

async function takeLabels(seg) {
  const data = await seg.labels.data()
  seg.dispose()
  return data
}

const TASKS = {
  'encode-image': async (model, { images, shape }) => {
    const input = Tensor.from(await readRaw(images, Float32Array), shape)
    return { work: () => model.encodeImage(input), toTypedArray: take }
  },

  'encode-patches': async (model, { images, shape }) => {
    const input = Tensor.from(await readRaw(images, Float32Array), shape)
    return { work: () => model.encodeDense(input, { mode: 'vanilla' }), toTypedArray: take }
  },

  'encode-scclip': (model, request) => densely(model, request, 'scclip'),
  'encode-naclip': (model, request) => densely(model, request, 'naclip'),

  /** Other words in every run, as a model keeps the features of those it has seen. */
  'encode-text': async (model, { words }) => ({
    work: run => model.vocabulary(words[run], { templates: 'imagenet', background: false }),
    toTypedArray: vocabulary => vocabulary.features.data(),
  }),

  itaclip: async (model, { pixels, size: [height, width], vocabulary: file }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    const vocabulary = await Vocabulary.load(file, { model })
    const options = { model, method: 'itaclip', dataset: 'voc21' }
    return {
      work: () => segment(photo, vocabulary, options),
      toTypedArray: takeLabels,
    }
  },

  proxy: (model, request) => withProxy(model, request, request.options.method),
  'proxy-without-regions': (model, request) => withProxy(model, request, 'proxyclip'),

  'encode-windows': async (model, { pixels, size: [height, width], options }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    return { work: () => model.encode(photo, options), toTypedArray: () => new Uint8Array() }
  },

  /** The detector's own words. */
  detect: async (model, { pixels, size: [height, width], options }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    const { alpha, beta, voteTemperature, scoreThreshold, nms, limit, masks = false } = options
    const asked = { alpha, beta, scoreThreshold, limit, masks }
    return {
      work: () =>
        detect(photo, undefined, {
          model,
          ...asked,
          temperature: voteTemperature,
          nmsThreshold: nms,
        }),
      toTypedArray: found => {
        const rows = new Float32Array(6 * limit)
        for (const [i, { box, score, index }] of found.toJSON().objects.entries()) {
          rows.set([...box, score, index], 6 * i)
        }
        found.dispose()
        return rows
      },
    }
  },

  'cat-seg': async (model, { pixels, size: [height, width], vocabulary: file }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    const vocabulary = await Vocabulary.load(file, { model })
    return {
      work: () => segment(photo, vocabulary, { model, method: 'cat-seg' }),
      toTypedArray: takeLabels,
    }
  },

  masks: async (model, { pixels, size: [height, width], options }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    return {
      work: () => model.generateMasks(photo, options),
      toTypedArray: masks => coverOf(masks, { width, height }),
    }
  },

  /** A point on an encoded picture. */
  click: async (model, { pixels, size: [height, width], point }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    const view = await model.encodeForMasks(photo)
    await sleep(GIVEN_BACK)
    return {
      work: () => view.masksAt({ points: [point], multimask: true }),
      toTypedArray: found =>
        coverOf(
          found.masks.map(rle => ({ rle })),
          { width, height },
        ),
    }
  },

  /** A vocabulary on an encoded picture. */
  requery: async (model, { pixels, size: [height, width], vocabulary: file, options }) => {
    const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
    const vocabulary = await Vocabulary.load(file, { model })
    const view = await model.encode(photo, options)
    await sleep(GIVEN_BACK)
    return {
      work: () => view.segment(vocabulary, options),
      toTypedArray: takeLabels,
    }
  },
}

/** A picture whose patches look at each other by another model's features. */
async function withProxy(model, request, method) {
  const { pixels, size, vocabulary: file, dtype } = request
  const [height, width] = size
  const photo = { data: await readRaw(pixels, Uint8Array), width, height, channels: 3 }
  const vocabulary = await Vocabulary.load(file, { model })
  const proxy = { model: await loadModel(request.proxy, { dtype }) }
  const follows = method === 'corrclip'
  const masks = follows && Tensor.from(await readRaw(request.regions, Int32Array), size)
  return {
    work: () =>
      segment(photo, vocabulary, {
        model,
        method,
        proxy,
        ...(follows && { masks }),
      }),
    toTypedArray: takeLabels,
  }
}

/** Unit patch features [B, h, w, E]. */
async function densely(model, { images, shape }, mode) {
  const input = Tensor.from(await readRaw(images, Float32Array), shape)
  return {
    work: () => model.encodeDense(input, { mode }),
    toTypedArray: async features => {
      const [, width, height, columns] = features.shape
      const cells = height * columns
      const data = await take(features)
      return Float32Array.from(data, (_, i) => {
        const cell = Math.floor(i / width)
        const picture = Math.floor(cell / cells)
        return data[(picture * width + (i % width)) * cells + (cell % cells)]
      })
    },
  }
}

/** How many masks cover each pixel. */
async function coverOf(masks, size) {
  const cover = new Uint8Array(size.width * size.height)
  for (const { rle } of masks) {
    const mask = await take(await decodeMasks([rle], size))
    for (const i of cover.keys()) cover[i] += mask[i]
  }
  return cover
}

/** Steps of a trainer; the answer is the loss and the norm of the gradients. */
async function training(request) {
  const trainer = await loadAddon().createTrainer({
    student: request.checkpoint,
    config: {},
    train: { ...request.train, dtype: request.dtype },
  })
  const input = async name =>
    Tensor.from(await readRaw(request[name], Float32Array), request[`${name}Shape`]).native
  const part = {
    images: await input('images'),
    boxes: await input('boxes'),
    crops: await input('crops'),
    vfmFeatures: await input('vfm'),
  }
  return {
    work: () => trainer.step({ parts: [part] }),
    toTypedArray: ({ total, gradientNorm }) => Float32Array.of(total, gradientNorm),
  }
}

await serve(async request => {
  if (request.task.startsWith('train-')) return training(request)
  const model = await loadModel(request.checkpoint, { dtype: request.dtype })
  return { engine: model.info.engine, ...(await TASKS[request.task](model, request)) }
})
