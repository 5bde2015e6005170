import { runInNewContext } from 'node:vm'
import t from 'tap'
import { DeclipError, Tensor, type TensorData } from '../../../ts/index.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }

t.test('what goes in comes out', async t => {
  const cases: [TensorData | Uint8ClampedArray, string][] = [
    [new Float32Array([1.5, -2, Number.POSITIVE_INFINITY, 1e-40]), 'float32'],
    [new Uint8Array([0, 1, 254, 255]), 'uint8'],
    [new Uint8ClampedArray([0, 1, 254, 255]), 'uint8'],
    [new Uint16Array([0, 1, 65534, 65535]), 'uint16'],
    [new Int32Array([-(2 ** 31), -1, 0, 2 ** 31 - 1]), 'int32'],
    [new BigInt64Array([-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n]), 'int64'],
  ]
  for (const [data, dtype] of cases) {
    using tensor = Tensor.from(data, [2, 2])
    t.same([tensor.dtype, tensor.shape, tensor.device], [dtype, [2, 2], 'cpu'])
    t.same([...(await tensor.data())], [...data], dtype)
  }
})

t.test('arrays of another realm', async t => {
  using tensor = Tensor.from(runInNewContext('Float32Array.of(1, 2)'), [2])
  t.same([...(await tensor.data())], [1, 2])
})

t.test('from() copies', async t => {
  const data = new Float32Array([1, 2, 3])
  const tensor = Tensor.from(data, [3])
  data.fill(9)
  const out = (await tensor.data()) as Float32Array
  t.same([...out], [1, 2, 3])
  out.fill(9)
  t.same([...(await tensor.data())], [1, 2, 3])
})

t.test('views of larger, shared, resizable and detached buffers', async t => {
  const bytes = new Uint8Array([9, 9, 1, 2, 3, 9]).subarray(2, 5)
  t.same([...(await Tensor.from(bytes, [3]).data())], [1, 2, 3], 'a part of a buffer')

  const shared = new Float32Array(new SharedArrayBuffer(8))
  shared.set([4, 5])
  t.same([...(await Tensor.from(shared, [2]).data())], [4, 5], 'shared memory')

  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(length: number): void }
  const buffer = new Resizable(16, { maxByteLength: 16 })
  const whole = new Float32Array(buffer)
  const fixed = new Float32Array(buffer, 0, 4)
  buffer.resize(8)
  t.same(Tensor.from(whole, [2]).shape, [2], 'as long as the buffer is now')
  t.throws(() => Tensor.from(whole, [4]), invalid)
  t.throws(() => Tensor.from(fixed, [4]), invalid, 'beyond its buffer')

  const detached = new Float32Array(4)
  structuredClone(detached, { transfer: [detached.buffer] })
  t.throws(() => Tensor.from(detached, [4]), invalid)
})

t.test('wrong data', async t => {
  const wrong = [
    undefined,
    null,
    5,
    'abc',
    [1, 2],
    {},
    new Float64Array(2),
    new BigUint64Array(2),
    new DataView(new ArrayBuffer(8)),
    new ArrayBuffer(8),
    Object.create(Float32Array.prototype),
  ]
  for (const data of wrong) {
    t.throws(() => Tensor.from(data as never, [2]), { name: /DeclipError|TypeError/ })
  }
  t.throws(() => Tensor.from(new Float64Array(2) as never, [2]), {
    ...invalid,
    message: /^data must be a Float32Array, .* received an instance of Float64Array\.$/,
  })
})

