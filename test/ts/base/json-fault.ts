import fc from 'fast-check'
import t from 'tap'
import { jsonFault } from '../../../ts/base/json-fault.js'

t.test('JSON has no fault', async t => {
  fc.assert(fc.property(fc.json(), text => jsonFault(text) === undefined))
  t.equal(jsonFault(' {"a": [1e-5, -0, "\\u00e9\\n"], "b": {}} \n'), undefined)
})

t.test('what JSON.parse() refuses has one, at a place before which nothing is wrong', async t => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', ',', '}', ']', '"', ':', '0', 'x', '{'),
      (text, at, sign) => {
        const place = at % (text.length + 1)
        const changed = text.slice(0, place) + sign + text.slice(place + 1)
        let isJson = true
        try {
          JSON.parse(changed)
        } catch {
          isJson = false
        }
        const fault = jsonFault(changed)
        return isJson === (fault === undefined) && (fault?.at ?? 0) <= changed.length
      },
    ),
    { numRuns: 1000 },
  )
  t.same(jsonFault('{"a": }'), { at: 6, expected: 'a value' })
  t.same(jsonFault('{"a" 1}'), { at: 5, expected: "':'" })
  t.same(jsonFault('{,}'), { at: 1, expected: "a name in quotes or '}'" })
  t.same(jsonFault('[1,]'), { at: 3, expected: 'a value' })
  t.same(jsonFault('[1 2]'), { at: 3, expected: "',' or the closing bracket" })
  t.same(jsonFault('1 2'), { at: 2, expected: 'the end' })
})
