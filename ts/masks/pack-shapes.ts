import { inTurns } from '../base/event-loop.js'
import { Growing } from '../base/growing.js'
import type { NativeShapes } from '../engine/addon-types.js'
import { aborted, DeclipError, describe } from '../errors.js'
import type { Polygon, Ring } from './polygons.js'
import type { Rle } from './rle.js'

/** Polygons as COCO's files have them: flat lists x1, y1, x2, y2, ... in pixels, whose union is the mask. */
export type CocoPolygons = readonly (readonly number[])[]

/** One mask that is not an array of pixels. */
export type MaskShape = Rle | CocoPolygons | Polygon | readonly Polygon[]

/** A shape on a picture. @internal */
export interface NamedShape {
  readonly shape: MaskShape
  /** Of its picture, in pixels. */
  readonly width: number
  readonly height: number
  /** What messages call it: 'masks[3]', 'instances.json: annotation 17'. */
  readonly name: string
}

/**
 * The masks of one picture, called by their places.
 *
 * @param first - the place of the first one, where they are a part of a longer list
 * @internal
 */
export function nameShapes(
  masks: readonly MaskShape[],
  { width, height }: { readonly width: number; readonly height: number },
  first = 0,
): NamedShape[] {
  return masks.map((shape, i) => ({ shape, width, height, name: `masks[${first + i}]` }))
}

/** @internal */
export interface PackedShapes {
  readonly native: NativeShapes
  /** Rethrows an error of the addon, which knows a shape by its place, with the shape's name. */
  readonly rename: (error: unknown) => never
}

const LARGEST_COUNT = 2 ** 32 - 1
/** Shapes, of thousands of numbers each, between two looks at the clock. */
const SHAPES_PER_LOOK = 4
/** Corners beyond are refused: 5 times them must be an int32 for the rasteriser. */
const LARGEST_CORNER = 2 ** 28

/**
 * Flat arrays of many shapes, for one call.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG beginning with the shape's name, or ERR_DECLIP_ABORTED
 * @internal
 */
export async function packShapes(
  shapes: readonly NamedShape[],
  signal?: AbortSignal | undefined,
): Promise<PackedShapes> {
  const packer = new Packer(shapes.length)
  const pack = (shape: NamedShape, i: number) => {
    if (signal?.aborted) throw aborted(signal)
    packer.add(shape, i)
  }
  await inTurns(shapes, pack, SHAPES_PER_LOOK)
  const rename = (error: unknown): never => {
    if (!(error instanceof DeclipError)) throw error
    const [all, place] = /^#(\d+): /.exec(error.message) ?? []
    const name = shapes[Number(place)]?.name
    if (all === undefined || name === undefined) throw error
    throw new DeclipError(error.code, `${name}: ${error.message.slice(all.length)}`)
  }
  return { native: packer.finish(), rename }
}

class Packer {
  readonly #kinds: Uint8Array
  readonly #sizes: Uint32Array
  readonly #ends: Uint32Array
  readonly #counts = new Growing(n => new Uint32Array(n))
  readonly #strings: string[] = []
  readonly #corners = new Growing(n => new Float64Array(n))
  readonly #ringEnds = new Growing(n => new Uint32Array(n))
  readonly #holes = new Growing(n => new Uint8Array(n))

  constructor(length: number) {
    this.#kinds = new Uint8Array(length)
    this.#sizes = new Uint32Array(2 * length)
    this.#ends = new Uint32Array(length)
  }

  add({ shape, width, height, name }: NamedShape, i: number): void {
    this.#sizes.set([height, width], 2 * i)
    if (isRle(shape)) {
      checkSize(shape, width, height, name)
      const isText = typeof shape.counts === 'string'
      this.#kinds[i] = isText ? 1 : 0
      if (isText) this.#strings.push(shape.counts as string)
      else this.#addCounts(shape.counts as readonly number[], name)
      this.#ends[i] = isText ? this.#strings.length : this.#counts.length
      return
    }
    this.#kinds[i] = 2
    if (isPolygon(shape)) this.#polygon(shape, name)
    else if (Array.isArray(shape)) {
      for (const [at, part] of shape.entries()) {
        if (isPolygon(part)) this.#polygon(part, `${name}[${at}]`)
        else if (Array.isArray(part)) this.#flat(part, `${name}[${at}]`)
        else throw unknown(name, shape)
      }
    } else throw unknown(name, shape)
    this.#ends[i] = this.#ringEnds.length
  }

