import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { DeclipError } from '../../../ts/errors.js'
import { type FolderKind, FolderTokenizer } from '../../../ts/text/folder-tokenizer.js'
import { gemmaJson, PAIRS, sentencePieceFile, UNIGRAM } from '../../support/pieces.js'

const KINDS: readonly FolderKind[] = ['siglip', 'siglip2', 'open_clip-folder', 'xlm-v', 'tips']

const unigram = sentencePieceFile(UNIGRAM)
const pairs = sentencePieceFile(PAIRS, { algorithm: 2, byteFallback: true })

function opened(folder: string, kind: FolderKind, contextLength = 8) {
  return new FolderTokenizer(kind, folder, { contextLength })
}

function errorOf(work: () => unknown): DeclipError {
  try {
    work()
  } catch (error) {
    return error as DeclipError
  }
  throw new Error('nothing was thrown')
}

t.test('nothing is read before words are needed, and then once', async t => {
  const folder = t.testdir({ 'spiece.model': unigram })
  const tokenizer = opened(folder, 'siglip')
  t.equal(tokenizer.contextLength, 8)
  writeFileSync(join(folder, 'spiece.model'), sentencePieceFile([...UNIGRAM, ['▁bird', -1]]))
  const bird = UNIGRAM.length
  t.same(tokenizer.encode('bird'), [bird, 1], 'the file as it is now')
  writeFileSync(join(folder, 'spiece.model'), 'gone')
  await tokenizer.ready()
  t.same(tokenizer.encode('bird'), [bird, 1])
})

t.test('ready() reads once, for all who wait', async t => {
  const tokenizer = opened(t.testdir({ 'spiece.model': unigram }), 'siglip')
  await Promise.all([tokenizer.ready(), tokenizer.ready()])
  t.same([...tokenizer.tokenize('a cat').data], [3, 4, 1, 1, 1, 1, 1, 1])
  t.same(tokenizer.tokenize([]).shape, [0, 8])
})

t.test('a file that comes later is found', async t => {
  const folder = t.testdir({})
  const tokenizer = opened(folder, 'siglip')
  await t.rejects(tokenizer.ready(), { code: 'ERR_DECLIP_WEIGHTS', message: /spiece\.model/ })
  writeFileSync(join(folder, 'spiece.model'), unigram)
  await tokenizer.ready()
  t.same(tokenizer.encode('cat'), [4, 1])
})

t.test('the same whether read at once or in turns', async t => {
  const folder = t.testdir({ 'tokenizer.json': gemmaJson() })
  const later = opened(folder, 'siglip2')
  await later.ready()
  for (const text of ['a cat', '', 'Cat\n\nCAT', 'zażółć 🐈', '<eos>', '<EOS>', ' ▁▁ ']) {
    t.same(later.encode(text), opened(folder, 'siglip2').encode(text), JSON.stringify(text))
  }
})

t.test('long texts are cut and end as the model wants', t => {
  const cases: readonly [FolderKind, string, Buffer | string, number[]][] = [
    ['siglip', 'spiece.model', unigram, [3, 3, 3, 1]],
    ['siglip2', 'tokenizer.json', gemmaJson(), [266, 265, 266, 1]],
    ['tips', 'spiece.model', unigram, [3, 3, 3, 3]],
    ['xlm-v', 'sentencepiece.bpe.model', unigram, [0, 4, 4, 2]],
  ]
  for (const [kind, name, file, expected] of cases) {
    const tokenizer = opened(t.testdir({ [name]: file }), kind, 4)
    const { data, shape } = tokenizer.tokenize(['a a a a a a a a a'])
    t.same([...data], expected, kind)
    t.same(shape, [1, 4])
    const error = errorOf(() => tokenizer.tokenize('a a a a a a a', { truncate: false }))
    t.equal(error.code, 'ERR_DECLIP_INVALID_ARG')
    t.match(error.message, /at most 4 ids \(contextLength\)/)
  }
  t.end()
})

t.test('rows are padded with the padding id of the kind', t => {
  const cases: readonly [FolderKind, string, Buffer | string, number][] = [
    ['siglip', 'spiece.model', unigram, 1],
    ['siglip2', 'tokenizer.json', gemmaJson(), 0],
    ['tips', 'tokenizer.model', pairs, 0],
    ['xlm-v', 'sentencepiece.bpe.model', unigram, 1],
  ]
  for (const [kind, name, file, padId] of cases) {
    const tokenizer = opened(t.testdir({ [name]: file }), kind, 32)
    t.equal(tokenizer.padId, padId, kind)
    t.equal(tokenizer.tokenize('a').data.at(-1), padId, kind)
  }
  t.end()
})

