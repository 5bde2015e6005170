import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { aborted, DeclipError, describe, invalid, toDeclipError } from '../../ts/errors.js'
import { ERROR_CODES } from '../../ts/index.js'

const tests = join(dirname(fileURLToPath(import.meta.url)), '..')

t.test('every code is expected by a test of whatever produces it', t => {
  const sources = ['ts', 'lifetime', 'golden', 'property'].flatMap(folder =>
    readdirSync(join(tests, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => /\.[jt]s$/.test(name) && !/(^errors|\.d)\.[jt]s$/.test(name))
      .map(name => readFileSync(join(tests, folder, name), 'utf8')),
  )
  for (const code of ERROR_CODES) {
    t.ok(
      sources.some(text => text.includes(`'${code}'`)),
      code,
    )
  }
  t.end()
})

t.test('DeclipError', t => {
  const cause = new Error('below')
  const error = new DeclipError('ERR_DECLIP_IO', 'above', { cause })
  t.ok(error instanceof Error)
  t.match(error, { name: 'DeclipError', code: 'ERR_DECLIP_IO', message: 'above', cause })
  t.equal(new DeclipError('ERR_DECLIP_ABORTED', '').name, 'AbortError')
  t.equal(new Set(ERROR_CODES).size, ERROR_CODES.length)
  t.end()
})

t.test('as plain data and back', t => {
  const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError')
  const io = Object.assign(new Error('no such file', { cause: 'why' }), { code: 'ENOENT' })
  for (const cause of [undefined, reason, io, 'text', 5, true, null]) {
    const error = new DeclipError(
      'ERR_DECLIP_ABORTED',
      'over',
      cause === undefined ? {} : { cause },
    )
    const json = JSON.parse(JSON.stringify(error))
    t.same(structuredClone(error.toJSON()), json)
    const again = DeclipError.fromJSON(json)
    t.ok(again instanceof DeclipError)
    const { name, code, message } = error
    t.same([again.name, again.code, again.message], [name, code, message])
    t.same(again.toJSON(), json)
    t.equal(again.cause instanceof Error, cause instanceof Error)
    if (cause instanceof Error) t.equal((again.cause as Error).name, cause.name)
    else t.equal(again.cause, cause)
  }
  t.match(JSON.parse(JSON.stringify(new DeclipError('ERR_DECLIP_IO', 'above', { cause: io }))), {
    name: 'DeclipError',
    code: 'ERR_DECLIP_IO',
    message: 'above',
    cause: { name: 'Error', code: 'ENOENT', message: 'no such file', cause: 'why' },
  })
  t.notMatch(JSON.stringify(new DeclipError('ERR_DECLIP_IO', 'above')), /stack|errors\.ts/)
  t.end()
})

t.test('an error of another realm', t => {
  const cause = runInNewContext("Object.assign(new RangeError('elsewhere'), { code: 'E' })")
  const error = new DeclipError('ERR_DECLIP_IO', 'above', { cause })
  t.match(error.toJSON().cause, { name: 'RangeError', message: 'elsewhere', code: 'E' })
  t.end()
})

t.test('odd causes and odd data', t => {
  const circle = new Error('round')
  circle.cause = circle
  const cases = [circle, 5n, Symbol('s'), Number.NaN, () => {}, { plain: true }, new Map()]
  for (const cause of cases) {
    const error = new DeclipError('ERR_DECLIP_IO', 'above', { cause })
    t.same(DeclipError.fromJSON(JSON.parse(JSON.stringify(error))).message, 'above')
    t.same(structuredClone(error.toJSON()), error.toJSON())
  }
  const newer = { name: 'DeclipError', code: 'ERR_DECLIP_NEWER', message: 'of another release' }
  t.match(DeclipError.fromJSON(newer), { code: 'ERR_DECLIP_INTERNAL', message: newer.message })
  for (const wrong of [undefined, null, 'text', {}, { message: 'only' }]) {
    t.throws(() => DeclipError.fromJSON(wrong as never), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  t.end()
})

t.test('toDeclipError', t => {
  const own = new DeclipError('ERR_DECLIP_WEIGHTS', 'kept')
  t.equal(toDeclipError(own), own)
  const native = Object.assign(new Error('from below'), { code: 'ERR_DECLIP_DEVICE' })
  t.match(toDeclipError(native), {
    code: 'ERR_DECLIP_DEVICE',
    message: 'from below',
    cause: native,
  })
  t.equal(toDeclipError(Object.assign(new Error(), { code: 'ENOENT' })).code, 'ERR_DECLIP_INTERNAL')
  for (const thrown of [undefined, null, 'text', 5, Symbol('s'), {}]) {
    t.match(toDeclipError(thrown), { code: 'ERR_DECLIP_INTERNAL', message: String(thrown) })
  }
  t.end()
})

t.test('invalid and aborted', t => {
  t.match(invalid('stride', '1 to 9', 10), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: 'stride must be 1 to 9, received 10.',
  })
  const signal = AbortSignal.abort('why')
  t.match(aborted(signal), { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause: 'why' })
  t.end()
})

t.test('describe is short and never throws', t => {
  class Thing {}
  const cases: [unknown, string][] = [
    ['text', "'text'"],
    ['x'.repeat(100), `'${'x'.repeat(57)}...'`],
    [undefined, 'undefined'],
    [null, 'null'],
    [Number.NaN, 'NaN'],
    [5n, '5'],
    [Symbol('s'), 'Symbol(s)'],
    [() => {}, 'a function'],
    [[1, 2], 'an array of 2'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [new Thing(), 'an instance of Thing'],
    [new Uint8Array(3), 'an instance of Uint8Array'],
  ]
  for (const [value, text] of cases) t.equal(describe(value), text)
  t.end()
})
