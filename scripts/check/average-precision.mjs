/**
 * Average precision beside pycocotools: every number of COCOeval's precision, scores and recall, and its twelve
 * figures, on random cases (scripts/check/detection-cases.mjs) and on made-up results for a hundred pictures, as
 * pycocotools' own demonstration has them.
 *
 *   node scripts/check/average-precision.mjs [--cases 1000] [--python PYTHON] [--speed] [--record]
 *
 * pycocotools is installed by pip below node_modules, unless PYTHON has it. Prints the worst difference; exits with 1
 * if one is above 1e-9. --speed times both on a set of COCO's validation set's size. --record writes the figures of the
 * cases for test/scripts/average-precision.mjs.
 */
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { brotliCompressSync, constants } from 'node:zlib'
import { root, run } from '../build/common.mjs'
import { demoCase, detectionCase, largeCase } from './detection-cases.mjs'

const VERSION = '2.0.11'
export const TOLERANCE = 1e-9
/** Statistics as summarize() has them. */
export const STATISTICS = 12
export const RECORDED = join(root, 'test/fixtures/metrics/coco-eval.f64.br')

const require = createRequire(import.meta.url)
const dist = name => require(join(root, 'dist', name))

const PYTHON = process.platform === 'win32' ? 'py' : 'python3'

/** Where pip has put pycocotools, null where it cannot. */
export async function pycocotools(python = PYTHON) {
  const folder = join(root, 'node_modules/.cache', `pycocotools-${VERSION}`)
  if (existsSync(join(folder, 'pycocotools'))) return { folder }
  const quiet = ['-qq', '--disable-pip-version-check', '--retries', '1', '--only-binary', ':all:']
  const args = ['-m', 'pip', 'install', ...quiet, '--target', folder, `pycocotools==${VERSION}`]
  try {
    await run(python, args)
    return { folder }
  } catch (error) {
    return { reason: `pycocotools ${VERSION} could not be installed: ${error.message}` }
  }
}

/** A program that answers cases with what COCOeval makes of them. */
export class Reference {
  #child
  #chunks = []
  #size = 0
  #wake = () => {}
  #ended

  constructor({ folder, python = PYTHON }) {
    const file = join(root, 'scripts/check/average_precision_reference.py')
    this.#child = spawn(python, [file], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...(folder && { PYTHONPATH: folder }) },
    })
    this.#child.stdout.on('data', chunk => {
      this.#chunks.push(chunk)
      this.#size += chunk.length
      this.#wake()
    })
    this.#child.stdin.on('error', () => {}) // its end tells
    this.#child.on('close', code => {
      this.#ended = new Error(`The reference ended with ${code}.`)
      this.#wake()
    })
  }

  async ask(one) {
    this.#child.stdin.write(`${JSON.stringify(one)}\n`)
    const { counts, seconds } = JSON.parse((await this.#line()).toString())
    const [T, R, K, A, M] = counts
    const lengths = { stats: STATISTICS }
    if (!one.speed) {
      Object.assign(lengths, {
        precision: T * R * K * A * M,
        scores: T * R * K * A * M,
        recall: T * K * A * M,
      })
    }
    const answer = { seconds }
    for (const [name, length] of Object.entries(lengths)) {
      const bytes = await this.#take(8 * length)
      answer[name] = new Float64Array(new Uint8Array(bytes).buffer)
    }
    return answer
  }

  end() {
    this.#child.stdin.end()
  }

  async #more() {
    if (this.#ended) throw this.#ended
    await new Promise(resolve => {
      this.#wake = resolve
    })
  }

  async #take(length) {
    while (this.#size < length) await this.#more()
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [all.subarray(length)]
    this.#size -= length
    return all.subarray(0, length)
  }

  async #line() {
    for (;;) {
      const all = Buffer.concat(this.#chunks)
      const end = all.indexOf(10)
      if (end >= 0) return (await this.#take(end + 1)).subarray(0, end)
      this.#chunks = [all]
      await this.#more()
    }
  }
}

/** The same case as this package takes it. */
export async function countsOf({ kind, maxDets, dataset, results }) {
  const { DetectionCounts } = dist('evaluate/metrics/detection.js')
  const categories = [...dataset.categories].sort((a, b) => a.id - b.id)
  const labels = new Map(categories.map(({ id }, label) => [id, label]))
  const counts = new DetectionCounts({
    classes: categories.map(({ id, name }) => ({ id, name, words: [name] })),
    kind,
    maxDetections: maxDets,
  })
  const masks = kind === 'segm' ? await rles(dataset) : []
  const pictures = new Map(
    dataset.images.map(({ id, width, height }) => [
      id,
      { id: String(id), place: id, truth: { width, height, objects: [] }, detections: [] },
    ]),
  )
  for (const [i, one] of dataset.annotations.entries()) {
    const { id, image_id, category_id, bbox, area, iscrowd } = one
    const label = labels.get(category_id)
    const object = { id, label, box: bbox, area, crowd: iscrowd === 1, mask: masks[i] }
    pictures.get(image_id).truth.objects.push(object)
  }
  for (const { image_id, category_id, score, bbox, segmentation } of results) {
    const label = labels.get(category_id)
    pictures.get(image_id).detections.push({ label, score, box: bbox, mask: segmentation })
  }
  for (const picture of pictures.values()) counts.add(picture)
  return counts
}

/** The annotations' segmentations as run lengths, polygons filled by this package. */
async function rles({ images, annotations }) {
  const { toMeasuredRles } = dist('masks/coco-rle.js')
  const sizes = new Map(images.map(({ id, width, height }) => [id, { width, height }]))
  const shapes = annotations.map(({ id, image_id, segmentation }) => ({
    shape: segmentation,
    ...sizes.get(image_id),
    name: `annotation ${id}`,
  }))
  return (await toMeasuredRles(shapes, {})).map(({ rle }) => rle)
}

/** The figures in summarize()'s order, -1 for none. */
export function statistics(scores) {
  const { ap, ap50, ap75, small, medium, large, ar1, ar10, ar, arSmall, arMedium, arLarge } = scores
  const all = [ap, ap50, ap75, small, medium, large, ar1, ar10, ar, arSmall, arMedium, arLarge]
  return all.map(value => value ?? -1)
}

export function worstDifference(a, b) {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i])
    if (!(difference <= worst)) worst = difference
  }
  return worst
}

