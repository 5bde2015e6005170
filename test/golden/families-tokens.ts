// golden/families: the tokenizers that are not CLIP's, with the fixtures' own vocabularies. The stages: which of the
// texts differ, then all ids, then the same again with the files read at once.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { loadModel } from '../../ts/index.js'
import { type FolderKind, FolderTokenizer } from '../../ts/text/folder-tokenizer.js'
import { Golden } from './support.js'

const golden = new Golden('families')

const KINDS: Readonly<Record<string, FolderKind>> = {
  'siglip-tokens': 'siglip',
  'siglip2-tokens': 'siglip2',
  'siglip-open_clip-tokens': 'open_clip-folder',
  'siglip2-open_clip-tokens': 'open_clip-folder',
}

for (const [id, kind] of Object.entries(KINDS)) {
  t.test(id, async t => {
    const { weights, config } = golden.case(id)
    const folder = dirname(golden.path(weights as string))
    const contextLength = config?.['context_length'] as number
    const cases = casesOf(id)
    const text = cases.map(each => each.text)
    const ids = cases.map(each => each.ids)
    const later = new FolderTokenizer(kind, folder, { contextLength })
    await later.ready()
    t.equal(later.padId, config?.['pad_id'], 'padding')
    const rows = ({ data }: { data: Int32Array }) =>
      text.map((_, i) => Array.from(data.subarray(i * contextLength, (i + 1) * contextLength)))
    const found = rows(later.tokenize(text))
    const wrong = text.filter((_, i) => String(found[i]) !== String(ids[i]))
    t.same(wrong, [], `${text.length} texts`)
    t.same(found, ids, 'ids')
    const atOnce = new FolderTokenizer(kind, folder, { contextLength })
    t.same(rows(atOnce.tokenize(text)), ids, 'read at once')
  })
}

for (const id of ['siglip-tokens', 'siglip2-tokens']) {
  t.test(`${id}: the model's`, async t => {
    const { weights, config } = golden.case(id)
    const cases = casesOf(id)
    using model = await loadModel(dirname(golden.path(weights as string)))
    const tokens = model.tokenize(cases.map(({ text }) => text))
    t.same(tokens.shape, [cases.length, config?.['context_length']])
    t.same(
      [...((await tokens.data()) as Int32Array)],
      cases.flatMap(({ ids }) => ids),
      'ids',
    )
  })
}

function casesOf(id: string): { text: string; ids: number[] }[] {
  return JSON.parse(readFileSync(golden.path(`${id}.json`), 'utf8'))
}
