/**
 * What the golden tests share: reading fixtures (with a safetensors reader of their own) and
 * comparing with the tolerances of the fixtures' manifests.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { Tensor } from '../../ts/index.js'

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), '..', 'fixtures')

export interface Expected {
  file: string
  tensor: string
  shape: number[]
  atol: number
  rtol?: number
}

export interface ImageSpec {
  png?: string
  normalise?: { mean: number[]; std: number[] }
  shape: number[]
}

export interface Case {
  id: string
  weights?: string | string[]
  inputs: Record<string, unknown>
  config?: Record<string, unknown>
  options?: Record<string, unknown>
  outputs: Record<string, Expected>
  values?: Record<string, unknown>
}

export interface Floats {
  shape: number[]
  data: Float32Array
}

/** One fixture folder. */
export class Golden {
  readonly #folder: string
  readonly #cases: Case[]
  readonly #files = new Map<string, Map<string, Floats>>()

  constructor(name: string) {
    this.#folder = join(FIXTURES, name)
    this.#cases = JSON.parse(readFileSync(this.path('manifest.json'), 'utf8')).cases
  }

  path(file: string): string {
    return join(this.#folder, file)
  }

  case(id: string): Case {
    const found = this.#cases.find(c => c.id === id)
    if (!found) throw new Error(`no golden case ${id}`)
    return found
  }

  ids(prefix = ''): string[] {
    return this.#cases.map(c => c.id).filter(id => id.startsWith(prefix))
  }

  /** A tensor of a safetensors file, as floats. */
  tensor(file: string, name: string): Floats {
    let tensors = this.#files.get(file)
    if (!tensors) {
      tensors = readSafetensors(this.path(file))
      this.#files.set(file, tensors)
    }
    const found = tensors.get(name)
    if (!found) throw new Error(`no tensor ${name} in ${file}`)
    return found
  }

  expected(id: string, output: string): Floats & { atol: number; rtol: number } {
    const spec = this.case(id).outputs[output]
    if (!spec) throw new Error(`no output ${output} in case ${id}`)
    const { atol, rtol = 1e-4 } = spec
    return { ...this.tensor(spec.file, spec.tensor), atol, rtol }
  }

  /** The PNG of an image spec (or several, stacked) as a normalised tensor [B, 3, H, W]. */
  async image(spec: ImageSpec | ImageSpec[]): Promise<Tensor> {
    const specs = Array.isArray(spec) ? spec : [spec]
    const parts = await Promise.all(specs.map(s => this.#normalised(s)))
    const [, channels, height, width] = (specs[0] as ImageSpec).shape as number[]
    const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0))
    let at = 0
    for (const part of parts) {
      all.set(part, at)
      at += part.length
    }
    return Tensor.from(all, [specs.length, channels as number, height as number, width as number])
  }

  async #normalised(spec: ImageSpec): Promise<Float32Array> {
    const { mean = [], std = [] } = spec.normalise ?? {}
    // statistics above 1 are on the 0..255 scale and there is no division by 255
    const unit = Math.max(...std) > 1 ? 1 : 255
    const { data, width, height } = await pixels(this.path(spec.png as string))
    const out = new Float32Array(3 * width * height)
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) {
        const value = Math.fround((data[3 * i + c] as number) / unit)
        out[c * width * height + i] =
          Math.fround(value - Math.fround(mean[c] as number)) / Math.fround(std[c] as number)
      }
    }
    return out
  }
}

/** RGB bytes of a picture. */
export async function pixels(
  path: string,
): Promise<{ data: Uint8Array; width: number; height: number }> {
  const { data, info } = await sharp(path)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}

/** Pixels of a one-channel PNG as they are in the file. */
export async function labels(path: string): Promise<Uint8Array> {
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true })
  return data.filter((_, i) => i % info.channels === 0)
}

/** Largest excess over the tolerance: passes when not above 1. */
export function excess(
  got: ArrayLike<number>,
  expected: Floats & { atol: number; rtol: number },
): { ratio: number; index: number } {
  let worst = { ratio: 0, index: -1 }
  for (let i = 0; i < expected.data.length; i++) {
    const want = expected.data[i] as number
    const ratio =
      Math.abs((got[i] as number) - want) / (expected.atol + expected.rtol * Math.abs(want))
    if (!(ratio <= worst.ratio)) worst = { ratio, index: i }
  }
  return worst
}

interface Asserts {
  same(got: unknown, want: unknown, message: string): boolean
  ok(value: unknown, message: string): boolean
}

/**
 * Compares one stage. A failure names the stage and the worst element; later stages of the test
 * can be expected to fail with it, so the first failure in the output is the one to look at.
 */
export async function compare(
  t: Asserts,
  stage: string,
  got: Tensor | Floats,
  expected: Floats & { atol: number; rtol: number },
): Promise<boolean> {
  const data = got instanceof Tensor ? ((await got.data()) as Float32Array) : got.data
  if (!t.same([...got.shape], expected.shape, `${stage}: shape`)) return false
  const { ratio, index } = excess(data, expected)
  return t.ok(
    ratio <= 1,
    `${stage}: worst error ${ratio.toPrecision(3)} of the tolerance (element ${index}: ` +
      `${data[index]} for ${expected.data[index]}, atol ${expected.atol}, rtol ${expected.rtol})`,
  )
}

/** Every `step`-th row and column of planes [..., H, W]. */
export function subsample(x: Floats, step: number): Floats {
  const [height, width] = x.shape.slice(-2) as [number, number]
  const planes = x.data.length / (height * width)
  const rows = Math.ceil(height / step)
  const columns = Math.ceil(width / step)
  const data = new Float32Array(planes * rows * columns)
  let to = 0
  for (let p = 0; p < planes; p++) {
    for (let y = 0; y < height; y += step) {
      for (let x0 = 0; x0 < width; x0 += step) {
        data[to++] = x.data[(p * height + y) * width + x0] as number
      }
    }
  }
  return { shape: [...x.shape.slice(0, -2), rows, columns], data }
}

/** Tensors of a safetensors file, widened to float32. */
export function readSafetensors(path: string): Map<string, Floats> {
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const tensors = new Map<string, Floats>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [start, end] = entry.data_offsets
    const raw = bytes.subarray(8 + length + start, 8 + length + end)
    const data = READERS[entry.dtype]?.(new Uint8Array(raw).buffer)
    if (!data) throw new Error(`${path}: ${name} has dtype ${entry.dtype}`)
    tensors.set(name, { shape: entry.shape, data: Float32Array.from(data) })
  }
  return tensors
}

const READERS: Record<string, (buffer: ArrayBuffer) => ArrayLike<number>> = {
  F32: buffer => new Float32Array(buffer),
  F16: buffer => Float32Array.from(new Uint16Array(buffer), half),
  U8: buffer => new Uint8Array(buffer),
  I16: buffer => new Int16Array(buffer),
  I32: buffer => new Int32Array(buffer),
  I64: buffer => Array.from(new BigInt64Array(buffer), Number),
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Writes float32 tensors as a safetensors file. */
export function safetensorsBytes(tensors: Map<string, Floats>): Uint8Array {
  const header: Record<string, unknown> = {}
  let at = 0
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + data.byteLength] }
    at += data.byteLength
  }
  const json = Buffer.from(JSON.stringify(header).padEnd(0))
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, 32)])
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([
    size,
    padded,
    ...[...tensors.values()].map(({ data }) =>
      Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    ),
  ])
}