/** Compares one case; the worst difference, and how many numbers there were. */
export async function compareCase(reference, one) {
  const counts = await countsOf(one)
  const [expected, curves, scores] = await Promise.all([
    reference.ask(one),
    counts.allCurves({}),
    counts.scores(),
  ])
  const figures = worstDifference(statistics(scores), expected.stats)
  let arrays = 0
  let numbers = expected.stats.length
  for (const name of ['precision', 'scores', 'recall']) {
    arrays = Math.max(arrays, worstDifference(curves[name], expected[name]))
    numbers += expected[name].length
  }
  return { figures, arrays, worst: Math.max(figures, arrays), numbers, stats: expected.stats }
}

async function compareAll(reference, cases, record) {
  let figures = 0
  let arrays = 0
  let numbers = 0
  const recorded = new Float64Array(STATISTICS * cases)
  const made = [
    ...Array.from({ length: cases }, (_, seed) => [`case ${seed}`, () => detectionCase(seed)]),
    ['demonstration, boxes', () => demoCase('bbox')],
    ['demonstration, masks', () => demoCase('segm')],
  ]
  for (const [i, [name, make]] of made.entries()) {
    const result = await compareCase(reference, make())
    if (i < cases) recorded.set(result.stats, STATISTICS * i)
    if (!(result.worst <= TOLERANCE)) console.log(`${name}: differs by ${result.worst}`)
    figures = Math.max(figures, result.figures)
    arrays = Math.max(arrays, result.arrays)
    numbers += result.numbers
  }
  console.log(`${cases} random cases and 2 demonstrations, ${numbers} numbers`)
  console.log(`worst difference: ${figures} of a figure, ${arrays} in the curves`)
  if (record) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11 }
    writeFileSync(RECORDED, brotliCompressSync(new Uint8Array(recorded.buffer), { params }))
  }
  return Math.max(figures, arrays)
}

async function compareSpeed(reference) {
  const one = largeCase()
  const { images, annotations } = one.dataset
  console.log(
    `${images.length} pictures, ${annotations.length} objects, ${one.results.length} detections, boxes`,
  )
  // Processor time: what else runs on the machine has no say.
  const seconds = () => process.resourceUsage().userCPUTime / 1e6
  const begun = seconds()
  const counts = await countsOf(one)
  const added = seconds()
  const scores = await counts.scores()
  const own = seconds() - added
  const expected = await reference.ask({ ...one, speed: true })
  const worst = worstDifference(statistics(scores), expected.stats)
  console.log('seconds of processor time:')
  console.log(
    `  here          ${own.toFixed(2)}, and ${(added - begun).toFixed(2)} to take the objects over`,
  )
  console.log(`  pycocotools   ${expected.seconds.toFixed(2)} (evaluate, accumulate, summarize)`)
  console.log(`${(expected.seconds / own).toFixed(0)} times as fast; worst difference ${worst}`)
  return worst
}

async function main() {
  const { values: options } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000' },
      python: { type: 'string' },
      speed: { type: 'boolean' },
      record: { type: 'boolean' },
    },
  })
  const installed = options.python ? {} : await pycocotools()
  if (installed.reason) throw new Error(installed.reason)
  const reference = new Reference({ ...installed, python: options.python })
  try {
    const worst = options.speed
      ? await compareSpeed(reference)
      : await compareAll(reference, Number(options.cases), options.record)
    if (!(worst <= TOLERANCE)) process.exitCode = 1
  } finally {
    reference.end()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
