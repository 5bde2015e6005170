/**
 * How often the tokenizers give other ids than the originals in Python, on 10,000 texts in many scripts.
 *
 *   node scripts/check/tokenizer-agreement.mjs [--python PYTHON] [--texts 10000] [--keep FOLDER] [--fixture FILE]
 *
 * PYTHON has the packages that scripts/check/tokenizer_reference.py names. Vocabularies: those of
 * test/fixtures/families, and larger ones that are trained here with sentencepiece on generated text. Prints a table
 * and what differs; exits with 1 if anything does. --fixture writes a part for test/ts/text/agreement.ts.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../build/common.mjs'
import { texts, trainingLines } from './tokenizer-strings.mjs'

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    texts: { type: 'string', default: '10000' },
    keep: { type: 'string' },
    fixture: { type: 'string' },
  },
})

const require = createRequire(import.meta.url)
const { FolderTokenizer } = require(join(root, 'dist/text/folder-tokenizer.js'))
const { Tokenizer } = require(join(root, 'dist/text/tokenizer.js'))

const clean = 'canonicalize'

/** Every case: the original, where its vocabulary comes from, and which of our tokenizers it is compared with. */
const CASES = [
  {
    name: 'siglip-fixture',
    folder: 'siglip-fixture',
    fixture: 'siglip-hf',
    reference: 'siglip',
    kind: 'siglip',
  },
  { name: 'siglip', folder: 'siglip', train: 'siglip', reference: 'siglip', kind: 'siglip' },
  {
    name: 'siglip2-fixture',
    folder: 'siglip2-fixture',
    fixture: 'siglip2-hf',
    reference: 'siglip2',
    kind: 'siglip2',
  },
  { name: 'siglip2-model', folder: 'gemma', train: 'gemma', reference: 'siglip2', kind: 'siglip2' },
  {
    name: 'siglip2',
    folder: 'gemma-json',
    convert: 'gemma',
    reference: 'siglip2',
    kind: 'siglip2',
  },
  {
    name: 'open_clip-siglip-fixture',
    folder: 'oc-siglip-fixture',
    fixture: 'siglip-open_clip',
    reference: 'open_clip',
    clean,
    kind: 'open_clip-folder',
  },
  {
    name: 'open_clip-siglip',
    folder: 'oc-siglip',
    convert: 'siglip',
    reference: 'open_clip',
    clean,
    kind: 'open_clip-folder',
  },
  {
    name: 'open_clip-siglip2-fixture',
    folder: 'oc-siglip2-fixture',
    fixture: 'siglip2-open_clip',
    reference: 'open_clip',
    clean,
    kind: 'open_clip-folder',
  },
  {
    name: 'open_clip-siglip2',
    folder: 'gemma-json',
    reference: 'open_clip',
    clean,
    kind: 'open_clip-folder',
  },
  {
    name: 'xlm-v-model',
    folder: 'xlm',
    train: 'xlm',
    reference: 'xlm',
    kind: 'xlm-v',
    context: 77,
  },
  {
    name: 'xlm-v',
    folder: 'xlm-json',
    convert: 'xlm',
    reference: 'xlm',
    kind: 'xlm-v',
    context: 77,
  },
  {
    name: 'open_clip-xlm-v',
    folder: 'xlm-json',
    reference: 'open_clip',
    clean: 'whitespace',
    kind: 'open_clip-folder',
    context: 77,
  },
  { name: 'tips-model', folder: 'tips', train: 'tips', reference: 'tips', kind: 'tips' },
  { name: 'tips', folder: 'tips-json', convert: 'tips', reference: 'tips', kind: 'tips' },
  {
    name: 'xlm-v-fixture',
    folder: 'xlm-fixture',
    files: { 'sentencepiece.bpe.model': 'families/siglip-hf/spiece.model' },
    reference: 'xlm',
    kind: 'xlm-v',
    context: 77,
  },
  {
    name: 'tips-fixture',
    folder: 'tips-fixture',
    files: { 'tokenizer.model': 'tokenizers/tips.model' },
    reference: 'tips',
    kind: 'tips',
  },
  {
    name: 'pe-core',
    folder: '.',
    reference: 'open_clip-simple',
    clean: 'lower',
    kind: 'clip',
    context: 32,
  },
  {
    name: 'clip-whitespace',
    folder: '.',
    reference: 'open_clip-simple',
    clean: 'whitespace',
    kind: 'clip',
    context: 72,
  },
  {
    name: 'clip-canonicalize',
    folder: '.',
    reference: 'open_clip-simple',
    clean: 'canonicalize',
    kind: 'clip',
    context: 64,
  },
].map(each => ({ context: 64, ...each }))

