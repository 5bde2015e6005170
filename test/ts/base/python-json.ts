import t from 'tap'
import { parsePythonJson } from '../../../ts/base/python-json.js'

t.test('numbers that Python writes', async t => {
  const text = '{"a": [NaN, -Infinity, Infinity, 1], "b": "NaN \\" Infinity", "cNaN": 2}'
  const rest = { b: 'NaN " Infinity', cNaN: 2 }
  t.same(
    parsePythonJson(text, () => null),
    { a: [null, null, null, 1], ...rest },
  )
  t.same(
    parsePythonJson(text, number => number),
    { a: ['NaN', '-Infinity', 'Infinity', 1], ...rest },
  )
})

t.test('what else is no JSON is refused', async t => {
  t.throws(() => parsePythonJson('{"a": NaN,}', () => null), SyntaxError)
  t.throws(() => parsePythonJson('{a: 1}', () => null), SyntaxError)
  t.throws(() => parsePythonJson('', () => null), SyntaxError)
})
