/**
 * Measures models on labelled scenes through the package's own API.
 *
 *   node models/recipe/measure/evaluate.mjs --model [<name>=]<file>[,...] [--sets <folder>[,<folder>]]
 *     [--modes vanilla,maskclip,qq,csa,naclip,itaclip] [--scale 1] [--stride 48] [--pamr]
 *     [--area-threshold 0] [--synonyms] [--regions] [--limit <scenes per set>] [--per-class]
 *     [--out figures.json [--append]]
 *
 * A set is a folder with a scenes.json, or a folder of such folders; the default is models/scenes.
 * Words are means over the 80 ImageNet prompts; the background is the best of the set's background
 * words; windows are of the model's size, half as far apart, on the picture's own pixels. `--scale`,
 * `--stride`, `--pamr`, `--area-threshold` and `--synonyms` change that and are named in the table.
 * `--per-class` adds every class's IoU to the file.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { DeclipError, loadModel, Tensor } from 'declip-native'
import sharp from 'sharp'
import { Failure, root } from '../../../scripts/build/common.mjs'
import { CONCEPTS } from '../art/concepts.mjs'
import { Confusion } from './confusion.mjs'

/**
 * Dense modes. The package's qq, csa and kk drop the last block's residual connection and MLP, as
 * DeCLIP does; `+` keeps both.
 */
const MODES = {
  vanilla: { mode: 'vanilla' },
  maskclip: { mode: 'maskclip' },
  clearclip: { mode: 'clearclip' },
  naclip: { mode: 'naclip' },
  itaclip: { mode: 'itaclip' },
  ...Object.fromEntries(
    ['qq', 'kk', 'csa'].flatMap(mode => [
      [mode, { mode }],
      [`${mode}+`, { mode, residual: true, feedForward: true }],
    ]),
  ),
}
const NAMES = CONCEPTS.map(({ name }) => name)
const PAMR = { iterations: 10, dilations: [1, 2, 4, 8] }

/** @typedef {{ name: string, folder: string, background: string[], scenes: any[] }} SceneSet */

/** @param {string} folder @param {number} limit @returns {SceneSet[]} */
function readSets(folder, limit) {
  const file = join(folder, 'scenes.json')
  if (existsSync(file)) {
    const { scenes, background_words } = JSON.parse(readFileSync(file, 'utf8'))
    const name = `${basename(dirname(folder))}/${basename(folder)}`
    return [{ name, folder, background: background_words, scenes: scenes.slice(0, limit) }]
  }
  const inside = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []
  const found = inside
    .filter(entry => entry.isDirectory())
    .flatMap(entry => readSets(join(folder, entry.name), limit))
  if (found.length === 0) throw new Failure(`No scenes.json in ${folder} or its folders.`)
  return found
}

const readLabels = path => sharp(path).extractChannel(0).raw().toBuffer()

/** A class entry with its background words or synonyms. */
const entryOf = (name, { background, synonyms }) => {
  if (name === 'background') return background.join(', ')
  const concept = CONCEPTS.find(concept => concept.name === name)
  return synonyms && concept ? [name, concept.plural, ...concept.synonyms].join(', ') : name
}

/** Vocabularies of a model by their entries: every mode asks for the same ones. */
class Vocabularies {
  #made = new Map()

  constructor(model) {
    this.model = model
  }

  async of(entries) {
    const key = entries.join('|')
    const made = this.#made.get(key) ?? (await this.model.vocabulary(entries))
    this.#made.set(key, made)
    return made
  }

