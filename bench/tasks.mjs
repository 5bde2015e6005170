/**
 * What several programs are given to do at once. Each function writes the inputs of a task as raw
 * files and resolves to the request that the programs get; see bench/program.mjs.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { datasets, METHODS, tokenize } from '../dist/index.mjs'
import { expandTemplates, TEMPLATES } from '../dist/text/templates.js'
import { ARCHITECTURES, isNovel } from '../scripts/make/make-random-checkpoint.mjs'
import { checkpoint, photoOfSize, tensorOf, WORDS171 } from './inputs.mjs'
import { savedVocabulary } from './vocabularies.mjs'

/** Channels of an attention head of every CLIP. */
const HEAD = 64

const TASKS = {
  async 'encode-image'({ model, batch }, files) {
    return { ...(await weights(model, files)), ...(await images(model, batch, files)) }
  },

  async 'encode-patches'({ model, batch }, files) {
    return { ...(await weights(model, files)), ...(await images(model, batch, files)) }
  },

  /** As 'encode-patches', of windows under a method's mode; 'encode-naclip' is the yardstick. */
  async 'encode-scclip'({ model, batch }, files) {
    return { ...(await weights(model, files)), ...(await images(model, batch, files)) }
  },

  /** 80 prompts for each of `classes` words, for as many runs as there are words. */
  async 'encode-text'({ model, classes }, files) {
    const words = []
    for (let i = 0; i + classes <= WORDS171.length; i += classes) {
      words.push(WORDS171.slice(i, i + classes))
    }
    const prompts = words[0].flatMap(word => expandTemplates('imagenet', word))
    const tokens = await (await tokenize(prompts)).data()
    return {
      ...(await weights(model, files)),
      words,
      tokens: await files.write('tokens', tokens),
      shape: [classes, TEMPLATES.imagenet.length, tokens.length / prompts.length],
    }
  },

  async pamr({ classes, height, width }, files) {
    return {
      image: await files.write('image', await normalisedPhoto(width, height)),
      imageShape: [1, 3, height, width],
      masks: await files.write('masks', noise(classes * height * width)),
      shape: [1, classes, height, width],
      iterations: 10,
      dilations: [8, 16],
    }
  },

  /** Features of all patches of a picture, each of which attends to all that are like it. */
  async aggregate({ height, width, patch, channels }, files) {
    const rows = (height / patch) * (width / patch)
    return { ...(await normal('features', [rows, channels], files)), gain: 10 }
  },

  /** Logits of windows on their patch grid, to a label for every pixel. */
  async 'label-windows'({ classes, height, width, window, stride, grid }, files) {
    const along = side => 1 + Math.ceil(Math.max(0, side - window) / stride)
    const shape = [along(height) * along(width), classes, grid, grid]
    const maps = noise(shape.reduce((a, b) => a * b))
    return {
      maps: await files.write('maps', maps),
      shape,
      size: [height, width],
      window,
      stride,
      scale: 40,
    }
  },

  /** The VOC21 preset with its published words, on a picture of `width` x `height`. */
  async itaclip({ model, width, height }, files) {
    const { preset, datasets: variants } = METHODS.itaclip
    const { classes, background } = datasets('itaclip', 'voc21')
    const encoder = await weights(model, files)
    const options = { background, photo: await photoOfSize(width, height) }
    const vocabulary = await savedVocabulary(encoder.checkpoint, classes, options, files)
    return {
      ...encoder,
      ...(await photo(width, height, files)),
      ...vocabulary,
      wordClass: classes.flatMap((line, c) => line.split(', ').map(() => c)),
      options: { ...preset, ...variants.voc21.changes, scale: variants.voc21.changes.logitScale },
    }
  },

  /** Patches that look at each other by DINO's features, within given regions or without. */
  async proxy({ model, proxy, width, height, method }, files) {
    const encoder = await weights(model, files)
    const words = WORDS171.slice(0, 21)
    const options = { photo: await photoOfSize(width, height), background: false }
    return {
      ...encoder,
      proxy: await checkpoint(proxy, files.folder),
      proxyHeads: ARCHITECTURES[proxy].width / HEAD,
      ...(await photo(width, height, files)),
      ...(await savedVocabulary(encoder.checkpoint, words, options, files)),
      regions: await files.write('regions', tiles(width, height)),
      options: { ...METHODS[method].preset, method },
    }
  },

  /** A row of windows, encoded. */
  async 'encode-windows'({ model, windows }, files) {
    const [window, stride] = [224, 112]
    return {
      ...(await weights(model, files)),
      ...(await photo(window + stride * (windows - 1), window, files)),
      options: { method: 'naclip', shortSide: null, window, stride },
    }
  },

  /** SAM's automatic masks: how many of them cover each pixel. */
  async masks({ model, width, height, pointsPerSide }, files) {
    const { image: side, window } = ARCHITECTURES[model]
    return {
      ...(await weights(model, files)),
      ...(await photo(width, height, files)),
      side,
      window,
      // Predictions of random weights mean nothing: about half of the masks are let through.
      options: {
        pointsPerSide,
        pointsPerBatch: 64,
        predIouThreshold: 1e-6,
        stabilityThreshold: 1e-6,
        stabilityOffset: 1,
        boxNmsThreshold: 0.7,
      },
    }
  },

  /** A point on a picture that SAM's encoder has seen already: how many of the masks cover each pixel. */
  async click({ model, width, height }, files) {
    const { image: side, window } = ARCHITECTURES[model]
    const point = [0.45 * width, 0.6 * height]
    return {
      ...(await weights(model, files)),
      ...(await photo(width, height, files)),
      side,
      window,
      point,
    }
  },

  /** A detector's own words on a picture that it has not seen. */
  async detect({ model, width, height }, files) {
    const { classes, embed, lvis, side, layers } = ARCHITECTURES[model]
    const path = await checkpoint(model, files.folder)
    const stored = await tensorOf(path, 'roi_head.bbox_head.all_embeddings') // [E, K + 1]
    const words = Float32Array.from({ length: stored.length }, (_, i) => {
      const [word, channel] = [Math.floor(i / embed), i % embed]
      return stored[channel * (classes + 1) + word]
    })
    for (let at = 0; at < words.length; at += embed) {
      const row = words.subarray(at, at + embed)
      const norm = Math.hypot(...row)
      for (const i of row.keys()) row[i] /= norm
    }
    return {
      ...(await weights(model, files)),
      ...(await photo(width, height, files)),
      words: await files.write('words', words),
      wordsShape: [classes + 1, embed],
      novel: await files.write(
        'novel',
        Uint8Array.from({ length: classes }, (_, i) => isNovel(i)),
      ),
      options: {
        side,
        blocks: layers === 12 ? [3, 5, 7, 11] : [6, 10, 14, 23],
        perLevel: 2000,
        keep: 1000,
        alpha: 0.1,
        ...(lvis
          ? { scoreThreshold: 1e-4, nms: 0.5, limit: 300, voteTemperature: 50, beta: 0.6 }
          : { scoreThreshold: 0.01, nms: 0.4, limit: 100, voteTemperature: 75, beta: 0.8 }),
      },
    }
  },

  /** As many words as asked for, by CAT-Seg's head, on a picture that it has not seen. */
  async 'cat-seg'({ model, width, height, classes }, files) {
    const encoder = await weights(model, files)
    const prompts = { templates: ['A photo of a {} in the scene'], background: false }
    const words = WORDS171.slice(0, classes)
    return {
      ...encoder,
      ...(await photo(width, height, files)),
      ...(await savedVocabulary(encoder.checkpoint, words, prompts, files)),
      // The released configuration of ViT-B/16.
      options: {
        shortSide: 640,
        canvas: 640,
        cut: 384,
        stride: 256,
        side: 384,
        window: 12,
        heads: 4,
        wordLimit: 256,
        blocks: [3, 7],
      },
    }
  },

  /** The first words of a list on a picture that the model has encoded already. */
  async requery({ model, width, height, classes, options }, files) {
    const encoder = await weights(model, files)
    const words = WORDS171.slice(0, classes)
    const prompts = { templates: 'subset' }
    const vocabulary = await savedVocabulary(encoder.checkpoint, words, prompts, files)
    return { ...encoder, ...(await photo(width, height, files)), ...vocabulary, options }
  },

  /** A step of DeCLIP: pictures, 13 boxes each with crops, features of a foundation model. */
  async 'train-declip'({ model, batch, side, boxes: count }, files) {
    const [cropSide, grid] = [ARCHITECTURES[model].image, side / ARCHITECTURES[model].patch]
    const boxes = Array.from({ length: batch * count }, (_, i) => {
      const [x, y] = [0.6 * Math.abs(Math.sin(i * i)), 0.6 * Math.abs(Math.cos(i * i))]
      return [x, y, x + 0.1 + 0.02 * (i % 13), y + 0.1 + 0.02 * (i % 11), 1]
    })
    return {
      ...(await weights(model, files)),
      ...(await normal('images', [batch, 3, side, side], files)),
      ...(await normal('crops', [batch * count, 3, cropSide, cropSide], files)),
      ...(await normal('vfm', [batch, 768, grid, grid], files)),
      boxes: await files.write('boxes', Float32Array.from(boxes.flat())),
      boxesShape: [batch, count, 5],
      train: trainOptions('declip'),
    }
  },
}

