import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import sharp from 'sharp'
import t from 'tap'
import { Exporter } from '../../../ts/export/exporter.js'
import { EXPORT_FORMATS, type ExportFormat } from '../../../ts/export/formats.js'
import type { ExportSettings } from '../../../ts/export/settings.js'
import { Segmentation } from '../../../ts/result/segmentation.js'
import { componentsOf } from '../../support/components.js'
import { readTasks } from '../../support/label-studio.js'
import { pythonWith, readByPython } from '../../support/python.js'
import { runsOf } from '../../support/runs.js'

const CLASSES = ['nothing', 'cat', 'a "dog": or, two', 'Katze\u2028 & <Hund>\n#1 日本語 🐈']

interface Drawn {
  name: string
  width: number
  height: number
  labels: Uint8Array
}

const draw = (
  name: string,
  width: number,
  height: number,
  label: (x: number, y: number) => number,
): Drawn => ({
  name,
  width,
  height,
  labels: Uint8Array.from({ length: width * height }, (_, i) =>
    label(i % width, Math.floor(i / width)),
  ),
})

const random = xoroshiro128plus(7)
const below = (n: number) => (random.next() >>> 8) % n

/** What makes outlines difficult: corners that touch, holes in holes, lines of one pixel, rims of the picture. */
const PICTURES: readonly Drawn[] = [
  draw('noise/1.png', 37, 29, () => below(4)),
  draw('noise/2.png', 31, 40, () => (below(10) < 3 ? 0 : 1)),
  draw('noise/3.png', 64, 5, () => (below(2) ? 2 : 0)),
  draw('checks.png', 17, 13, (x, y) => (x + y) % 2),
  draw('rings.png', 33, 33, (x, y) => Math.max(Math.abs(x - 16), Math.abs(y - 16)) % 2),
  draw('diamonds.png', 33, 33, (x, y) => ((Math.abs(x - 16) + Math.abs(y - 16)) % 3 ? 0 : 1)),
  draw('full.png', 40, 30, () => 3),
  draw('empty.png', 40, 30, () => 0),
  draw('dots.png', 40, 30, (x, y) => (x % 5 === 0 && y % 5 === 0 ? 1 + (x % 3) : 0)),
  draw('lines.png', 40, 30, (x, y) => (x % 4 === 1 ? 1 : y % 6 === 2 ? 2 : 0)),
  draw('a/images/comb.png', 40, 30, (x, y) => (y < 2 || x % 2 === 0 ? 1 : 0)),
  draw('pixel.png', 1, 1, () => 1),
  draw('row.png', 50, 1, x => (x % 7 < 3 ? 1 : 0)),
  draw('wide.png', 1033, 3, x => (x % 100 < 3 ? 1 : 2)),
]

const settings = (to: ExportFormat, more: Partial<ExportSettings> = {}): ExportSettings => ({
  to,
  semantic: false,
  minArea: 0,
  pictures: 'copy',
  validation: 0.3,
  prefix: '',
  hasPictures: true,
  madeBy: 'a test',
  classes: CLASSES.map(name => ({ name, words: [name.replaceAll(/[,;]/g, '')] })),
  background: 0,
  made: {},
  ...more,
})

interface Mask {
  class: string
  counts: number[]
}

/** Masks of each picture as a text that does not depend on their order. */
const sorted = (masks: readonly Mask[]) =>
  masks.map(mask => `${mask.class} ${mask.counts.join()}`).sort()

const expected = ({ labels, width, height }: Drawn, kind: 'objects' | 'classes' | 'labels') => {
  if (kind === 'objects') {
    return componentsOf(labels, width, height)
      .filter(({ label }) => label !== 0)
      .map(({ label, counts }) => ({ class: CLASSES[label] as string, counts }))
  }
  return [...new Set(labels)]
    .filter(label => kind === 'labels' || label !== 0)
    .map(label => ({
      class: CLASSES[label] as string,
      counts: runsOf(labels, width, height, value => value === label),
    }))
}