  dispose() {
    for (const vocabulary of this.#made.values()) vocabulary.dispose()
  }
}

/** Segments every scene of a set with the scene's words and with all words. */
async function measureScenes(model, vocabularies, set, mode, options) {
  const { scale, stride, pamr, areaThreshold, synonyms } = options
  const { imageSize } = model.info
  const entry = name => entryOf(name, { background: set.background, synonyms })
  const all = await vocabularies.of(['background', ...NAMES].map(entry))
  const words = { scene: new Confusion(NAMES.length + 1), all: new Confusion(NAMES.length + 1) }
  const everyClass = [0, ...NAMES.map((_, i) => i + 1)]
  for (const scene of set.scenes) {
    const classOf = scene.classes.map(name => NAMES.indexOf(name) + 1)
    const own = await vocabularies.of(scene.classes.map(entry))
    const truth = await readLabels(join(set.folder, scene.labels))
    const view = await model.encode(join(set.folder, scene.file), {
      method: 'vanilla',
      ...MODES[mode],
      window: imageSize,
      stride: stride ?? imageSize / 2,
      shortSide: scale === 1 ? null : Math.round(scale * Math.min(scene.width, scene.height)),
    })
    for (const [vocabulary, confusion, classes] of [
      [own, words.scene, classOf],
      [all, words.all, everyClass],
    ]) {
      const seg = await view.segment(vocabulary, {
        pamr: pamr ? PAMR : false,
        probThreshold: 0,
        areaThreshold,
        closing: false,
      })
      confusion.add(truth, await seg.labels.data(), classOf, classes)
      seg.dispose()
    }
    view.dispose()
  }
  return { scene: words.scene.figures(), all: words.all.figures() }
}

/**
 * Classifies every object by mask and by box, and pictures of one object by their class token. Only
 * pictures that the model takes in one piece.
 */
async function measureRegions(model, vocabularies, set, mode) {
  const vocabulary = await vocabularies.of(NAMES)
  const words = await vocabulary.features.data()
  const right = { mask: 0, box: 0, token1: 0, token5: 0 }
  const total = { objects: 0, pictures: 0 }
  for (const scene of set.scenes) {
    const file = join(set.folder, scene.file)
    // One pass through the tower: a larger picture would have to be shrunk.
    if (Math.max(scene.width, scene.height) > model.info.imageSize) continue
    const truth = await readLabels(join(set.folder, scene.labels))
    const objects = scene.classes.map((_, k) => k).filter(k => k > 0 && truth.includes(k))
    if (objects.length === 0) continue
    const { width, height } = scene
    const masks = new Uint8Array(objects.length * width * height)
    objects.forEach((k, n) => {
      for (let i = 0; i < truth.length; i++) masks[n * truth.length + i] = truth[i] === k ? 1 : 0
    })
    const boxes = objects.map(k => boxOf(truth, k, width))
    const options = MODES[mode]
    const byMask = await model.encodeMasks(
      file,
      Tensor.from(masks, [objects.length, height, width]),
      options,
    )
    const byBox = await model.encodeBoxes(file, boxes, options)
    const wanted = objects.map(k => NAMES.indexOf(scene.classes[k]))
    const ranksOf = async features => ranks(await features.data(), words, wanted)
    right.mask += (await ranksOf(byMask)).filter(rank => rank === 0).length
    right.box += (await ranksOf(byBox)).filter(rank => rank === 0).length
    total.objects += objects.length
    if (objects.length === 1) {
      const [rank] = await ranksOf(await model.encodeImage(file))
      right.token1 += rank < 1 ? 1 : 0
      right.token5 += rank < 5 ? 1 : 0
      total.pictures++
    }
  }
  const share = (count, of) => (of ? count / of : null)
  return {
    maskTop1: share(right.mask, total.objects),
    boxTop1: share(right.box, total.objects),
    tokenTop1: share(right.token1, total.pictures),
    tokenTop5: share(right.token5, total.pictures),
  }
}

function boxOf(truth, k, width) {
  let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0]
  truth.forEach((label, i) => {
    if (label !== k) return
    const [x, y] = [i % width, Math.floor(i / width)]
    x0 = Math.min(x0, x)
    y0 = Math.min(y0, y)
    x1 = Math.max(x1, x + 1)
    y1 = Math.max(y1, y + 1)
  })
  return [x0, y0, x1, y1]
}

/** How many words are nearer than the wanted one, for each feature. */
function ranks(features, words, wanted) {
  const width = features.length / wanted.length
  return wanted.map((want, n) => {
    const scores = NAMES.map((_, word) => {
      let sum = 0
      for (let i = 0; i < width; i++) sum += features[n * width + i] * words[word * width + i]
      return sum
    })
    return scores.filter(score => score > scores[want]).length
  })
}

const COLUMNS = ['mIoU', 'objectIoU', 'backgroundIoU', 'pixels', 'objectPixels']
const TITLES = ['mIoU', 'objects', 'background', 'pixels', 'object pixels']
const format = value => (value === null || value === undefined ? '–' : value.toFixed(4))

