/** Captions, regions and the table of concepts. */
import { readFileSync } from 'node:fs'
import { TEMPLATES, Tokenizer } from 'declip-native'
import t from 'tap'
import { BACKGROUND_WORDS, CONCEPTS } from '../../../models/recipe/art/concepts.mjs'
import { STYLES } from '../../../models/recipe/art/packages.mjs'
import { random } from '../../../models/recipe/paint/random.mjs'
import {
  caption,
  captionWords,
  MAX_TOKENS,
  PHRASES,
  tokenCount,
} from '../../../models/recipe/scenes/captions.mjs'
import { regions } from '../../../models/recipe/scenes/regions.mjs'
import { composer } from '../../../models/recipe/scenes/scenes.mjs'
import { madeUpSprites } from '../support.mjs'

const read = path => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const tokenizer = new Tokenizer()
const tokens = text => tokenizer.encode(text).length - 2
const compose = composer(madeUpSprites())

t.test('captions are short, and name what is there', async t => {
  const words = captionWords()
  for (let index = 0; index < 1500; index++) {
    const scene = compose(index, { seed: 'captions', width: 48, height: 48 })
    const text = caption(scene, random('caption', index))
    if (tokens(text) > MAX_TOKENS) t.fail(`${tokens(text)} tokens: ${text}`)
    if (tokens(text) !== tokenCount(text)) t.fail(`counted ${tokenCount(text)} tokens: ${text}`)
    const named = CONCEPTS.filter(({ name, plural, synonyms }) =>
      [name, plural, ...synonyms].some(word => new RegExp(`\\b${word}\\b`).test(text)),
    )
    const there = new Set(scene.objects.map(({ concept }) => CONCEPTS[concept].name))
    // A longer name may hold a shorter one: 'ice cream', 'traffic light', 'planet earth'.
    const wrong = named.filter(({ name }) => !there.has(name))
    const held = wrong.every(({ name }) =>
      words.some(word => word !== name && word.includes(name) && text.includes(word)),
    )
    if (!held) t.fail(`'${text}' names ${wrong.map(({ name }) => name)}, there are ${[...there]}`)
    if (named.length === 0 && !BACKGROUND_WORDS.some(word => text.includes(word)))
      t.fail(`'${text}' names nothing`)
  }
  t.pass('1500 captions')
})

t.test('captions are made of known words', async t => {
  const texts = [...captionWords(), ...PHRASES, ...TEMPLATES.imagenet]
  const known = new Set(texts.flatMap(text => tokenizer.encode(text.replaceAll('{}', ' '))))
  for (let index = 0; index < 1500; index++) {
    const scene = compose(index, { seed: 'known', width: 48, height: 48 })
    const text = caption(scene, random('known', index))
    for (const id of tokenizer.encode(text)) if (!known.has(id)) t.fail(`token ${id} in '${text}'`)
  }
  t.ok(known.size < 600, `${known.size} tokens`)
})

t.test('all prompts that models are evaluated with fit', async t => {
  const words = [...CONCEPTS.map(({ name }) => name), ...BACKGROUND_WORDS]
  for (const word of words)
    for (const template of TEMPLATES.imagenet) {
      const text = template.replace('{}', word)
      if (tokens(text) > MAX_TOKENS) t.fail(`${tokens(text)} tokens: ${text}`)
    }
  t.pass(`${words.length} words`)
})

/** Sides of cells in pixels, the share that is their class's at least, how many there are. */
const EXPECTED = {
  whole: { sides: [6, 12], share: 0.75, most: 40, background: 16, empty: 20, objects: 15 },
  dots: { sides: [4, 10], share: 0.501, most: 64, background: 26, empty: 32, objects: 25 },
}

for (const [kind, expected] of Object.entries(EXPECTED))
  t.test(`regions hold what their label says: ${kind}`, async t => {
    const { sides, share, most } = expected
    const total = { background: 0, object: 0 }
    for (let index = 0; index < 150; index++) {
      const scene = compose(index, { seed: 'regions' })
      const list = regions(scene, random('regions', index), kind)
      t.same(regions(scene, random('regions', index), kind), list)
      const boxes = scene.objects.filter(({ area }) => area >= 16)
      t.same(
        list.slice(0, boxes.length).map(({ box }) => box),
        boxes.map(({ box }) => box),
      )
      const cells = list.slice(boxes.length)
      for (const {
        box: [x, y, w, h],
        label,
      } of cells) {
        let same = 0
        for (let i = y; i < y + h; i++)
          for (let j = x; j < x + w; j++) {
            const owner = scene.owner[i * scene.width + j]
            const name =
              owner === 0 ? 'background' : CONCEPTS[scene.objects[owner - 1].concept].name
            if (name === label) same++
          }
        if (same < share * w * h) t.fail(`${same} of ${w * h} pixels are ${label}`)
        if (w < sides[0] || w > sides[1] || w !== h) t.fail(`a cell of ${w} x ${h}`)
        total[label === 'background' ? 'background' : 'object']++
      }
      t.ok(cells.length <= most)
      const background = cells.filter(({ label }) => label === 'background').length
      const limit = boxes.length ? expected.background : expected.empty
      t.ok(background <= limit, `${background} cells of background`)
    }
    const least = 150 * expected.objects
    t.ok(total.object > least, `${total.object} cells of objects in 150 scenes`)
  })

t.test('concepts: the model card has the same list', async t => {
  const names = CONCEPTS.map(({ name }) => name)
  t.same(names, read('models/words-tiny/classes.txt').trim().split('\n'))
  t.equal(new Set(names).size, 90)
  const words = CONCEPTS.flatMap(({ name, plural, synonyms }) => [
    name,
    ...(plural === name ? [] : [plural]),
    ...synonyms,
  ])
  t.equal(new Set(words).size, words.length, 'no word stands for two concepts')
})

t.test('every concept has art, by the recorded names of icons', async t => {
  const icons = JSON.parse(read('test/fixtures/recipe/icons.json'))
  t.same(
    Object.keys(icons),
    STYLES.map(({ id }) => id),
  )
  for (const { name, emoji, more } of CONCEPTS) {
    const has = ({ id, icons: kind }) =>
      (kind === 'table' ? (more[id] ?? []) : emoji).some(icon => icons[id].includes(icon))
    for (const use of ['valid', 'test'])
      t.ok(STYLES.filter(style => style.use === use).every(has), `${name}: ${use}`)
    const trained = STYLES.filter(style => style.use === 'train' && has(style)).length
    t.ok(trained >= 5, `${name}: in ${trained} training styles`)
    for (const [id, list] of Object.entries(more))
      for (const icon of list) t.ok(icons[id]?.includes(icon), `${name}: ${id} has ${icon}`)
  }
})

t.test('what is measured on is not trained on', async t => {
  const trained = STYLES.filter(({ use }) => use === 'train')
  t.notOk(trained.some(({ id }) => /twemoji|emojione/.test(id)))
  t.same(
    STYLES.filter(({ use }) => use !== 'train').map(({ id, use }) => [id, use]),
    [
      ['emojione', 'valid'],
      ['twemoji', 'test'],
    ],
  )
})
