import t from 'tap'
import {
  BytePairEncoder,
  clipMerges,
  clipSymbols,
  type Merge,
  parseMerges,
} from '../../../ts/text/byte-pairs.js'

const merges = clipMerges()
const symbols = clipSymbols(merges)
const ids = new Map(symbols.map((symbol, id) => [symbol, id]))

/** Byte-pair encoding as in the paper: on strings, looking at every merge in turn. */
function slowEncode(word: string, merges: readonly Merge[]): string[] {
  const printable = (byte: number) => /[!-~¡-¬®-ÿ]/.test(String.fromCharCode(byte))
  const hidden = [...Array(256).keys()].filter(byte => !printable(byte))
  let parts = [...Buffer.from(word)].map(byte =>
    printable(byte) ? String.fromCharCode(byte) : String.fromCharCode(256 + hidden.indexOf(byte)),
  )
  parts.push(`${parts.pop()}</w>`)
  for (const [left, right] of merges) {
    if (!parts.includes(left)) continue
    const joined: string[] = []
    for (const part of parts) {
      if (part === right && joined.at(-1) === left) joined[joined.length - 1] = left + right
      else joined.push(part)
    }
    parts = joined
  }
  return parts
}

/** Park and Miller's generator, so that a failure can be seen again. */
function* randomIntegers(below: number, seed = 1) {
  for (let state = seed; ; ) {
    state = (state * 48271) % 2147483647
    yield state % below
  }
}

t.test("CLIP's vocabulary", async t => {
  t.equal(merges.length, 48894)
  t.strictSame(merges[0], ['i', 'n'])
  t.equal(symbols.length, 49406)
  t.equal(new Set(symbols).size, symbols.length)
  t.equal(ids.get('!'), 0)
  t.equal(ids.get('cat</w>'), 2368)
})

t.test('equals a slow reference', async t => {
  const encoder = new BytePairEncoder(ids, merges)
  const alphabets = [
    'aeinrst',
    'abcdefghijklmnopqrstuvwxyz',
    'aàéñßöøž',
    '日本語漢字',
    '!?.,-',
    '😀🏽é',
  ]
  const random = randomIntegers(1 << 16)
  const next = () => random.next().value as number
  const words = ['a', 'aa', 'aaa', 'aaaaaaaa', 'antidisestablishmentarianism']
  for (let i = 0; i < 60; i++) {
    const alphabet = [...(alphabets[i % alphabets.length] as string)]
    const pick = () => alphabet[next() % alphabet.length]
    words.push(Array.from({ length: 1 + (next() % 24) }, pick).join(''))
  }
  for (const word of words) {
    const expected = slowEncode(word, merges).map(part => ids.get(part))
    t.strictSame([...encoder.encode(word)], expected, word)
    t.strictSame([...encoder.encode(word)], expected, `${word}, again`)
  }
})

t.test('forgets old words, keeps their ids', async t => {
  const encoder = new BytePairEncoder(ids, merges)
  const before = [...encoder.encode('cat')]
  for (let i = 0; i < 20000; i++) encoder.encode(`w${i}`)
  t.strictSame([...encoder.encode('cat')], before)
})

t.test('a word of 100,000 letters does not take quadratic time', async t => {
  const random = randomIntegers(26)
  const word = Array.from({ length: 100_000 }, () =>
    String.fromCharCode(97 + (random.next().value as number)),
  ).join('')
  const encoder = new BytePairEncoder(ids, merges)
  // In quadratic time the test would not end before its time limit.
  const encoded = encoder.encode(word)
  const text = Array.from(encoded, id => symbols[id]).join('')
  t.equal(text, `${word}</w>`)
})

t.test('merges files', async t => {
  t.strictSame(parseMerges('#version: 0.2\na b\r\nab c</w>\n\n'), [
    ['a', 'b'],
    ['ab', 'c</w>'],
  ])
  t.strictSame(parseMerges('# 1</w>'), [['#', '1</w>']])
  for (const line of ['ab', ' b', 'a ', 'a b c']) {
    t.throws(() => parseMerges(`#version\n${line}`), { message: /^line 2 / }, line)
  }
})

t.test('a symbol without an id is named', async t => {
  t.throws(() => new BytePairEncoder(ids, [['a', 'zzzz']]), { message: /merge 1 .*'azzzz'/ })
  t.throws(() => new BytePairEncoder(new Map(), []), { message: /a byte needs the symbol/ })
})

t.test('a missing file of the package is named', async t => {
  const { clipMerges } = await t.mockImport<typeof import('../../../ts/text/byte-pairs.js')>(
    '../../../ts/text/byte-pairs.js',
    { '../../../ts/base/package-files.js': { assetPath: (name: string) => `missing/${name}` } },
  )
  t.throws(() => clipMerges(), {
    code: 'ERR_DECLIP_IO',
    message: /missing\/clip-merges\.txt\.gz.*Install declip-native again/,
  })
})
