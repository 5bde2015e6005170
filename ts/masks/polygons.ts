import { inTurns } from '../base/event-loop.js'
import type { NativePolygons } from '../engine/addon-types.js'

/** A corner in pixels: (0, 0) is the picture's top left corner, (W, H) its bottom right one. */
export type Point = readonly [x: number, y: number]

/** A closed line; the last point joins the first, which is not repeated. */
export type Ring = readonly Point[]

/** One connected region of a class (pixels joined at their sides). */
export interface Polygon {
  /** Clockwise as seen on the screen, y pointing down. */
  readonly outer: Ring
  /** Counter-clockwise. */
  readonly holes: readonly Ring[]
}

/** The polygons of every class as nested lists. @internal */
export async function toPolygonLists(flat: NativePolygons): Promise<Polygon[][]> {
  const { corners, ringEnds, polygonEnds, classEnds } = flat
  const points: Point[] = []
  await inTurns(Array(corners.length / 2).keys(), i =>
    points.push([corners[2 * i] as number, corners[2 * i + 1] as number]),
  )
  const rings = await cut(points, ringEnds)
  const polygons = (await cut(rings, polygonEnds)).map(
    ([outer = [], ...holes]): Polygon => ({ outer, holes }),
  )
  return cut(polygons, classEnds)
}

/** A list's pieces, by where each ends. */
async function cut<T>(list: readonly T[], ends: Uint32Array): Promise<T[][]> {
  const pieces: T[][] = []
  let start = 0
  await inTurns(ends, end => {
    pieces.push(list.slice(start, end))
    start = end
  })
  return pieces
}
