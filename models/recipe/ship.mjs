/**
 * Makes the bundled model's files of a trained one: weights in half precision under OpenAI's names,
 * token embeddings that no caption of the training data uses set to zero, and the list of classes.
 *
 *   node models/recipe/ship.mjs --model <run>/model-average --mode maskclip [--out models/words-tiny]
 *
 * `--mode` is the dense mode that the model is used with by default.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { TEMPLATES, Tokenizer } from 'declip-native'
import { packBundledModel } from '../../scripts/build/bundled-model.mjs'
import { endWith, Failure, root } from '../../scripts/build/common.mjs'
import { CONCEPTS } from './art/concepts.mjs'
import { captionWords, PHRASES } from './scenes/captions.mjs'
import { float16File, readFloat32 } from './weights.mjs'

/** Ids of all tokens that captions and prompts are made of. */
function usedTokens() {
  const tokenizer = new Tokenizer()
  const texts = [...captionWords(), ...PHRASES, ...TEMPLATES.imagenet]
  return new Set(texts.flatMap(text => tokenizer.encode(text.replaceAll('{}', ' '))))
}

function main() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      mode: { type: 'string' },
      out: { type: 'string', default: join(root, 'models', 'words-tiny') },
    },
  })
  if (!values.model || !values.mode) throw new Failure('Say --model <folder> and --mode <mode>.')
  const used = usedTokens()
  const { tensors } = readFloat32(join(values.model, 'open_clip_model.safetensors'))
  for (const { name, shape, values } of tensors) {
    if (name !== 'token_embedding.weight') continue
    const width = shape[1]
    for (let id = 0; id < shape[0]; id++)
      if (!used.has(id)) values.fill(0, id * width, (id + 1) * width)
  }
  const metadata = { format: 'pt', license: 'apache-2.0', dense_mode: values.mode }
  packBundledModel(float16File(tensors, metadata), values.out)
  writeFileSync(join(values.out, 'classes.txt'), `${CONCEPTS.map(({ name }) => name).join('\n')}\n`)
  console.log(`${values.out}: ${tensors.length} tensors, ${used.size} tokens`)
}

try {
  main()
} catch (error) {
  endWith(error)
}
