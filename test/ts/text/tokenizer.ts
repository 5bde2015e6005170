import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { clipEncoder, clipMerges } from '../../../ts/text/clip-merges.js'
import { BYTE_SYMBOLS } from '../../../ts/text/symbols.js'
import { defaultTokenizer, Tokenizer } from '../../../ts/text/tokenizer.js'
import { readVocabulary } from '../../../ts/text/tokenizer-files.js'
import { symbolNames } from '../../support/symbols.js'

interface Golden {
  text: string
  openai: number[]
  truncated?: boolean
  open_clip?: number[]
}

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${path}`, import.meta.url), 'utf8'))
const golden = read('tokenizer/tokens.json') as Golden[]
const { cases } = read('text-cleaning/cases.json') as { cases: Golden[] }
const styles = ['openai', 'open_clip'] as const

for (const style of styles) {
  const tokenizer = new Tokenizer({ specialTokens: style })
  t.test(`equals the reference: ${style}`, async t => {
    t.equal(golden.length, 329)
    for (const [i, { text, openai, open_clip = openai, truncated }] of golden.entries()) {
      const expected = style === 'openai' ? openai : open_clip
      const { data } = tokenizer.tokenize(text)
      t.strictSame([...data.subarray(0, expected.length)], expected, `string ${i}`)
      t.ok(data.subarray(expected.length).every(id => id === 0))
      t.equal(tokenizer.encode(text).length > 77, truncated)
    }
    for (const [i, { text, openai, open_clip = openai }] of cases.entries()) {
      const expected = style === 'openai' ? openai : open_clip
      t.strictSame(tokenizer.encode(text), [49406, ...expected, 49407], `case ${i}`)
    }
  })
}

t.test('any string gives ids of the vocabulary', async t => {
  const tokenizer = defaultTokenizer()
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const ids = tokenizer.encode(text)
      t.equal(ids[0], tokenizer.startId)
      t.equal(ids.at(-1), tokenizer.endId)
      t.ok(ids.every(id => Number.isInteger(id) && id >= 0 && id <= 49407))
    }),
  )
})

t.test('several texts are rows', async t => {
  const tokenizer = defaultTokenizer()
  const { data, shape } = tokenizer.tokenize(['cat', 'a photo of a cat.'], { contextLength: 8 })
  t.strictSame(shape, [2, 8])
  t.strictSame(
    [...data],
    [49406, 2368, 49407, 0, 0, 0, 0, 0, 49406, 320, 1125, 539, 320, 2368, 269, 49407],
  )
  t.strictSame(tokenizer.tokenize([]).shape, [0, 77])
})

t.test('a longer text is cut and ended, or refused', async t => {
  const tokenizer = defaultTokenizer()
  const { data } = tokenizer.tokenize('a photo of a cat.', { contextLength: 4 })
  t.strictSame([...data], [49406, 320, 1125, 49407])
  const exact = tokenizer.tokenize('a photo', { contextLength: 4, truncate: false })
  t.strictSame([...exact.data], [49406, 320, 1125, 49407])
  t.throws(() => tokenizer.tokenize('a photo of', { contextLength: 4, truncate: false }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /at most 4 ids .*'a photo of' with 5\./,
  })
})

t.test('the default tokenizer is shared', async t => {
  t.equal(defaultTokenizer(), defaultTokenizer('openai'))
  t.not(defaultTokenizer(), defaultTokenizer('open_clip'))
})

t.test('wrong arguments', async t => {
  const tokenizer = defaultTokenizer() as unknown as Record<string, (...args: unknown[]) => unknown>
  const wrong: [name: string, args: unknown[], message: RegExp][] = [
    ['encode', [undefined], /^text must be a string, received undefined/],
    ['encode', [5], /^text must be/],
    ['tokenize', [], /^texts must be/],
    ['tokenize', [{}], /^texts must be/],
    ['tokenize', [['a', null]], /^texts\[1\] must be/],
    ['tokenize', ['a', { contextLength: 1 }], /^contextLength must be/],
    ['tokenize', ['a', { contextLength: 77.5 }], /^contextLength must be/],
    ['tokenize', ['a', { contextLength: Number.NaN }], /^contextLength must be/],
    ['tokenize', ['a', { contextLength: 1e9 }], /^contextLength must be/],
    ['tokenize', ['a', { truncate: 'yes' }], /^truncate must be/],
  ]
  for (const [name, args, message] of wrong) {
    t.throws(() => tokenizer[name]?.(...args), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
  for (const specialTokens of ['gpt', 'toString', null]) {
    t.throws(() => new Tokenizer({ specialTokens: specialTokens as 'openai' }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message: /^specialTokens must be/,
    })
  }
})

t.test('a folder with a vocabulary of its own', async t => {
  const folder = t.testdir()
  const symbols = [...BYTE_SYMBOLS, 'ca', 'cat</w>']
  const vocab = (start: string, end: string) =>
    Object.fromEntries([...symbols, start, end].map((symbol, id) => [symbol, 2 * id]))
  const expected = [1028, 2 * symbols.indexOf('cat</w>'), 2 * symbols.indexOf('c</w>'), 1030]
  const write = (name: string, files: Record<string, string>) => {
    const path = join(folder, name)
    mkdirSync(path, { recursive: true })
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
    return path
  }
  const openai = JSON.stringify(vocab('<|startoftext|>', '<|endoftext|>'))
  const merges = '#version: 0.2\nc a\nca t</w>\n'
  const model = (merges: unknown, extra = {}) => ({
    type: 'BPE',
    end_of_word_suffix: '</w>',
    vocab: Object.fromEntries(symbols.map((symbol, id) => [symbol, 2 * id])),
    merges,
    ...extra,
  })
  const added_tokens = [
    { content: '<|startoftext|>', id: 1028 },
    { content: '<|endoftext|>', id: 1030 },
  ]

  await t.test('vocab.json and merges.txt', async t => {
    const path = write('two', { 'vocab.json': openai, 'merges.txt': merges })
    t.strictSame((await Tokenizer.fromFolder(path)).encode('Cat C'), expected)
  })

  await t.test('tokenizer.json, with merges as strings or pairs', async t => {
    const forms: unknown[] = [
      ['c a', 'ca t</w>'],
      [
        ['c', 'a'],
        ['ca', 't</w>'],
      ],
    ]
    for (const [i, form] of forms.entries()) {
      // Older files leave the type out.
      const text = JSON.stringify({
        model: model(form, i ? {} : { type: undefined }),
        added_tokens,
      })
      const tokenizer = await Tokenizer.fromFolder(write(`one-${i}`, { 'tokenizer.json': text }))
      t.strictSame(tokenizer.encode('cat c'), expected)
    }
  })

  await t.test("CLIP's own files are taken for what they are", async t => {
    const { pairs } = clipMerges()
    const names = symbolNames(pairs)
    const lines = Array.from(
      { length: pairs.length / 2 },
      (_, i) => `${names[pairs[2 * i] as number]} ${names[pairs[2 * i + 1] as number]}\n`,
    )
    const special = ['<|startoftext|>', '<|endoftext|>']
    const entries = [...names, ...special].map((name, id) => [name, id] as const)
    const line = ([name, id]: readonly [string, number], space = '') =>
      `${JSON.stringify(name)}:${space}${id}`
    const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [form, text, own] of [
      ['as published', `{${entries.map(entry => line(entry)).join(',')}}`, true],
      ['saved again', `{\n  ${sorted.map(entry => line(entry, ' ')).join(',\n  ')}\n}\n`, true],
      ['with another space', `{ ${entries.map(entry => line(entry)).join(',')}}`, false],
    ] as const) {
      const files = { 'vocab.json': text, 'merges.txt': `#version: 0.2\n${lines.join('')}` }
      const folder = write(form, files)
      const vocabulary = await readVocabulary(folder)
      t.equal(vocabulary.ids.size === 2, own, form)
      t.equal(vocabulary.encoder === clipEncoder(), own, form)
      const tokenizer = await Tokenizer.fromFolder(folder)
      for (const text of ['a photo of a Cat.', '<|endoftext|> naïve 猫', '<end_of_text>']) {
        t.strictSame(tokenizer.encode(text), defaultTokenizer().encode(text), `${form}: ${text}`)
      }
    }
  })

  await t.test("open_clip's spelling of the special tokens", async t => {
    const text = JSON.stringify(vocab('<start_of_text>', '<end_of_text>'))
    const path = write('open-clip', { 'vocab.json': text, 'merges.txt': merges })
    const tokenizer = await Tokenizer.fromFolder(path)
    t.strictSame(tokenizer.encode('<end_of_text>'), [1028, 1030, 1030])
  })

  await t.test('unusable files are named, with the place', async t => {
    const json = (file: unknown) => ({ 'tokenizer.json': JSON.stringify(file) })
    const broken: [files: Record<string, string>, message: RegExp][] = [
      [{}, /found neither/],
      [{ 'vocab.json': openai }, /found neither/],
      [{ 'vocab.json': '{"a": ', 'merges.txt': merges }, /vocab\.json.*JSON/],
      [{ 'vocab.json': '[]', 'merges.txt': merges }, /vocab\.json.*top level/],
      [{ 'vocab.json': '{"a":1.5}', 'merges.txt': merges }, /vocab\.json.*'a'.*found 1\.5/],
      [{ 'vocab.json': '{"a":1}', 'merges.txt': merges }, /vocab\.json.*symbol/],
      [{ 'vocab.json': openai, 'merges.txt': 'c a\nca' }, /merges\.txt.*line 2/],
      [{ 'vocab.json': openai, 'merges.txt': 'c x' }, /merges\.txt.*merge 1.*'cx'/],
      [
        { 'vocab.json': JSON.stringify(vocab('<s>', '</s>')), 'merges.txt': merges },
        /vocab\.json.*<\|startoftext\|>/,
      ],
      [json(null), /tokenizer\.json.*'model'/],
      [json({ model: model([], { type: 'Unigram' }) }), /model\.type.*'Unigram'/],
      [json({ model: model([], { end_of_word_suffix: null }) }), /end_of_word_suffix.*null/],
      [json({ model: model('c a') }), /model\.merges must be an array/],
      [json({ model: model([['c', 'a', 't']]) }), /model\.merges\[0\]/],
      [json({ model: model(['c a', ['c', 5]]) }), /model\.merges\[1\]/],
      [json({ model: model([], { vocab: { a: -1 } }) }), /'a' in model\.vocab/],
      [json({ model: model([]), added_tokens: {} }), /added_tokens must be an array/],
      [json({ model: model([]), added_tokens: [{ id: 1 }] }), /added_tokens\[0\]/],
      [json({ model: model([]), added_tokens: ['x'] }), /added_tokens\[0\]/],
      [json({ model: model([]), added_tokens: [{ content: 'x', id: '1' }] }), /'x' in added/],
      [json({ model: model([]), added_tokens: [] }), /<\|startoftext\|> has no id/],
    ]
    for (const [i, [files, message]] of broken.entries()) {
      const path = write(`broken-${i}`, files)
      await t.rejects(Tokenizer.fromFolder(path), { code: 'ERR_DECLIP_WEIGHTS', message })
    }
    await t.rejects(Tokenizer.fromFolder(join(folder, 'missing')), { code: 'ERR_DECLIP_WEIGHTS' })
  })

  await t.test('a file that cannot be read', async t => {
    const path = write('folder-as-file', {})
    mkdirSync(join(path, 'vocab.json'))
    await t.rejects(Tokenizer.fromFolder(path), {
      code: 'ERR_DECLIP_IO',
      message: /vocab\.json cannot be read/,
    })
  })

  await t.test('not a path', async t => {
    const fromFolder = Tokenizer.fromFolder as (folder: unknown) => Promise<Tokenizer>
    for (const folder of [undefined, 5, '']) {
      await t.rejects(fromFolder(folder), { code: 'ERR_DECLIP_INVALID_ARG' })
    }
  })
})
