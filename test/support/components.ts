import { runsOf } from './runs.js'

/** A connected region of one label, pixels joined at sides or corners. */
export interface Component {
  readonly label: number
  readonly area: number
  readonly counts: number[]
}

/** The regions of a label map by plain search, in the order of their first pixels. */
export function componentsOf(
  labels: ArrayLike<number>,
  width: number,
  height: number,
): Component[] {
  const owner = new Int32Array(width * height).fill(-1)
  const found: Component[] = []
  for (let start = 0; start < owner.length; start++) {
    if (owner[start] !== -1) continue
    const id = found.length
    const label = labels[start] as number
    const open = [start]
    owner[start] = id
    let area = 0
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      area += 1
      const [x, y] = [at % width, Math.floor(at / width)]
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u
          if (owner[next] !== -1 || labels[next] !== label) continue
          owner[next] = id
          open.push(next)
        }
      }
    }
    found.push({ label, area, counts: runsOf(owner, width, height, value => value === id) })
  }
  return found
}
