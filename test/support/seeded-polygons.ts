/** Random numbers below n (mulberry32), as scripts/make/make-polygon-masks.py makes them. */
function generator(seed: number): (n: number) => number {
  let state = seed
  return n => {
    state = (state + 0x6d2b79f5) | 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

/** Inside, outside, on pixels' sides, degenerate, on fifths, far outside: how far out, and steps per pixel. */
const KINDS = [
  [0, 100],
  [20, 100],
  [3, 1],
  [5, 5],
  [3, 2],
  [3000, 100],
] as const

/** Pictures and COCO polygons of them, the same as the script's. */
export function seededPolygons(
  seed: number,
  cases: number,
): { width: number; height: number; shape: number[][] }[] {
  const below = generator(seed)
  return Array.from({ length: cases }, () => {
    const [width, height] = [1 + below(40), 1 + below(40)]
    const kind = below(KINDS.length)
    const [reach, grid] = KINDS[kind] as (typeof KINDS)[number]
    const shape = Array.from({ length: 1 + below(3) }, () => {
      const points: number[] = []
      const length = 3 + below(7)
      for (let i = 0; i < length; i++) {
        if (kind === 4 && i > 0 && below(2) === 0) {
          const at = 2 * below(i)
          points.push(...points.slice(at, at + 2))
          continue
        }
        for (const side of [width, height]) {
          points.push((below((side + 2 * reach) * grid + 1) - reach * grid) / grid)
        }
      }
      return points
    })
    return { width, height, shape }
  })
}
