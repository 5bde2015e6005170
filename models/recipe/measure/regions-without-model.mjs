/** Maps of regions of a drawn scene that no model makes: by its colours, and, as an upper bound, by its labels. */
import { basename, dirname, extname, join } from 'node:path'
import sharp from 'sharp'
import { Tensor } from '../../../dist/index.mjs'

/** Values of a channel that count as one colour. */
const STEP = 48

/** Regions of a smaller share of the picture are not segmented. */
const LEAST = 0.002

/**
 * Numbers the connected areas of equal values from 1 on, by flood fill over the four neighbours.
 *
 * @param {ArrayLike<number>} values row by row
 * @param {number} least areas of fewer pixels get 0
 */
export function components(values, width, height, least = 0) {
  const map = new Int32Array(width * height).fill(-1)
  const stack = []
  let next = 1
  for (let start = 0; start < map.length; start++) {
    if (map[start] !== -1) continue
    const area = [start]
    map[start] = next
    stack.push(start)
    const visit = (/** @type {number} */ at, /** @type {number} */ value) => {
      if (map[at] !== -1 || values[at] !== value) return
      map[at] = next
      area.push(at)
      stack.push(at)
    }
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width
      if (x > 0) visit(at - 1, values[at])
      if (x < width - 1) visit(at + 1, values[at])
      if (at >= width) visit(at - width, values[at])
      if (at < map.length - width) visit(at + width, values[at])
    }
    if (area.length < least) for (const at of area) map[at] = 0
    else next++
  }
  return map
}

/** Connected areas of alike colours, of the picture's smoothed pixels. */
export async function colourRegions({ path }) {
  const { data, info } = await sharp(path)
    .removeAlpha()
    .median(5)
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const level = (/** @type {number} */ i) => Math.round(data[i] / STEP)
  const colours = Int32Array.from(
    { length: width * height },
    (_, i) => level(3 * i) * 256 + level(3 * i + 1) * 16 + level(3 * i + 2),
  )
  const map = components(colours, width, height, LEAST * width * height)
  return Tensor.from(map, [height, width])
}

/** Connected areas of the true labels, the background's among them. */
export async function trueRegions({ path }) {
  const file = join(dirname(dirname(path)), 'labels', `${basename(path, extname(path))}.png`)
  const { data, info } = await sharp(file)
    .extractChannel(0)
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width, height } = info
  return Tensor.from(components(data, width, height), [height, width])
}