async function writeSet(dir: string, given: ExportSettings): Promise<string> {
  const out = join(dir, `${given.to}-${given.semantic}`)
  await Exporter.run(
    { out, settings: given, skipExisting: false, overwrite: false },
    async exporter => {
      for (const { name, width, height, labels } of PICTURES) {
        const image = join(dir, name)
        mkdirSync(dirname(image), { recursive: true })
        const raw = { width, height, channels: 1 } as const
        await sharp(labels, { raw }).png().toFile(image)
        using segmentation = await Segmentation.fromTransferable({
          labels,
          width,
          height,
          classes: CLASSES,
          areas: [],
          background: 0,
          colors: [],
          timings: { encodeMs: 0, pixelsMs: 0 },
        })
        await exporter.add({ name, file: name, image }, segmentation)
      }
      await exporter.finish()
    },
  )
  return out
}

const found = await pythonWith(
  'pycocotools',
  'numpy',
  'pillow',
  'opencv-python-headless',
  'shapely',
  'pyyaml',
)

const python = 'python' in found ? found.python : ''
const reading = { skip: 'reason' in found && found.reason }

interface Read {
  readers: string[]
  pictures: Record<string, { size: [number, number]; masks: Mask[] }>
  crowds?: number
  subsets?: Record<string, number>
}

for (const to of EXPORT_FORMATS.filter(name => name !== 'label-studio')) {
  for (const semantic of [false, true]) {
    const kind = to === 'masks' ? 'labels' : semantic && to !== 'yolo' ? 'classes' : 'objects'
    t.test(
      `${to}${semantic ? ', a mask per class' : ''}: every mask is read back`,
      reading,
      async t => {
        const out = await writeSet(t.testdir(), settings(to, { semantic }))
        const read = (await readByPython(python, 'read_exports.py', to, out)) as Read
        t.comment(read.readers.join(', '))
        t.equal(Object.keys(read.pictures).length, PICTURES.length)
        for (const picture of PICTURES) {
          const name =
            to === 'yolo' ? picture.name.replace('a/images/', 'a/images_/') : picture.name
          const { size, masks } = read.pictures[name] ?? { size: [], masks: [] }
          t.strictSame(size, [picture.height, picture.width], name)
          const names = (mask: Mask) => ({
            ...mask,
            class:
              to === 'masks' ? CLASSES.findIndex((_, i) => lineOf(i) === mask.class) : mask.class,
          })
          const lineOf = (i: number) =>
            (CLASSES[i] as string).replaceAll(/[,;]/g, '').replaceAll(/\s+/g, ' ')
          const wanted = expected(picture, kind).map(mask => ({
            ...mask,
            class: to === 'masks' ? CLASSES.indexOf(mask.class) : mask.class,
          }))
          t.strictSame(sorted(masks.map(names) as Mask[]), sorted(wanted as Mask[]), picture.name)
        }
        if (to === 'coco') t.ok((read.crowds ?? 0) > 0, 'masks with holes are run lengths')
        if (to === 'yolo') t.match(read.subsets, { 'images/train': Number, 'images/val': Number })
      },
    )
  }
}

for (const semantic of [false, true]) {
  t.test(
    `label-studio${semantic ? ', a mask per class' : ''}: every mask is read back`,
    async t => {
      const given = settings('label-studio', { semantic, prefix: '/data/?d=' })
      const tasks = readTasks(await writeSet(t.testdir(), given))
      t.equal(Object.keys(tasks).length, PICTURES.length)
      for (const picture of PICTURES) {
        const { masks } = tasks[`/data/?d=${picture.name}`] ?? { masks: [] }
        t.strictSame(
          sorted(masks),
          sorted(expected(picture, semantic ? 'classes' : 'objects')),
          picture.name,
        )
      }
    },
  )
}
