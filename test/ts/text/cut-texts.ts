import t from 'tap'
import { CUT_TEXT_WARNING, tokenizeOrCut } from '../../../ts/text/cut-texts.js'
import { defaultTokenizer } from '../../../ts/text/tokenizer.js'

t.test('a text that is cut is said once for each length, unless it is meant', async t => {
  const said: [string, string | undefined][] = []
  process.on('warning', ({ message, ...rest }) =>
    said.push([message, (rest as { code?: string }).code]),
  )
  const tokenizer = defaultTokenizer()
  const ids = (text: string, contextLength: number, truncate?: boolean) =>
    [...tokenizeOrCut(tokenizer, text, { contextLength, truncate }).data].map(Number)
  const long = 'a small cat on a sofa'
  const settled = () => new Promise(setImmediate)

  t.equal(ids(long, 77).indexOf(tokenizer.endId), 7)
  t.equal(ids(long, 5, true).at(-1), tokenizer.endId)
  await settled()
  t.strictSame(said, [], 'what fits, and what is meant')
  t.throws(() => ids(long, 5, false), { code: 'ERR_DECLIP_INVALID_ARG', message: /at most 5 ids/ })
  t.strictSame(ids(long, 5), ids(long, 5, true))
  t.strictSame(ids(long, 5), ids(long, 5, true))
  await settled()
  t.equal(said.length, 1)
  t.match(said[0], [
    /^A text is longer than the 5 tokens .* its end was left out/,
    CUT_TEXT_WARNING,
  ])
  ids(long, 6)
  await settled()
  t.equal(said.length, 2)
  for (const wrong of [3, null, [3]]) {
    const call = () => tokenizeOrCut(tokenizer, wrong as never, { contextLength: 5 })
    t.throws(call, { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  await settled()
  t.equal(said.length, 2, 'not for what is no text')
})
