import t from 'tap'
import { loadModel, tokenize } from '../../../ts/index.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const START = 49406
const END = 49407

t.test('ids, padding and shape', async t => {
  const ids = tokenize(['a cat', ''])
  t.same([ids.dtype, ids.shape, ids.device], ['int32', [2, 77], 'cpu'])
  const data = [...((await ids.data()) as Int32Array)]
  t.same(data.slice(0, 5), [START, 320, 2368, END, 0])
  t.same(data.slice(77, 80), [START, END, 0])
  t.same(tokenize('a cat', { contextLength: 5 }).shape, [1, 5])
})

t.test('long texts', async t => {
  const long = 'cat '.repeat(100)
  const data = [...((await tokenize(long, { contextLength: 8 }).data()) as Int32Array)]
  t.same(data, [START, 2368, 2368, 2368, 2368, 2368, 2368, END])
  t.throws(() => tokenize(long, { truncate: false }), { ...invalid, message: /77/ })
  t.same(tokenize('cat cat', { contextLength: 4, truncate: false }).shape, [1, 4], 'just fits')
  t.throws(() => tokenize('cat cat', { contextLength: 3, truncate: false }), invalid)
})

t.test('the same ids as a model of the same vocabulary', async t => {
  const model = await loadModel()
  t.teardown(() => model.dispose())
  const texts = ['A photo of a cat.', 'naïve café', '5 & 6', '']
  t.same(await model.tokenize(texts).data(), await tokenize(texts).data())
  t.throws(() => model.tokenize('cat '.repeat(100), { truncate: false }), invalid)
})

t.test('wrong texts and options', t => {
  for (const texts of [undefined, null, 5, {}, [5], ['a', undefined], Symbol('s')]) {
    t.throws(() => tokenize(texts as never), { ...invalid, message: /^texts/ })
  }
  for (const contextLength of [0, 1, -1, 1.5, Number.NaN, '77', null, 1e15]) {
    t.throws(() => tokenize('cat', { contextLength: contextLength as never }), {
      ...invalid,
      message: /^contextLength must be/,
    })
  }
  t.end()
})
