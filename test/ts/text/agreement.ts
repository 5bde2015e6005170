// A part of what scripts/check/tokenizer-agreement.mjs compares: texts in many scripts, and odd ones, by the original
// tokenizers in Python with the fixtures' vocabularies.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type FolderKind, FolderTokenizer } from '../../../ts/text/folder-tokenizer.js'

interface Case {
  name: string
  kind: FolderKind
  context: number
  /** A folder of test/fixtures/families. */
  fixture?: string
  /** Or files by name, from test/fixtures. */
  files?: Record<string, string>
  clean?: string
  /** Rows; the last id fills the rest. */
  ids: number[][]
}

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const { texts, cases } = JSON.parse(
  readFileSync(join(fixtures, 'tokenizers/agreement.json'), 'utf8'),
) as { texts: string[]; cases: Case[] }

for (const { name, kind, context, fixture, files = {}, clean, ids } of cases) {
  t.test(name, async t => {
    const folder = join(t.testdir({}), 'vocabulary')
    mkdirSync(folder)
    if (fixture) {
      const filter = (path: string) => !path.endsWith('.safetensors')
      cpSync(join(fixtures, 'families', fixture), folder, { recursive: true, filter })
    }
    for (const [to, from] of Object.entries(files)) cpSync(join(fixtures, from), join(folder, to))
    if (clean) {
      const text_cfg = { hf_tokenizer_name: 'own', tokenizer_kwargs: { clean } }
      const config = JSON.stringify({ model_cfg: { text_cfg } })
      writeFileSync(join(folder, 'open_clip_config.json'), config)
    }
    const tokenizer = new FolderTokenizer(kind, folder, { contextLength: context })
    await tokenizer.ready()
    const { data } = tokenizer.tokenize(texts)
    for (const [i, expected] of ids.entries()) {
      const row = Array.from({ length: context }, (_, at) => expected[at] ?? expected.at(-1))
      t.same([...data.subarray(i * context, (i + 1) * context)], row, JSON.stringify(texts[i]))
    }
  })
}
