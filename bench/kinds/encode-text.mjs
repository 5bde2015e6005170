/**
 * Text features of classes with the 80 ImageNet prompts each; other words in every run, as a
 * model keeps the features of the words it has seen.
 *
 * { model, classes, repeat }
 */
import { WORDS171 } from '../inputs.mjs'
import { check, time } from '../measure.mjs'

export async function run({ classes, repeat }, { load }) {
  const model = await load()
  await checkMean(model)
  let next = 0
  const samples = await time(
    async () => {
      const words = WORDS171.slice(next, next + classes)
      next += classes
      check(words.length === classes, `no words are left for run ${next / classes}`)
      await model.vocabulary(words, { templates: 'imagenet', background: false })
    },
    { repeat },
  )
  return { rows: [{ what: `${classes} classes x 80 prompts`, samples }] }
}

/** A word's features are the normalised mean of its prompts' normalised features. */
async function checkMean(model) {
  const templates = ['a photo of a {}.', 'a drawing of the {}.', '{}']
  const prompts = templates.map(template => template.replace('{}', 'zebra'))
  const rows = await (await model.encodeText(prompts)).data()
  const vocabulary = await model.vocabulary(['zebra'], { templates, background: false })
  const got = await vocabulary.features.data()
  const sum = got.map((_, i) => prompts.reduce((s, _, p) => s + rows[p * got.length + i], 0))
  const cosine = got.reduce((s, v, i) => s + v * sum[i], 0) / Math.hypot(...sum)
  check(Math.abs(cosine - 1) < 1e-4, `features of a word against its prompts: cosine ${cosine}`)
}
