import t from 'tap'
import { isNpy, readNpy } from '../../../ts/words/npy.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }

interface Header {
  descr?: string
  order?: string
  shape?: string
  version?: number
  text?: string
}

/** A file as numpy.lib.format has it: magic, version, header's length, header, elements. */
function npy(elements: Uint8Array, header: Header = {}): Uint8Array {
  const { descr = '<f4', order = 'False', shape = '(2, 3)', version = 1 } = header
  const text =
    header.text ?? `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`
  const start = version === 1 ? 10 : 12
  const padded = text.padEnd(Math.ceil((start + text.length + 1) / 64) * 64 - start - 1)
  const bytes = Buffer.alloc(start)
  bytes.write('\x93NUMPY', 'latin1')
  bytes[6] = version
  if (version === 1) bytes.writeUInt16LE(padded.length + 1, 8)
  else bytes.writeUInt32LE(padded.length + 1, 8)
  return Buffer.concat([bytes, Buffer.from(`${padded}\n`), elements])
}

const bytesOf = (array: Float32Array | Float64Array | Uint16Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
const six = [1, -2, 0.5, 4, 5.25, -0.125]

t.test('types, orders and versions', t => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x4400, 0x4540, 0xb000)
  for (const version of [1, 2, 3]) {
    for (const [descr, elements] of [
      ['<f4', bytesOf(Float32Array.from(six))],
      ['<f8', bytesOf(Float64Array.from(six))],
      ['<f2', bytesOf(halves)],
    ] as const) {
      const file = npy(elements, { descr, version })
      t.ok(isNpy(file))
      t.same(readNpy(file, 'x.npy'), { values: Float32Array.from(six), rows: 2, columns: 3 })
      // At an odd place of a larger buffer, as a file of a pool lies.
      const shifted = new Uint8Array(file.length + 3)
      shifted.set(file, 3)
      t.same(readNpy(shifted.subarray(3), 'x.npy').values, Float32Array.from(six))
    }
  }
  const columns = Float32Array.of(1, 4, -2, 5.25, 0.5, -0.125)
  const { values } = readNpy(npy(bytesOf(columns), { order: 'True' }), 'x.npy')
  t.same(values, Float32Array.from(six), 'Fortran order')
  t.end()
})

t.test('every number of 16 bits', t => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
  const { values } = readNpy(npy(bytesOf(all), { descr: '<f2', shape: '(256, 256)' }), 'x.npy')
  t.ok(
    values.every((value, bits) => {
      const [e, m] = [(bits >> 10) & 31, bits & 1023]
      if (e === 31)
        return m === 0 ? Math.abs(value) === Number.POSITIVE_INFINITY : Number.isNaN(value)
      const size = e === 0 ? m / 2 ** 24 : (1024 + m) * 2 ** (e - 25)
      return value === (bits < 32768 ? size : -size)
    }),
  )
  t.end()
})

t.test('damaged and other arrays are named with what is wrong', t => {
  const rows = bytesOf(Float32Array.from(six))
  const whole = npy(rows)
  const reject = (bytes: Uint8Array, message: RegExp) => {
    t.throws(() => readNpy(bytes, 'some/x.npy'), { ...invalid, message })
    t.throws(() => readNpy(bytes, 'some/x.npy'), {
      message: /^some\/x\.npy is no usable NumPy array/,
    })
  }
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => readNpy(whole.subarray(0, length), 'x.npy'), invalid, `${length} bytes`)
  }
  reject(Buffer.concat([whole, Buffer.alloc(1)]), /must take 24 bytes, found 25/)
  reject(npy(rows, { version: 4 }), /version 1 to 3/)
  reject(npy(rows, { descr: '>f4' }), /must be <f2, <f4, <f8, found '>f4'/)
  reject(npy(rows, { descr: '|O' }), /found '\|O'/)
  reject(npy(rows, { descr: '<i8' }), /found '<i8'/)
  reject(npy(rows, { descr: 'toString' }), /found 'toString'/)
  reject(npy(rows, { shape: '(6,)' }), /shape must be \[classes, features\]/)
  reject(npy(rows, { shape: '(1, 2, 3)' }), /shape/)
  reject(npy(rows, { shape: '(0, 3)' }), /shape/)
  reject(npy(rows, { shape: '()' }), /shape/)
  reject(npy(rows, { shape: '(99999999999999, 99999999)' }), /must take/)
  reject(npy(rows, { order: '1' }), /shape/)
  reject(
    npy(rows, { text: "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}" }),
    /a structure/,
  )
  reject(npy(rows, { text: '' }), /a structure/)
  t.notOk(isNpy(Buffer.from('PK')))
  t.end()
})