/** The request of a task; `folder` keeps checkpoints, `name` tells the cases' files apart. */
export async function prepare(task, { folder, name }) {
  const inputs = join(folder, 'inputs', name.replaceAll('/', '-'))
  await mkdir(inputs, { recursive: true })
  const files = {
    folder,
    path: file => join(inputs, file),
    async write(file, values) {
      await writeFile(join(inputs, file), values)
      return join(inputs, file)
    },
  }
  const kernel = !(task.name in TASKS) // makes its own inputs
  return { ...task, ...(!kernel && (await TASKS[task.name](task, files))), task: task.name, inputs }
}

async function weights(model, { folder }) {
  const sizes = ARCHITECTURES[model]
  return {
    checkpoint: await checkpoint(model, folder),
    heads: sizes && sizes.width / HEAD,
    textHeads: sizes?.text && sizes.text.width / HEAD,
  }
}

async function images(model, batch, files) {
  const side = ARCHITECTURES[model].image
  const shape = [batch, 3, side, side]
  const values = noise(batch * 3 * side ** 2).map(v => 2 * v)
  return { images: await files.write('images', values), shape }
}

async function normal(name, shape, files) {
  const values = noise(shape.reduce((a, b) => a * b)).map(v => 2 * v)
  return { [name]: await files.write(name, values), [`${name}Shape`]: shape }
}

