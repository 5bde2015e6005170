/** Artworks that need no download: a shape and a color of its own for every concept. */
import { CONCEPTS } from '../../models/recipe/art/concepts.mjs'
import { random } from '../../models/recipe/paint/random.mjs'

/** @returns {import('../../models/recipe/art/art.mjs').Sprite[]} */
export function madeUpSprites() {
  return CONCEPTS.map((_, concept) => {
    const rng = random('made up', concept)
    const [width, height] = [rng.int(40, 64), rng.int(40, 64)]
    const [petals, depth] = [rng.int(2, 6), rng.uniform(0, 0.4)]
    const color = [rng.int(0, 255), rng.int(0, 255), rng.int(0, 255)]
    const levels = []
    for (let [w, h] = [width, height]; w >= 8 && h >= 8; w >>= 1, h >>= 1) {
      const rgba = new Uint8Array(w * h * 4)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const [u, v] = [((x + 0.5) / w) * 2 - 1, ((y + 0.5) / h) * 2 - 1]
          const edge = 1 - depth * (1 + Math.cos(petals * Math.atan2(v, u))) * 0.5
          const alpha = Math.min(1, Math.max(0, (edge - Math.hypot(u, v)) * 8 + 0.5))
          for (let c = 0; c < 3; c++) rgba[(y * w + x) * 4 + c] = Math.round(color[c] * alpha)
          rgba[(y * w + x) * 4 + 3] = Math.round(255 * alpha)
        }
      levels.push({ width: w, height: h, rgba })
    }
    return { concept, style: 'noto', icon: `made-up-${concept}`, levels }
  })
}
