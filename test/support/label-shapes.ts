/**
 * Run lengths and outlines of label maps in TypeScript, pixel by pixel: what the native functions must
 * give, number for number.
 */
import type { LabelMap } from '../../ts/image/label-map.js'
import type { Point, Polygon, Ring } from '../../ts/masks/polygons.js'

/** Run lengths of every class, in one pass over the map. */
export function encodeRle(labels: LabelMap, classes: number): number[][] {
  const { data, width } = labels
  const counts = Array.from({ length: classes }, (): number[] => [])
  const boundary = new Array<number>(classes).fill(0) // where the class's current run began
  const close = (label: number, position: number) => {
    counts[label]?.push(position - (boundary[label] as number))
    boundary[label] = position
  }
  let previous = -1
  let position = 0 // down the columns
  for (let x = 0; x < width; x++) {
    for (let i = x; i < data.length; i += width, position++) {
      const label = data[i] as number
      if (label === previous) continue
      if (previous >= 0) close(previous, position)
      close(label, position)
      previous = label
    }
  }
  close(previous, position)
  for (let label = 0; label < classes; label++) {
    if ((boundary[label] as number) < position) close(label, position)
  }
  return counts
}

/**
 * COCO's compressed string: each count, from the fourth on minus the one two places before it, in
 * groups of 5 bits from the lowest, bit 5 set where another group follows, offset by 48 to
 * printable characters. As rleToString() in cocoapi's common/maskApi.c.
 */
export function compressRle(counts: readonly number[]): string {
  let text = ''
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - (counts[i - 2] as number) : count
    for (let more = true; more; ) {
      const group = rest & 0x1f
      rest >>= 5
      // Finished when what is left is only the sign, which bit 4 of the last group carries.
      more = group & 0x10 ? rest !== -1 : rest !== 0
      text += String.fromCharCode((more ? group | 0x20 : group) + 48)
    }
  })
  return text
}

/**
 * Outlines of every class along the sides of the pixels.
 *
 * @param tolerance - pixels that a line may be moved by, 0 for the exact outline
 */
export function tracePolygons(labels: LabelMap, classes: number, tolerance: number): Polygon[][] {
  const { data, width, height } = labels
  const region = labelRegions(labels)
  const traced = new Uint8Array(data.length) // 1: the pixel's upper side is part of a ring
  const owner = new Map<number, { outer: Ring; holes: Ring[] }>()
  const polygons = Array.from({ length: classes }, (): Polygon[] => [])
  for (let y = 0; y < height; y++) {
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
  }
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
function labelRegions(labels: LabelMap): Int32Array {
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
  for (let y = 0; y < height; y++) {
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
  }
  for (let y = 0; y < height; y++) {
    for (let i = y * width; i < (y + 1) * width; i++) region[i] = root(region[i] as number)
  }
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
