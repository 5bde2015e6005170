/**
 * Makes a trained detector's files part of the bundled model's folder: heads, packed as the model is, and the index.
 *
 *   node models/recipe/detector/ship.mjs --detector <work folder>/detector [--out models/words-tiny]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packBundledModel } from '../../../scripts/build/bundled-model.mjs'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'
import { writeWhole } from '../../../scripts/build/packed.mjs'
import { HEADS, INDEX, indexOf } from './files.mjs'

try {
  const { values } = parseArgs({
    options: {
      detector: { type: 'string' },
      out: { type: 'string', default: join(root, 'models', 'words-tiny') },
    },
  })
  if (!values.detector) throw new Failure('Say --detector <folder>.')
  const heads = readFileSync(join(values.detector, HEADS))
  packBundledModel(heads, values.out, HEADS)
  writeWhole(
    join(values.out, INDEX),
    indexOf(heads, readFileSync(join(values.out, 'model.safetensors'))),
  )
  console.log(`${values.out}: ${heads.length} bytes of heads`)
} catch (error) {
  endWith(error)
}
