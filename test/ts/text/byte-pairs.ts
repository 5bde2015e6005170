import t from 'tap'
import { BytePairEncoder } from '../../../ts/text/byte-pairs.js'
import { clipMerges } from '../../../ts/text/clip-merges.js'
import type { Merge } from '../../../ts/text/symbols.js'
import { symbolNames } from '../../support/symbols.js'

const table = clipMerges()
const symbols = symbolNames(table.pairs)
const ids = new Map(symbols.map((symbol, id) => [symbol, id]))
const merges = Array.from(table.joined, (_, rank) =>
  [0, 1].map(side => symbols[table.pairs[2 * rank + side] as number] as string),
) as unknown as Merge[]

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

t.test('equals a slow reference', async t => {
  const encoder = new BytePairEncoder(table)
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
  const encoder = new BytePairEncoder(table)
  const before = [...encoder.encode('cat')]
  for (let i = 0; i < 20000; i++) encoder.encode(`w${i}`)
  t.strictSame([...encoder.encode('cat')], before)
})

t.test('a word of 100,000 letters does not take quadratic time', async t => {
  const random = randomIntegers(26)
  const word = Array.from({ length: 100_000 }, () =>
    String.fromCharCode(97 + (random.next().value as number)),
  ).join('')
  const encoder = new BytePairEncoder(table)
  // In quadratic time the test would not end before its time limit.
  const encoded = encoder.encode(word)
  const text = Array.from(encoded, id => symbols[id]).join('')
  t.equal(text, `${word}</w>`)
})