const fixtures = join(root, 'test/fixtures')

const work = options.keep ?? mkdtempSync(join(tmpdir(), 'tokenizers-'))
mkdirSync(work, { recursive: true })
for (const { fixture, folder, files = {} } of CASES) {
  for (const [name, from] of Object.entries(files))
    cpSync(join(fixtures, from), join(work, folder, name))
  if (!fixture || existsSync(join(work, folder))) continue
  const from = join(fixtures, 'families', fixture)
  cpSync(from, join(work, folder), {
    recursive: true,
    filter: path => !/\.safetensors$/.test(path),
  })
}
const all = texts(Number(options.texts), 20261130)
writeFileSync(
  join(work, 'work.json'),
  JSON.stringify({ texts: all, lines: trainingLines(60000, 7), cases: CASES }),
)
execFileSync(options.python, [join(root, 'scripts/check/tokenizer_reference.py'), work], {
  stdio: 'inherit',
})

let different = 0
const kept = []
for (const each of CASES) {
  const { name, folder, kind, context } = each
  writeOpenClip(each)
  const tokenizer =
    kind === 'clip'
      ? new Tokenizer({ specialTokens: 'open_clip', clean: each.clean, contextLength: context })
      : new FolderTokenizer(kind, join(work, folder), { contextLength: context })
  const wanted = new Int32Array(new Uint8Array(readFileSync(join(work, `${name}.ids`))).buffer)
  const { data } = tokenizer.tokenize(all)
  const row = (ids, i) => String(ids.subarray(i * context, (i + 1) * context))
  const wrong = all.map((_, i) => i).filter(i => row(data, i) !== row(wanted, i))
  different += wrong.length
  if (name.endsWith('-fixture'))
    kept.push({ ...each, ids: all.map((_, i) => shortened(wanted, i, context)) })
  console.log(`${name}: ${all.length - wrong.length} of ${all.length} texts the same`)
  for (const i of wrong.slice(0, 5)) {
    const trim = ids => ids.replace(/(,[01])\1+$/, '')
    console.log(
      `  ${JSON.stringify(all[i].slice(0, 200))}\n    ours ${trim(row(data, i))}\n    want ${trim(row(wanted, i))}`,
    )
  }
}
if (options.fixture) writeFileSync(options.fixture, JSON.stringify({ texts: all, cases: kept }))
if (!options.keep) rmSync(work, { recursive: true })
process.exitCode = different === 0 ? 0 : 1

/** A row without what is padding, its last id and those equal to it in front of it but one. */
function shortened(ids, i, context) {
  const row = Array.from(ids.subarray(i * context, (i + 1) * context))
  while (row.length > 1 && row.at(-1) === row.at(-2)) row.pop()
  return row
}

/** What says how open_clip cleans. */
function writeOpenClip({ kind, folder, clean }) {
  if (kind !== 'open_clip-folder') return
  const text_cfg = { hf_tokenizer_name: 'own', tokenizer_kwargs: { clean } }
  writeFileSync(
    join(work, folder, 'open_clip_config.json'),
    JSON.stringify({ model_cfg: { text_cfg } }),
  )
}