function table(rows) {
  const lines = [
    `| model | set | mode | pipeline | words | ${TITLES.join(' | ')} |`,
    `|${' --- |'.repeat(5 + TITLES.length)}`,
  ]
  for (const { model, set, mode, pipeline, scenes } of rows)
    for (const words of ['scene', 'all'])
      lines.push(
        `| ${[model, set, mode, pipeline, words, ...COLUMNS.map(key => format(scenes[words][key]))].join(' | ')} |`,
      )
  const regions = rows.filter(row => row.regions)
  if (regions.length) {
    lines.push('', '| model | set | mode | mask top-1 | box top-1 | token top-1 | token top-5 |')
    lines.push(`|${' --- |'.repeat(7)}`)
    for (const { model, set, mode, regions: r } of regions)
      lines.push(
        `| ${[model, set, mode, ...[r.maskTop1, r.boxTop1, r.tokenTop1, r.tokenTop5].map(format)].join(' | ')} |`,
      )
  }
  return lines.join('\n')
}

async function main() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      sets: { type: 'string', default: join(root, 'models', 'scenes') },
      modes: { type: 'string', default: 'vanilla,maskclip,qq,csa,naclip,itaclip' },
      scale: { type: 'string', default: '1' },
      stride: { type: 'string' },
      pamr: { type: 'boolean', default: false },
      'area-threshold': { type: 'string', default: '0' },
      synonyms: { type: 'boolean', default: false },
      regions: { type: 'boolean', default: false },
      'per-class': { type: 'boolean', default: false },
      limit: { type: 'string' },
      out: { type: 'string' },
      append: { type: 'boolean', default: false },
    },
  })
  const modes = values.modes.split(',')
  for (const mode of modes)
    if (!Object.hasOwn(MODES, mode))
      throw new Failure(`--modes has ${Object.keys(MODES).join(', ')}; not '${mode}'.`)
  const scale = Number(values.scale)
  if (!(scale >= 0.25 && scale <= 8)) throw new Failure('--scale is from 0.25 to 8.')
  const limit = values.limit === undefined ? Infinity : Number(values.limit)
  if (!(limit >= 1)) throw new Failure('--limit is a number of scenes.')
  const stride = values.stride === undefined ? undefined : Number(values.stride)
  if (stride !== undefined && !(stride >= 1)) throw new Failure('--stride is a number of pixels.')
  const areaThreshold = Number(values['area-threshold'])
  if (!(areaThreshold >= 0 && areaThreshold < 1))
    throw new Failure('--area-threshold is a share of the foreground, from 0 to below 1.')
  const { pamr, synonyms } = values
  const options = { scale, stride, pamr, areaThreshold, synonyms }
  const changes = [
    scale === 1 ? '' : `x${scale}`,
    stride ? `stride ${stride}` : '',
    pamr ? 'PAMR' : '',
    areaThreshold ? `area ${areaThreshold}` : '',
    synonyms ? 'synonyms' : '',
  ]
  const pipeline = changes.filter(Boolean).join(', ') || 'plain'
  const sets = values.sets.split(',').flatMap(folder => readSets(folder, limit))
  const kept = ({ iou, ...figures }) => (values['per-class'] ? { ...figures, iou } : figures)
  const rows = []
  for (const given of values.model?.split(',') ?? ['words-tiny']) {
    const [, named, file] = /^(?:([^=/]+)=)?(.*)$/.exec(given)
    const model = await loadModel(file)
    const name = named ?? basename(file)
    const vocabularies = new Vocabularies(model)
    for (const set of sets)
      for (const mode of modes) {
        const start = performance.now()
        const scenes = await measureScenes(model, vocabularies, set, mode, options)
        const regions =
          values.regions && pipeline === 'plain'
            ? await measureRegions(model, vocabularies, set, mode)
            : undefined
        rows.push({
          model: name,
          set: set.name,
          mode,
          pipeline,
          count: set.scenes.length,
          scenes: { scene: kept(scenes.scene), all: kept(scenes.all) },
          regions,
        })
        const seconds = ((performance.now() - start) / 1000).toFixed(1)
        console.error(
          `${name} ${set.name} ${mode} ${pipeline}: ${format(scenes.scene.mIoU)} ${format(scenes.all.mIoU)} (${seconds} s)`,
        )
      }
    vocabularies.dispose()
    model.dispose()
  }
  if (values.out) {
    const before = values.append ? JSON.parse(readFileSync(values.out, 'utf8')) : []
    writeFileSync(values.out, `${JSON.stringify([...before, ...rows], null, 1)}\n`)
  }
  console.log(table(rows))
}

await main().catch(error => {
  if (!(error instanceof Failure || error instanceof DeclipError)) throw error
  console.error(error.message)
  process.exitCode = 1
})
