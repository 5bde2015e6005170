/** Text features that are made once and handed to every program. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { loadModel } from '../dist/index.mjs'

/**
 * Paths of a vocabulary as the API loads it and of its features as raw numbers. With a `photo` the
 * features are not those of the words: random weights read every word alike and would give every
 * pixel the same label, so words get features that tell the photo's patches apart.
 */
export async function savedVocabulary(source, classes, { photo, ...options }, files) {
  const name = `${classes.length}${photo ? '-telling' : ''}`
  const vocabulary = files.path(`${name}.safetensors`)
  const text = files.path(`${name}.text`)
  const shape = files.path(`${name}.json`)
  if (!existsSync(shape)) {
    const model = await loadModel(source)
    const made = await model.vocabulary(classes, { templates: 'imagenet', ...options })
    await made.save(vocabulary)
    let features = await made.features.data()
    if (photo) {
      features = await tellingFeatures(model, photo, made.features.shape[0])
      await replaceFeatures(vocabulary, features)
    }
    await writeFile(text, features)
    await writeFile(shape, JSON.stringify(made.features.shape))
    model.dispose()
  }
  return { vocabulary, text, textShape: JSON.parse(await readFile(shape, 'utf8')) }
}

/**
 * How `count` patches differ from the mean patch, each as a unit vector; every next one is the patch
 * farthest from those taken.
 */
async function tellingFeatures(model, photo, count) {
  const map = await model.encodeDense(photo, { mode: 'itaclip' })
  const [, width, rows, columns] = map.shape
  const patches = rows * columns
  const data = await map.data()
  const vectors = Array.from({ length: patches }, (_, p) =>
    Float32Array.from({ length: width }, (_, c) => data[c * patches + p]),
  )
  const mean = new Float32Array(width)
  for (const vector of vectors) for (let c = 0; c < width; c++) mean[c] += vector[c] / patches
  for (const vector of vectors) {
    for (let c = 0; c < width; c++) vector[c] -= mean[c]
    const length = Math.hypot(...vector)
    for (let c = 0; c < width; c++) vector[c] /= length
  }
  const features = new Float32Array(count * width)
  const nearest = new Float32Array(patches).fill(-1) // largest cosine with one that is taken
  for (let taken = 0; taken < count; taken++) {
    const next = vectors[nearest.indexOf(Math.min(...nearest))]
    features.set(next, taken * width)
    for (const [p, vector] of vectors.entries()) {
      const cosine = vector.reduce((sum, v, c) => sum + v * next[c], 0)
      nearest[p] = Math.max(nearest[p], cosine)
    }
  }
  return features
}

/** Writes over the numbers of the tensor 'features'. */
async function replaceFeatures(path, features) {
  const file = await readFile(path)
  const header = Number(file.readBigUInt64LE(0))
  const [begin, end] = JSON.parse(file.toString('utf8', 8, 8 + header)).features.data_offsets
  if (end - begin !== features.byteLength) throw new Error(`${path}: unexpected features`)
  Buffer.from(features.buffer).copy(file, 8 + header + begin)
  await writeFile(path, file)
}
