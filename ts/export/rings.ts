import { setImmediate } from 'node:timers/promises'
import type { Point, Polygon, Ring } from '../masks/polygons.js'

/** A step along pixels' sides. The mask lies on its right hand, as seen on the screen. */
interface Side {
  readonly from: Point
  readonly to: Point
  used: boolean
}

/** Sides that are walked between two turns of the event loop. */
const SIDES_PER_TURN = 1 << 16

/**
 * Outlines of a mask put together anew so that pixels which meet in a corner alone are in one ring, which passes
 * the corner twice. The area stays the same.
 *
 * @param polygons - along the pixels' sides: outer rings clockwise on the screen, holes the other way
 */
export async function joinedRings(polygons: readonly Polygon[]): Promise<Ring[]> {
  const sides = polygons.flatMap(({ outer, holes }) => [outer, ...holes].flatMap(sidesOf))
  const leaving = new Map<string, Side[]>()
  for (const side of sides) {
    const key = side.from.join()
    const others = leaving.get(key)
    if (others) others.push(side)
    else leaving.set(key, [side])
  }
  const rings: Ring[] = []
  let walked = 0
  for (const first of sides) {
    if (first.used) continue
    const ring: Point[] = []
    let side: Side | undefined = first
    while (side && !side.used) {
      side.used = true
      ring.push(side.from)
      side = next(side, leaving.get(side.to.join()) ?? [])
      if (++walked % SIDES_PER_TURN === 0) await setImmediate()
    }
    rings.push(ring)
  }
  return rings
}

function sidesOf(ring: Ring): Side[] {
  return ring.map((from, i) => ({ from, to: ring[(i + 1) % ring.length] as Point, used: false }))
}

/** Where two ways leave a corner, the turn to the left crosses to the other pixel. */
function next(side: Side, ways: readonly Side[]): Side | undefined {
  return ways.length < 2 ? ways[0] : ways.find(way => cross(side, way) < 0)
}

/** Above 0 for a turn to the right on the screen. */
function cross(a: Side, b: Side): number {
  const [ax, ay] = [a.to[0] - a.from[0], a.to[1] - a.from[1]]
  const [bx, by] = [b.to[0] - b.from[0], b.to[1] - b.from[1]]
  return ax * by - ay * bx
}

/** The area inside, negative for a hole, in pixels. */
export function signedArea(ring: Ring): number {
  let twice = 0
  ring.forEach(([x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length] as Point
    twice += x * nextY - nextX * y
  })
  return twice / 2
}
