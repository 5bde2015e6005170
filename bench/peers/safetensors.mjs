/** Reads the tensors of a safetensors file. */
import { readFileSync } from 'node:fs'

const ELEMENTS = { F32: Float32Array, I64: BigInt64Array }

/** name -> { shape, data }; int64 becomes plain numbers. */
export function readTensors(path) {
  const { buffer, byteOffset } = readFileSync(path)
  const view = new DataView(buffer, byteOffset)
  const start = 8 + Number(view.getBigUint64(0, true))
  const header = JSON.parse(Buffer.from(buffer, byteOffset + 8, start - 8).toString('utf8'))
  const tensors = new Map()
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [from, to] = offsets.map(at => byteOffset + start + at)
    const data = new ELEMENTS[dtype](buffer.slice(from, to))
    tensors.set(name, { shape, data: dtype === 'I64' ? Array.from(data, Number) : data })
  }
  return tensors
}
