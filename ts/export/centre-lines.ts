import { setImmediate } from 'node:timers/promises'
import type { Point, Polygon, Ring } from '../masks/polygons.js'
import { joinedRings, signedArea } from './rings.js'

/** A corner of a line through pixels. */
interface Node {
  readonly x: number
  readonly y: number
  next: Node
}

/** A side of a mask's pixels that runs up the screen: the mask begins to the right of it. */
interface UpSide {
  /** Column of the pixels beside it. */
  readonly x: number
  /** First and last row. */
  readonly top: number
  readonly bottom: number
  /** The line goes on from here along the side. */
  readonly node: Node
}

/**
 * Closed lines through the centres of a mask's outermost pixels, one for every part (pixels joined at sides
 * or corners), in whole pixels. A hole is cut in by a line of mask pixels that is gone forth and back.
 * Whoever fills a line by the even-odd rule and draws it as well, as OpenCV's fillPoly() does, has the part's
 * pixels again, all and no others.
 *
 * @param polygons - along the pixels' sides: outer rings clockwise on the screen, holes the other way
 */
export async function centreLines(polygons: readonly Polygon[]): Promise<Ring[]> {
  const outers: Node[] = []
  const holes: { left: UpSide; entry: Node }[] = []
  const ups: UpSide[] = []
  for (const ring of await joinedRings(polygons)) {
    const { first, sides, left } = lineOf(ring)
    ups.push(...sides)
    if (signedArea(ring) > 0) outers.push(first)
    else if (left) holes.push(left)
  }
  await joinHoles(holes, ups)
  return outers.map(pointsOf)
}

/** Pixels at both ends of every side, linked to a ring. */
function lineOf(ring: Ring): {
  first: Node
  sides: UpSide[]
  left: { left: UpSide; entry: Node } | undefined
} {
  const sides: UpSide[] = []
  let left: { left: UpSide; entry: Node } | undefined
  const nodes: Node[] = []
  ring.forEach(([x0, y0], i) => {
    const [x1, y1] = ring[(i + 1) % ring.length] as Point
    const [begin, end] = pixelsBeside(x0, y0, x1, y1).map(
      ([x, y]) => ({ x, y, next: undefined }) as unknown as Node,
    ) as [Node, Node]
    nodes.push(begin, end)
    if (y1 < y0) sides.push({ x: begin.x, top: end.y, bottom: begin.y, node: begin })
    // of a hole: the mask's pixels to the left of it
    if (y1 > y0 && (!left || begin.x < left.entry.x)) {
      left = { left: { x: begin.x, top: begin.y, bottom: begin.y, node: begin }, entry: begin }
    }
  })
  nodes.forEach((node, i) => {
    node.next = nodes[(i + 1) % nodes.length] as Node
  })
  return { first: nodes[0] as Node, sides, left }
}

/** The first and the last pixel on the right hand of a side. */
function pixelsBeside(x0: number, y0: number, x1: number, y1: number): [Point, Point] {
  if (x1 > x0) return [[x0, y0], [x1 - 1, y0]] // biome-ignore format: pairs
  if (y1 > y0) return [[x0 - 1, y0], [x0 - 1, y1 - 1]] // biome-ignore format: pairs
  if (x1 < x0) return [[x0 - 1, y0 - 1], [x1, y0 - 1]] // biome-ignore format: pairs
  return [[x0, y0 - 1], [x0, y1]] // biome-ignore format: pairs
}

/**
 * Joins every hole's line to the one that it meets first to the left: the outer one's, or that of a hole
 * which begins further left and is joined already.
 */
async function joinHoles(
  holes: readonly { readonly left: UpSide; readonly entry: Node }[],
  ups: readonly UpSide[],
): Promise<void> {
  if (holes.length === 0) return
  const rows = await sidesOfRows(new Set(holes.map(({ entry }) => entry.y)), ups)
  for (const { entry } of [...holes].sort((a, b) => a.entry.x - b.entry.x)) {
    const side = lastUpTo(rows.get(entry.y) ?? [], entry.x)
    if (!side) continue
    const before = side.node
    const goOn = before.next
    // Any place of the side will do, since all of its pixels are the mask's.
    const back: Node = { x: side.x, y: entry.y, next: goOn }
    const last: Node = { x: entry.x, y: entry.y, next: back }
    let end = entry
    while (end.next !== entry) end = end.next
    end.next = last
    before.next = { x: side.x, y: entry.y, next: entry }
  }
}

/** The sides beside each of some rows, from left to right. */
async function sidesOfRows(
  wanted: ReadonlySet<number>,
  ups: readonly UpSide[],
): Promise<Map<number, UpSide[]>> {
  const rows = [...wanted].sort((a, b) => a - b)
  const found = new Map(rows.map(row => [row, [] as UpSide[]]))
  for (const [i, side] of ups.entries()) {
    if (i % 4096 === 4095) await setImmediate()
    for (let at = lowerBound(rows, side.top); at < rows.length; at++) {
      const row = rows[at] as number
      if (row > side.bottom) break
      found.get(row)?.push(side)
    }
  }
  for (const sides of found.values()) sides.sort((a, b) => a.x - b.x)
  return found
}

/** Index of the first value that is not smaller. */
function lowerBound(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

function lastUpTo(sides: readonly UpSide[], x: number): UpSide | undefined {
  let [low, high] = [0, sides.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sides[middle] as UpSide).x <= x) low = middle + 1
    else high = middle
  }
  return sides[low - 1]
}

/** Its corners: points on the way between two others are left out. */
function pointsOf(first: Node): Ring {
  const points: Point[] = []
  let node = first
  do {
    add(points, [node.x, node.y])
    node = node.next
  } while (node !== first)
  // The ends meet.
  while (points.length > 1 && same(points[0] as Point, points.at(-1) as Point)) points.pop()
  return points
}

function add(points: Point[], point: Point): void {
  const last = points.at(-1)
  if (last && same(last, point)) return
  const before = points.at(-2)
  if (last && before && goesOn(before, last, point)) points.pop()
  points.push(point)
}

function same(a: Point, b: Point): boolean {
  return a[0] === b[0] && a[1] === b[1]
}

/** Whether b lies on the straight way from a to c. */
function goesOn(a: Point, b: Point, c: Point): boolean {
  const [abX, abY, bcX, bcY] = [b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]]
  return abX * bcY === abY * bcX && abX * bcX + abY * bcY > 0
}
