import { eachLine } from '../base/event-loop.js'
import type { LabelMap } from './label-map.js'

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

/**
 * Outlines of every class along the sides of the pixels. @internal
 *
 * @param tolerance - pixels that a line may be moved by, 0 for the exact outline
 */
export async function tracePolygons(
  labels: LabelMap,
  classes: number,
  tolerance: number,
): Promise<Polygon[][]> {
  const { data, width, height } = labels
  const region = await labelRegions(labels)
  const traced = new Uint8Array(data.length) // 1: the pixel's upper side is part of a ring
  const owner = new Map<number, { outer: Ring; holes: Ring[] }>()
  const polygons = Array.from({ length: classes }, (): Polygon[] => [])
  await eachLine(height, width, y => {
    for (let i = y * width; i < (y + 1) * width; i++) {
      if (traced[i] || (y > 0 && data[i - width] === data[i])) continue
      const rings = traceRings(labels, i, traced)
      let polygon = owner.get(region[i] as number)
      if (!polygon) {
        // Of a region's rings, scanning down meets the outer one first.
        const outer = rings.find(ring => signedArea(ring) > 0) ?? []
        polygon = { outer: simplify(outer, tolerance), holes: [] }
        owner.set(region[i] as number, polygon)
        if (polygon.outer.length >= 3) polygons[data[i] as number]?.push(polygon)
      }
      const holes = rings.filter(ring => signedArea(ring) < 0).map(r => simplify(r, tolerance))
      polygon.holes.push(...holes.filter(hole => hole.length >= 3))
    }
  })
  return polygons
}

/**
 * The way along the upper side of pixel `start`, with the region on the right hand. At a corner
 * where two of its pixels touch diagonally it turns right, which keeps them apart; a loop between
 * two visits of such a corner is a ring of its own, so that no ring touches itself.
 */
function traceRings(labels: LabelMap, start: number, traced: Uint8Array): Point[][] {
  const { data, width, height } = labels
  const label = data[start]
  const inside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === label
  const rings: Point[][] = []
  const way: Point[] = []
  const touched = new Map<number, number>() // corner -> its place in `way`
  let [x, y] = [start % width, Math.floor(start / width)]
  let [dx, dy] = [1, 0]
  for (;;) {
    if (dx === 1) {
      if (traced[y * width + x]) break
      traced[y * width + x] = 1
    }
    x += dx
    y += dy
    // The pixels ahead, to the left and to the right of the way.
    const left = inside(x + (dx + dy - 1) / 2, y + (dy - dx - 1) / 2)
    const right = inside(x + (dx - dy - 1) / 2, y + (dx + dy - 1) / 2)
    if (right && !left) continue
    if (left && !right) {
      const corner = y * (width + 1) + x
      const place = touched.get(corner)
      if (place === undefined) touched.set(corner, way.length)
      else rings.push(way.splice(place))
    }
    way.push([x, y])
    if (right) [dx, dy] = [dy, -dx]
    else [dx, dy] = [-dy, dx]
  }
  rings.push(way)
  return rings
}

/** In pixels, positive for clockwise on the screen. */
function signedArea(ring: Ring): number {
  let twice = 0
  let [ax, ay] = ring.at(-1) ?? [0, 0]
  for (const [bx, by] of ring) {
    twice += ax * by - bx * ay
    ax = bx
    ay = by
  }
  return twice / 2
}

/** For every pixel the number of its connected region (sides, not corners), by union-find. */
async function labelRegions(labels: LabelMap): Promise<Int32Array> {
  const { data, width, height } = labels
  const region = new Int32Array(data.length)
  const parent: number[] = []
  const root = (id: number) => {
    let found = id
    while (parent[found] !== found) {
      parent[found] = parent[parent[found] as number] as number
      found = parent[found] as number
    }
    return found
  }
  await eachLine(height, width, y => {
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const left = x > 0 && data[i - 1] === data[i] ? (region[i - 1] as number) : -1
      const up = y > 0 && data[i - width] === data[i] ? (region[i - width] as number) : -1
      if (left < 0 && up < 0) {
        region[i] = parent.length
        parent.push(parent.length)
        continue
      }
      region[i] = left < 0 ? up : left
      if (left >= 0 && up >= 0 && left !== up) parent[root(left)] = root(up)
    }
  })
  await eachLine(height, width, y => {
    for (let i = y * width; i < (y + 1) * width; i++) region[i] = root(region[i] as number)
  })
  return region
}

/**
 * Douglas-Peucker: drops the points that lie within `tolerance` of the line between those kept. A
 * ring is cut at its first point and at the one farthest from it.
 */
function simplify(ring: Point[], tolerance: number): Ring {
  if (tolerance === 0) return ring
  const closed = [...ring, ring[0] as Point]
  const kept = new Set([0])
  const spans: [number, number][] = [[0, closed.length - 1]]
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [first, last] = span
    const from = closed[first] as Point
    const to = closed[last] as Point
    let farthest = -1
    let best = tolerance
    for (let i = first + 1; i < last; i++) {
      const distance = distanceToSegment(closed[i] as Point, from, to)
      if (distance > best) [farthest, best] = [i, distance]
    }
    if (farthest < 0) continue
    kept.add(farthest)
    spans.push([first, farthest], [farthest, last])
  }
  return ring.filter((_, i) => kept.has(i))
}

function distanceToSegment([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay]
  const length = dx * dx + dy * dy
  const along = length && Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length))
  return Math.hypot(x - ax - along * dx, y - ay - along * dy)
}