t.test('wrong shapes', async t => {
  const two = new Float32Array(2)
  const wrong = [undefined, null, 2, '2', {}, [3], ['2'], [-1, -2], [Number.NaN], [0.5, 4], [2n]]
  for (const shape of wrong) {
    t.throws(() => Tensor.from(two, shape as never), { ...invalid, message: /^shape must be/ })
  }
  const none = new Float32Array(0)
  const huge = Number.MAX_SAFE_INTEGER
  t.throws(() => Tensor.from(none, [huge, huge, 0]), DeclipError, 'the product overflows')
  t.throws(() => Tensor.from(none, [0, huge, huge]), DeclipError, 'the strides overflow')

  t.same(Tensor.from(none, [0]).shape, [0])
  t.same([...(await Tensor.from(none, [3, 0, 2]).data())], [])
  t.same(Tensor.from(new Float32Array(1), []).shape, [], 'a scalar')
  const proxy = new Proxy([2], {})
  t.same(Tensor.from(two, proxy).shape, [2], 'a list behind a proxy is a list')
  let reads = 0
  const changing = new Proxy([2], {
    get: (list, key) => (key === '0' && ++reads > 4 ? 1e9 : Reflect.get(list, key)),
  })
  for (let i = 0; i < 8; i++) {
    reads = i
    try {
      t.same(Tensor.from(two, changing).shape, [2], 'a list that changes while it is read')
    } catch (error) {
      t.match(error, invalid)
    }
  }
})

t.test('slice', async t => {
  using tensor = Tensor.from(
    Int32Array.from({ length: 24 }, (_, i) => i),
    [2, 3, 4],
  )
  const values = async (part: Tensor) => [...((await part.data()) as Int32Array)]
  t.same(await values(tensor.slice(1)), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
  t.same(await values(tensor.slice(0, 1, 1)), [0, 1, 2, 3, 12, 13, 14, 15])
  t.same(await values(tensor.slice(1, 3, 2)), [1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22])
  t.same(tensor.slice(2, 2).shape, [0, 3, 4])
  t.same(await values(tensor.slice(1).slice(2, 3, 1).slice(3, 4, 2)), [23], 'slices of slices')
  for (const [start, end] of [[-1], [3], [1, 0], [0, 3], [0.5], [Number.NaN], ['0'], [null]]) {
    t.throws(() => tensor.slice(start as never, end as never), {
      ...invalid,
      message: /^start and end must be whole numbers, 0 to 2/,
    })
  }
  for (const dim of [-1, 3, 0.5, Number.NaN, '0', 'length', null]) {
    t.throws(() => tensor.slice(0, 1, dim as never), { ...invalid, message: /^dim must be 0 to 2/ })
  }
})

t.test('to', async t => {
  using tensor = Tensor.from(new Float32Array([0, 1.001, -2.5, 300]), [4])
  const as = async (dtype: Tensor['dtype']) => {
    using other = await tensor.to({ dtype })
    t.equal(other.dtype, dtype)
    return Array.from(await other.data(), Number)
  }
  t.same(await as('float16'), [0, 1.0009765625, -2.5, 300], '11 bits')
  t.same(await as('bfloat16'), [0, 1, -2.5, 300], '8 bits')
  t.same(await as('int32'), [0, 1, -2, 300])
  t.same(await as('int64'), [0, 1, -2, 300])
  t.same(await as('bool'), [0, 1, 1, 1])
  t.same((await tensor.to({})).dtype, 'float32')
  t.same(await (await tensor.to({ device: 'cpu' })).data(), await tensor.data())

  for (const options of [undefined, null, 5, { dtype: 'float64' }, { dtype: 5 }, { device: 5 }]) {
    await t.rejects(tensor.to(options as never), invalid)
  }
  await t.rejects(tensor.to({ device: 'tpu' }), { ...invalid, message: /^device must be .*'tpu'/ })
  await t.rejects(tensor.to({ device: 'cuda:99' }), { code: 'ERR_DECLIP_DEVICE' })
})

t.test('handles do not change', t => {
  const tensor = Tensor.from(new Float32Array(2), [2])
  t.throws(() => (tensor.shape as number[]).push(1), TypeError)
  t.throws(() => {
    ;(tensor.shape as number[])[0] = 5
  }, TypeError)
  t.end()
})