t.test('a text tower that does not fit', t => {
  const folder = t.testdir({ 'sentencepiece.bpe.model': unigram })
  const of = (vocab: number, endToken: number | null) =>
    new FolderTokenizer('xlm-v', folder, { contextLength: 8, tower: { vocab, endToken } })
  t.same(of(100, 2).encode('cat'), [0, 5, 2])
  const other = errorOf(() => of(100, 7).encode('cat'))
  t.equal(other.code, 'ERR_DECLIP_WEIGHTS')
  t.match(other.message, /pools token 7, and the tokenizer in .* ends a text with 2/)
  t.same([...of(6, 2).tokenize('cat').data.subarray(0, 3)], [0, 5, 2], 'ids that the table has')
  const outside = errorOf(() => of(6, 2).tokenize('dog'))
  t.equal(outside.code, 'ERR_DECLIP_WEIGHTS')
  t.match(outside.message, /gave the id 6, and the text tower's table ends at 5/)
  t.end()
})

t.test('the key tells files and cleanings apart', t => {
  const folder = t.testdir({ 'spiece.model': unigram, 'tokenizer.json': gemmaJson() })
  const of = (kind: FolderKind, clean?: string) =>
    new FolderTokenizer(kind, folder, { contextLength: 8, clean }).key
  t.equal(of('siglip'), `siglip spiece.model ${unigram.length}`)
  t.equal(of('siglip2'), of('siglip'), 'the files say which of the two it is')
  t.not(of('open_clip-folder', 'lower'), of('open_clip-folder', 'canonicalize'))
  t.not(of('tips'), of('siglip'))
  t.end()
})

t.test('what is no text', t => {
  const tokenizer = opened(t.testdir({ 'spiece.model': unigram }), 'siglip')
  const wrong: unknown[] = [undefined, null, 7, {}, ['a', 7], [null]]
  for (const texts of wrong) {
    t.equal(errorOf(() => tokenizer.tokenize(texts as string)).code, 'ERR_DECLIP_INVALID_ARG')
  }
  t.equal(errorOf(() => tokenizer.encode(7 as unknown as string)).code, 'ERR_DECLIP_INVALID_ARG')
  t.same(tokenizer.encode('\ud83d'), tokenizer.encode('\ufffd'), 'half a character')
  t.end()
})

t.test('files that are damaged', t => {
  const model = (change: object) => gemmaJson({}, change)
  const cases: readonly [file: string, content: Buffer | string, message: RegExp][] = [
    ['tokenizer.json', '', /must hold an object 'model'|ends in the middle|unexpected end/],
    ['tokenizer.json', 'version https://git-lfs.github.com/spec/v1', /must hold an object 'model'/],
    ['tokenizer.json', '<!doctype html>', /must hold an object 'model'/],
    ['tokenizer.json', '[]', /must hold an object 'model'/],
    ['tokenizer.json', gemmaJson().slice(0, -40), /ends in the middle|unexpected/],
    ['tokenizer.json', gemmaJson().replace('"vocab":', '"vocab" '), /unexpected/],
    ['tokenizer.json', model({ type: 'WordPiece' }), /model\.type must be 'BPE' or 'Unigram'/],
    ['tokenizer.json', model({ vocab: [] }), /model\.vocab must be an object/],
    ['tokenizer.json', model({ vocab: 7 }), /model\.vocab must be an object/],
    ['tokenizer.json', model({ vocab: { a: -1 } }), /the id of 'a' in model\.vocab/],
    ['tokenizer.json', model({ vocab: { a: 2 ** 31 } }), /must be an integer from 0 to 16777215/],
    ['tokenizer.json', model({ vocab: { a: 1.5 } }), /found 1\.5/],
    ['tokenizer.json', model({ merges: [['▁', 'q', 'x']] }), /merges\[0\] must be two pieces/],
    ['tokenizer.json', model({ merges: [7] }), /merges\[0\] must be two pieces/],
    ['tokenizer.json', model({ merges: ['q x'] }), /needs the piece 'qx', which has no id/],
    ['tokenizer.json', model({ unk_token: '<none>' }), /unk_token '<none>' is not/],
    ['tokenizer.json', model({ dropout: 0.1 }), /model\.dropout must be null, found 0\.1/],
    ['tokenizer.json', model({ end_of_word_suffix: '</w>' }), /end_of_word_suffix must be null/],
    ['tokenizer.json', gemmaJson({ normalizer: { type: 'Nonsense' } }), /Nonsense/],
    ['tokenizer.json', gemmaJson({ normalizer: 'NFKC' }), /normalizer must be an object/],
    ['tokenizer.json', gemmaJson({ pre_tokenizer: { type: 'Nonsense' } }), /Nonsense/],
    ['tokenizer.json', gemmaJson({ added_tokens: 7 }), /added_tokens must be a list/],
    ['tokenizer.json', gemmaJson({ added_tokens: [{ id: 1 }] }), /added_tokens\[0\] must have/],
    ['tokenizer.json', gemmaJson({ added_tokens: [{ id: -1, content: 'x' }] }), /the id of 'x'/],
    [
      'tokenizer.json',
      gemmaJson({ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }),
      /precompiled_charsmap has 3 bytes/,
    ],
    ['spiece.model', '', /it has no pieces/],
    ['spiece.model', 'version https://git-lfs.github.com/spec/v1', /./],
    ['spiece.model', unigram.subarray(0, 100), /./],
    ['spiece.model', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), /./],
    ['spiece.model', Buffer.concat([unigram, Buffer.from([0x0b])]), /./],
    ['spiece.model', pairs, /model_type must be unigram, found bpe/],
    ['spiece.model', sentencePieceFile(UNIGRAM, { algorithm: 4 }), /unigram or bpe, found 'char'/],
    ['spiece.model', sentencePieceFile(UNIGRAM, { suffix: true }), /treat_whitespace_as_suffix/],
    ['spiece.model', sentencePieceFile(UNIGRAM, { escapeSpaces: false }), /escape_whitespaces/],
    ['spiece.model', sentencePieceFile([['a', Number.NaN]]), /score of a piece is NaN/],
    ['spiece.model', sentencePieceFile([['a', -1, 9]]), /type of a piece is 9/],
    ['spiece.model', sentencePieceFile([['a', -1]]), /none of its pieces is the unknown one/],
    ['spiece.model', sentencePieceFile([['<unk>', 0, 2]]), /no normal pieces/],
    ['spiece.model', sentencePieceFile(UNIGRAM, { byteFallback: true }), /no piece <0x00>/],
    [
      'spiece.model',
      sentencePieceFile(UNIGRAM, { charsmap: Buffer.from([255, 255, 255, 255, 1]) }),
      /precompiled_charsmap/,
    ],
  ]
  for (const [name, content, message] of cases) {
    const folder = t.testdir({ [name]: content })
    const error = errorOf(() => opened(folder, 'siglip').encode('cat'))
    t.equal(error.code, 'ERR_DECLIP_WEIGHTS', String(message))
    t.match(error.message, message)
    t.match(error.message, name, 'the file is named')
  }
  t.end()
})

