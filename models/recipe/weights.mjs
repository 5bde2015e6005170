/** Weights files of the recipe: safetensors, read as float32 and written in half precision. */
import { readFileSync } from 'node:fs'
import { Float16Array } from '@petamoriken/float16'
import { Failure } from '../../scripts/build/common.mjs'

/** @typedef {{ name: string, shape: number[], values: Float32Array }} Weights */

/**
 * The tensors of a safetensors file that `wanted` takes, which have to be float32, and its metadata.
 *
 * @param {string} file
 * @param {(name: string) => boolean} [wanted]
 * @returns {{ tensors: Weights[], metadata: Record<string, string> }}
 */
export function readFloat32(file, wanted = () => true) {
  const bytes = readFileSync(file)
  const length = Number(bytes.readBigUInt64LE(0))
  const { __metadata__: metadata = {}, ...header } = JSON.parse(
    bytes.toString('utf8', 8, 8 + length),
  )
  const tensors = Object.entries(header)
    .filter(([name]) => wanted(name))
    .map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        if (dtype !== 'F32') throw new Failure(`${file}: ${name} is ${dtype}, not F32.`)
        const data = bytes.subarray(8 + length + from, 8 + length + to)
        return { name, shape, values: new Float32Array(Uint8Array.from(data).buffer) }
      },
    )
  return { tensors, metadata }
}

/**
 * A safetensors file of float16 tensors; its header is padded to a multiple of 8.
 *
 * @param {Weights[]} tensors
 * @param {Record<string, string>} metadata
 */
export function float16File(tensors, metadata) {
  /** @type {Record<string, object>} */
  const header = { __metadata__: metadata }
  const blocks = []
  let at = 0
  for (const { name, shape, values } of tensors) {
    const half = Float16Array.from(values)
    const block = Buffer.from(half.buffer)
    header[name] = { dtype: 'F16', shape, data_offsets: [at, at + block.length] }
    blocks.push(block)
    at += block.length
  }
  const text = JSON.stringify(header)
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([size, json, ...blocks])
}

/** Names of a safetensors file's tensors. @param {Buffer} bytes */
export function namesIn(bytes) {
  const length = Number(bytes.readBigUInt64LE(0))
  const { __metadata__: _, ...header } = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  return Object.keys(header)
}