  finish(): NativeShapes {
    return {
      kinds: this.#kinds,
      sizes: this.#sizes,
      ends: this.#ends,
      counts: this.#counts.view(),
      strings: this.#strings,
      corners: this.#corners.view(),
      ringEnds: this.#ringEnds.view(),
      holes: this.#holes.view(),
    }
  }

  #addCounts(counts: readonly number[], name: string): void {
    for (const [at, value] of counts.entries()) {
      if (!(Number.isInteger(value) && value >= 0 && value <= LARGEST_COUNT)) {
        throw wrong(`${name}: counts[${at}]`, 'a whole number of pixels, 0 or more', value)
      }
    }
    this.#counts.append(counts)
  }

  #flat(points: ArrayLike<number>, name: string): void {
    if (points.length % 2 !== 0) {
      throw wrong(name, 'pairs of x and y', `${points.length} numbers`)
    }
    if (points.length < 6) throw wrong(name, 'three points or more', points.length / 2)
    for (let i = 0; i < points.length; i++) this.#coordinate(points[i] as number, name)
    this.#endRing(false)
  }

  #polygon({ outer, holes }: Polygon, name: string): void {
    this.#ring(outer, `${name}.outer`, false)
    if (holes === undefined) return
    if (!Array.isArray(holes)) throw wrong(`${name}.holes`, 'a list of rings', holes)
    for (const [i, hole] of holes.entries()) this.#ring(hole, `${name}.holes[${i}]`, true)
  }

  #ring(ring: Ring, name: string, isHole: boolean): void {
    if (!Array.isArray(ring) || ring.length < 3) {
      throw wrong(name, 'three points [x, y] or more', Array.isArray(ring) ? ring.length : ring)
    }
    for (const [i, point] of (ring as Ring).entries()) {
      if (!Array.isArray(point) || point.length !== 2) {
        throw wrong(`${name}[${i}]`, 'a point [x, y]', point)
      }
      this.#coordinate(point[0], name)
      this.#coordinate(point[1], name)
    }
    this.#endRing(isHole)
  }

  #coordinate(value: number, name: string): void {
    if (!(typeof value === 'number' && Math.abs(value) <= LARGEST_CORNER)) {
      throw wrong(name, `numbers of pixels, at most ${LARGEST_CORNER}`, value)
    }
    this.#corners.push(value)
  }

  #endRing(isHole: boolean): void {
    this.#ringEnds.push(this.#corners.length / 2)
    this.#holes.push(isHole ? 1 : 0)
  }
}

function isRle(shape: MaskShape): shape is Rle {
  const { counts } = (shape ?? {}) as { counts?: unknown }
  return typeof counts === 'string' || Array.isArray(counts)
}

function isPolygon(shape: unknown): shape is Polygon {
  return typeof shape === 'object' && shape !== null && 'outer' in shape
}

function checkSize({ size }: Rle, width: number, height: number, name: string): void {
  if (Array.isArray(size) && size[0] === height && size[1] === width && size.length === 2) return
  const got = Array.isArray(size) ? `[${size}]` : describe(size)
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${name}: size must be the picture's height and width, [${height},${width}], received ${got}.`,
  )
}

function wrong(name: string, expected: string, got: unknown): DeclipError {
  const came = typeof got === 'string' ? got : describe(got)
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${name} must be ${expected}, received ${came}.`)
}

function unknown(name: string, value: unknown): DeclipError {
  return wrong(
    name,
    'run lengths { size, counts }, COCO polygons (a list of [x1, y1, x2, y2, ...]) or polygons { outer, holes }',
    value,
  )
}
