/**
 * Writes labelled scenes for evaluation, as drawn: no change of style, no noise. A folder per set and
 * seed, laid out as models/scenes: pictures, index masks, scenes.json.
 *
 *   node models/recipe/scenes/sets.mjs --out <folder> --styles valid|test [--seeds 1,2] [--work <folder>]
 *
 * `grid`: 150 scenes of 96 px with three or four objects. `single`: two scenes of each concept.
 * `large`: 30 scenes of 256 x 192 px with five to seven objects.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { loadArt, toSprites } from '../art/art.mjs'
import { CONCEPTS } from '../art/concepts.mjs'
import { STYLES } from '../art/packages.mjs'
import { composer } from './scenes.mjs'

/** Words of which the best is the background when a model is evaluated. */
export const EVALUATED_BACKGROUND = ['background', 'nothing', 'texture', 'wall', 'sky']

/** @type {Record<string, { count: number, options: (index: number) => object }>} */
export const SETS = {
  grid: { count: 150, options: () => ({ layouts: { grid: 1 } }) },
  single: {
    count: 2 * CONCEPTS.length,
    options: index => ({ layouts: { single: 1 }, concept: index % CONCEPTS.length }),
  },
  large: {
    count: 30,
    options: () => ({ layouts: { grid: 1 }, gridCount: [5, 7], width: 256, height: 192 }),
  },
}

/**
 * One scene with a class per concept: labels are indices into `classes`.
 *
 * @param {(index: number, options: object) => import('./scenes.mjs').Scene} compose
 */
export function labelled(compose, set, seed, index) {
  const scene = compose(index, { seed: `${set}-${seed}`, strength: 0, ...SETS[set].options(index) })
  const concepts = [...new Set(scene.objects.map(({ concept }) => concept))]
  const classes = ['background', ...concepts.map(concept => CONCEPTS[concept].name)]
  const labelOf = [0, ...scene.objects.map(({ concept }) => concepts.indexOf(concept) + 1)]
  return { ...scene, classes, labels: scene.owner.map(owner => labelOf[owner]) }
}

async function writeSet(compose, folder, set, seed, art) {
  mkdirSync(folder, { recursive: true })
  const scenes = []
  for (let i = 0; i < SETS[set].count; i++) {
    const { pixels, labels, classes, width, height } = labelled(compose, set, seed, i)
    const stem = String(i).padStart(4, '0')
    const png = (data, channels) =>
      sharp(data, { raw: { width, height, channels } })
        .toColourspace(channels === 1 ? 'b-w' : 'srgb')
        .png()
    await png(pixels, 3).toFile(join(folder, `${stem}.png`))
    await png(labels, 1).toFile(join(folder, `${stem}-labels.png`))
    scenes.push({ file: `${stem}.png`, labels: `${stem}-labels.png`, width, height, classes })
  }
  const json = {
    note: 'index masks: 0 background, k the k-th entry of classes',
    set,
    seed,
    art,
    background_words: EVALUATED_BACKGROUND,
    scenes,
  }
  writeFileSync(join(folder, 'scenes.json'), `${JSON.stringify(json, null, 1)}\n`)
  console.log(`${folder}: ${scenes.length} scenes`)
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      styles: { type: 'string', default: 'valid' },
      seeds: { type: 'string', default: '1,2' },
      work: { type: 'string' },
    },
  })
  const { out, styles } = values
  if (!out) throw new Failure('Say where the sets go: --out <folder>.')
  if (!['train', 'valid', 'test'].includes(styles))
    throw new Failure(`--styles is train, valid or test, not '${styles}'.`)
  const compose = composer(toSprites(await loadArt(styles, values.work)))
  const art = STYLES.filter(style => style.use === styles).map(
    ({ package: name, version, title, author, licence }) => ({
      package: name,
      version,
      title,
      author,
      licence,
    }),
  )
  for (const set of Object.keys(SETS))
    for (const seed of values.seeds.split(','))
      await writeSet(compose, join(out, `${set}-${seed}`), set, seed, art)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