t.test('a damaged file gives an error or ids, whatever is changed in it', t => {
  let state = 1
  const below = (n: number) => {
    state = (state * 48271) % 2147483647
    return state % n
  }
  for (const [name, whole] of [
    ['spiece.model', unigram],
    ['tokenizer.json', Buffer.from(gemmaJson())],
  ] as const) {
    for (let i = 0; i < 60; i++) {
      const file = Buffer.from(whole)
      for (let n = 0; n <= below(4); n++) file[below(file.length)] = below(256)
      const cut = below(3) === 0 ? file.subarray(0, below(file.length)) : file
      const folder = t.testdir({ [name]: cut })
      try {
        opened(folder, 'siglip').tokenize('a cat and 2 dogs')
      } catch (error) {
        if ((error as DeclipError).code === 'ERR_DECLIP_WEIGHTS') continue
        t.fail(`${name} ${i}: ${String(error)}`)
      }
    }
  }
  t.end()
})

t.test('what beside the vocabulary is no JSON is named', t => {
  for (const name of ['tokenizer_config.json', 'special_tokens_map.json']) {
    const folder = t.testdir({ 'spiece.model': unigram, [name]: '{' })
    t.match(errorOf(() => opened(folder, 'siglip').encode('a')).message, name)
  }
  t.end()
})

t.test('without a vocabulary', async t => {
  for (const kind of KINDS) {
    const tokenizer = opened(t.testdir({}), kind)
    const error = errorOf(() => tokenizer.encode('a'))
    t.equal(error.code, 'ERR_DECLIP_WEIGHTS')
    t.match(error.message, /Expected the tokenizer's vocabulary in .*found none/)
    await t.rejects(tokenizer.ready(), { code: 'ERR_DECLIP_WEIGHTS' })
  }
  const folder = t.testdir({ 'spiece.model': {} })
  t.equal(errorOf(() => opened(folder, 'siglip').encode('a')).code, 'ERR_DECLIP_IO', 'a folder')
})

t.test('a megabyte of text takes time in proportion', t => {
  const parts = ['a', 'cats and dogs ', ' ', '</s>', '漢', 'e\u0301']
  for (const [kind, name, file] of [
    ['siglip', 'spiece.model', unigram],
    ['siglip2', 'tokenizer.json', gemmaJson()],
    ['tips', 'tokenizer.model', pairs],
    ['xlm-v', 'sentencepiece.bpe.model', unigram],
  ] as const) {
    const tokenizer = opened(t.testdir({ [name]: file }), kind)
    const time = (part: string, length: number) => {
      const text = part.repeat(length / part.length)
      const begun = performance.now()
      tokenizer.tokenize(text)
      return performance.now() - begun
    }
    for (const part of parts) {
      time(part, 1 << 11)
      const [short, long] = [time(part, 1 << 13), time(part, 1 << 16)]
      // Eight times the text; 64 times the time would be quadratic.
      t.ok(long < 30 * short + 500, `${kind} ${part}: ${short | 0} and ${long | 0} ms`)
    }
    time('cats ', 1 << 20)
  }
  t.end()
})
