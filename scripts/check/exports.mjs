/**
 * Exports composed scenes in every format and compares every mask, pixel for pixel, as public readers give them back:
 * pycocotools, OpenCV by Ultralytics' rules, Pillow, shapely, and Label Studio's packing. What they are compared with
 * are the connected regions of segment()'s labels, found by plain search.
 *
 *   node scripts/check/exports.mjs [--count 200] [--work <folder>]
 *
 * Needs the built package, and Python with pycocotools, numpy, pillow, opencv-python-headless, shapely and pyyaml: what
 * DECLIP_PYTHON names, the environment that `npx tap test/ts/export/readers.ts` makes below build/, or python3.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decode } from '@thi.ng/rle-pack'
import { cutOutSprites, writeFolder } from '../../models/recipe/scenes/folder.mjs'
import { endWith, Failure, root } from '../build/common.mjs'

const { values: options } = parseArgs({
  options: { count: { type: 'string', default: '200' }, work: { type: 'string' } },
})
const CLASSES = ['dog', 'tree', 'pizza', 'banana', 'car', 'house', 'guitar', 'owl', 'book', 'cat']
const MIN_AREA = 16
/** One window a picture: how good the labels are does not matter here, and ragged ones are harder to write. */
const SHORT_SIDE = 96
const { EXPORT_FORMATS, exportDataset, loadModel, segmentMany } = createRequire(import.meta.url)(
  join(root, 'dist/index.js'),
)

try {
  const own = options.work === undefined
  const work = options.work ?? mkdtempSync(join(tmpdir(), 'declip-exports-'))
  await check(work, Number(options.count))
  if (own) rmSync(work, { recursive: true, force: true })
} catch (error) {
  endWith(error)
}

/** @param {string} work @param {number} count */
async function check(work, count) {
  const scenes = join(work, 'scenes')
  await writeFolder(scenes, { count, sprites: await cutOutSprites() })
  const names = Array.from({ length: count }, (_, i) => `${String(i).padStart(5, '0')}.jpg`)
  const images = names.map(name => ({ image: join(scenes, 'images', name), name }))
  const model = await loadModel('words-tiny')
  let truth
  let wrong = 0
  for (const to of EXPORT_FORMATS) {
    for (const semantic of to === 'masks' ? [true] : [false, true]) {
      const out = join(work, `${to}${semantic ? '-semantic' : ''}`)
      const start = performance.now()
      const given = {
        model,
        to,
        out,
        semantic,
        minArea: MIN_AREA,
        shortSide: SHORT_SIDE,
        overwrite: true,
      }
      const { pictures } = await exportDataset(images, CLASSES, given)
      const seconds = (performance.now() - start) / 1000
      truth ??= await regions(model, images, out)
      const { readers, masks } = to === 'label-studio' ? readTasks(out) : readByPython(to, out)
      let [equal, total] = [0, 0]
      for (const name of names) {
        const kind = to === 'masks' ? 'labels' : semantic && to !== 'yolo' ? 'classes' : 'objects'
        const expected = truth.get(name)[kind]
        const read = new Set(masks.get(name))
        total += expected.length
        equal += expected.filter(mask => read.has(mask)).length
        if (read.size !== expected.length) wrong += 1
      }
      wrong += total - equal
      console.log(
        `${to}${semantic ? ', a mask per class' : ''}: ${equal} of ${total} masks of ${pictures} pictures equal (${readers}); written at ${(pictures / seconds).toFixed(1)} pictures/s`,
      )
    }
  }
  model.dispose()
  if (wrong > 0) throw new Failure(`${wrong} masks or pictures are not as they were.`)
}

/** What is to be found in every picture, as texts 'class counts', by the words that an export says it had. */
async function regions(model, images, out) {
  const truth = new Map()
  const { classes, background } = JSON.parse(readFileSync(join(out, 'export.json'), 'utf8'))
  const words = classes.map(entry => entry.words)
  const paths = images.map(({ image }) => image)
  for await (const seg of segmentMany(paths, words, {
    model,
    background,
    shortSide: SHORT_SIDE,
  })) {
    const labels = await seg.labels.data()
    const { width, height, classes } = seg
    const found = components(labels, width, height)
    const kept = found.filter(({ label, area }) => label !== 0 && area >= MIN_AREA)
    const of = holds => counts(width, height, holds)
    const objects = kept.map(
      ({ label, id, owner }) => `${classes[label]} ${of(i => owner[i] === id)}`,
    )
    const present = [...new Set(kept.map(({ label }) => label))]
    const ids = new Set(kept.map(({ id }) => id))
    truth.set(images[seg.index].name, {
      objects,
      classes: present.map(label => {
        const inside = i => labels[i] === label && ids.has(found[0].owner[i])
        return `${classes[label]} ${of(inside)}`
      }),
      labels: [...new Set(labels)].map(
        label => `${classes[label]} ${of(i => labels[i] === label)}`,
      ),
    })
    seg.dispose()
  }
  return truth
}

/** Regions of a label map, pixels joined at sides or corners, by plain search. */
function components(labels, width, height) {
  const owner = new Int32Array(labels.length).fill(-1)
  const found = []
  for (let start = 0; start < labels.length; start++) {
    if (owner[start] !== -1) continue
    const id = found.length
    const open = [start]
    owner[start] = id
    let area = 0
    while (open.length > 0) {
      const at = open.pop()
      area += 1
      const [x, y] = [at % width, Math.floor(at / width)]
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u
          if (owner[next] !== -1 || labels[next] !== labels[start]) continue
          owner[next] = id
          open.push(next)
        }
      }
    }
    found.push({ label: labels[start], area, id, owner })
  }
  return found
}

/** Run lengths down the columns, outside first. */
function counts(width, height, holds) {
  const runs = []
  let [inside, run] = [false, 0]
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (holds(y * width + x) !== inside) {
        runs.push(run)
        run = 0
        inside = !inside
      }
      run += 1
    }
  }
  return [...runs, run].join()
}

function readByPython(to, out) {
  const made = join(root, 'build/test-python/bin/python')
  const python = process.env.DECLIP_PYTHON ?? (existsSync(made) ? made : 'python3')
  const script = join(root, 'test/support/python/read_exports.py')
  const text = execFileSync(python, [script, to, out], { maxBuffer: 1 << 30 })
  const { readers, pictures } = JSON.parse(text.toString())
  const entries = Object.entries(pictures).map(([name, { masks }]) => [
    name,
    masks.map(mask => `${mask.class} ${mask.counts}`),
  ])
  return { readers: readers.join(', '), masks: new Map(entries) }
}

function readTasks(out) {
  const { version } = JSON.parse(
    readFileSync(join(root, 'node_modules/@thi.ng/rle-pack/package.json'), 'utf8'),
  )
  const masks = new Map()
  for (const { data, predictions } of JSON.parse(readFileSync(join(out, 'tasks.json'), 'utf8'))) {
    const name = decodeURIComponent(data.image.split('=').at(-1))
    masks.set(
      name,
      predictions[0].result.map(({ original_width: width, original_height: height, value }) => {
        const rgba = decode(Uint8Array.from(value.rle))
        return `${value.brushlabels[0]} ${counts(width, height, i => rgba[4 * i + 3] > 0)}`
      }),
    )
  }
  return { readers: `@thi.ng/rle-pack ${version}`, masks }
}
