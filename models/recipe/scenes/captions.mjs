/** Captions of scenes, and prompts that the text tower learns. */
import { TEMPLATES, Tokenizer } from 'declip-native'
import { BACKGROUND_WORDS, CONCEPTS } from '../art/concepts.mjs'

/** @typedef {import('../paint/random.mjs').Random} Random */
/** @typedef {import('./scenes.mjs').Scene} Scene */

/**
 * Longest caption in tokens, without the two that mark start and end. All 80 ImageNet prompts of every
 * name fit; text positions beyond are never trained.
 */
export const MAX_TOKENS = 14

/** Short prompts; `{}` stands for one or several things with their articles. */
const SHORT = [
  '{}',
  'a picture of {}',
  'a photo of {}',
  'an image of {}',
  'a drawing of {}',
  'an icon of {}',
  'this is {}',
  'there is {}',
  '{} here',
  'a scene with {}',
]

/** Captions of scenes without an object. */
const EMPTY = ['a photo of {}', 'a picture of {}', 'the {}', 'empty {}', 'just {}', 'a {}']

/** Where things are, by the word for the background. */
const PLACES = {
  sky: ['in the sky', 'and sky'],
  grass: ['on grass', 'on the grass'],
  ground: ['on the ground'],
  floor: ['on the floor', 'on a floor'],
  water: ['in water', 'on the water'],
  wall: ['on a wall', 'in front of a wall'],
  texture: ['on a texture'],
  pattern: ['on a pattern'],
  background: ['on a background', 'and background'],
  nothing: ['on nothing', 'and nothing'],
}

const COUNTS = ['no', 'one', 'two', 'three', 'four', 'five']
const tokenizer = new Tokenizer()
/** @type {Map<string, number>} */
const lengths = new Map()

/** Tokens of a text; words are tokenised one by one, so their counts add up. @param {string} text */
export function tokenCount(text) {
  let sum = 0
  for (const word of text.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]+/gu) ?? []) {
    let count = lengths.get(word)
    if (count === undefined) {
      count = tokenizer.encode(word).length - 2
      lengths.set(word, count)
    }
    sum += count
  }
  return sum
}

/** Names that have an article of their own, or none. */
const BARE =
  /^(bunches|pairs|portions|ears) |^(grapes|cherries|glasses|headphones|scissors|french fries|fries|eyeglasses|corn|maize|coffee)$/

/** 'a dog', 'an owl', 'scissors'. @param {string} word */
const withArticle = word =>
  BARE.test(word) ? word : /^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`

/**
 * @param {Scene} scene
 * @param {Random} rng
 * @returns {string}
 */
export function caption(scene, rng) {
  const counts = namedConcepts(scene)
  const background = rng.pick(scene.backgroundWords)
  if (counts.size === 0) return nothing(background, rng)
  if (counts.size === 1 && [...counts.values()][0] === 1) {
    const [concept = 0] = counts.keys()
    return one(concept, background, rng)
  }
  return several(counts, background, rng)
}

/** Concepts worth naming, with how many there are; the largest first. */
function namedConcepts({ objects, width, height }) {
  const counts = new Map()
  const seen = objects
    .filter(({ area, visible, inside }) => {
      const share = area / (width * height)
      return share > 0.004 && visible > 0.25 && (inside > 0.25 || share > 0.05)
    })
    .sort((a, b) => b.area - a.area)
  for (const { concept } of seen) counts.set(concept, (counts.get(concept) ?? 0) + 1)
  return counts
}

function nothing(background, rng) {
  if (rng.chance(0.4)) return background
  return rng.pick(EMPTY).replace('{}', background)
}

function one(concept, background, rng) {
  const { name, plural, synonyms } = CONCEPTS[concept]
  const word = synonyms.length > 0 && rng.chance(0.2) ? rng.pick(synonyms) : name
  const kind = rng.next()
  let text
  if (kind < 0.25) text = word
  else if (kind < 0.6) text = rng.pick(TEMPLATES.imagenet).replace('{}', word).replace(/\.$/, '')
  else if (kind < 0.65) text = plural
  else if (kind < 0.8) text = on(withArticle(word), background, rng)
  else text = rng.pick(SHORT).replace('{}', withArticle(word))
  return tokenCount(text) <= MAX_TOKENS ? text : name
}

/** 'a dog on grass', 'a dog in the sky'. */
function on(things, background, rng) {
  return `${things} ${rng.pick(PLACES[background])}`
}

function several(counts, background, rng) {
  const concepts = [...counts.keys()]
  // Mostly the largest come last to be dropped; their order in the sentence is any.
  const order = rng.shuffled(concepts.length).map(i => concepts[i])
  const phrase = articles => {
    const things = order.map(concept => {
      const { name, plural, synonyms } = CONCEPTS[concept]
      const count = counts.get(concept)
      if (count > 1) return articles ? `${COUNTS[Math.min(count, 5)]} ${plural}` : plural
      const word = synonyms.length > 0 && rng.chance(0.15) ? rng.pick(synonyms) : name
      return articles ? withArticle(word) : word
    })
    if (!articles) return things.join(rng.chance(0.5) ? ', ' : ' ')
    return things.length === 1
      ? things[0]
      : `${things.slice(0, -1).join(', ')} and ${things.at(-1)}`
  }
  const tries = []
  if (rng.chance(0.75)) {
    const full = phrase(true)
    if (rng.chance(0.2)) tries.push(on(full, background, rng))
    tries.push(rng.pick(SHORT).replace('{}', full), full)
  }
  tries.push(phrase(false), order.map(concept => CONCEPTS[concept].name).join(' '))
  return tries.find(text => tokenCount(text) <= MAX_TOKENS) ?? CONCEPTS[concepts[0]].name
}

/** Every word that a caption may use for a class. @returns {string[]} */
export const captionWords = () => [
  ...BACKGROUND_WORDS,
  ...CONCEPTS.flatMap(({ name, plural, synonyms }) => [name, plural, ...synonyms]),
]

/** All that captions are made of besides those words and the prompts. */
export const PHRASES = [
  ...SHORT,
  ...EMPTY,
  ...COUNTS,
  ...Object.values(PLACES).flat(),
  ...['a', 'an', 'and', ','],
]