/** See ts/engine/addon-types.ts; the papers' values, without a warm-up, so that every step moves the weights. */
function trainOptions(objective) {
  return {
    objective,
    mode: 'qq',
    contentWeight: 1,
    contextWeight: 0.1,
    leastClasses: 100,
    regionLoss: 'sigmoid',
    regionWeight: 0,
    trainText: true,
    schedule: {
      kind: 'constant',
      rate: 1e-5,
      warmup: 0,
      total: 0,
      cooldown: 0,
      cooldownPower: 1,
      cooldownEnd: 0,
    },
    weightDecay: 0.1,
    clipNorm: 0,
    emaDecay: 0,
    device: 'cpu',
    checkpointActivations: false,
    seed: 0,
  }
}

async function photo(width, height, files) {
  const { data } = await photoOfSize(width, height)
  return { pixels: await files.write('pixels', data), size: [height, width] }
}

/** Planes of about -2 to 2. */
async function normalisedPhoto(width, height) {
  const { data } = await photoOfSize(width, height)
  return Float32Array.from(
    { length: data.length },
    (_, i) => (data[3 * (i % (width * height)) + Math.floor(i / (width * height))] - 116) / 68,
  )
}

/** About 40 regions as masks leave them, with a tenth of the pixels in none. */
function tiles(width, height) {
  return Int32Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    const column = Math.floor((7 * (x + 9 * Math.sin(y / 23))) / width)
    const row = Math.floor((6 * (y + 9 * Math.sin(x / 19))) / height)
    const number = 1 + 8 * Math.max(0, row) + Math.max(0, column)
    return number % 10 === 0 ? 0 : number
  })
}

/** Numbers of -1 to 1 without a pattern that would flatter anything. */
function noise(length) {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * i))
}
