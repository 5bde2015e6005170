/** What happens to a whole picture on its way: rescaling, blur, noise. Geometry stays. */

/** @typedef {import('./backgrounds.mjs').Canvas} Canvas */
/** @typedef {import('./random.mjs').Random} Random */

/** @param {Canvas} canvas @param {Random} rng @param {number} strength 0: nothing */
export function degrade(canvas, rng, strength) {
  if (rng.chance(0.2 * strength)) downAndUp(canvas, rng.uniform(1.2, 2.6))
  if (rng.chance(0.25 * strength)) blur(canvas, rng.uniform(0.1, 0.5))
  if (rng.chance(0.3 * strength)) noise(canvas, rng, rng.uniform(2, 16))
  if (rng.chance(0.3 * strength)) tone(canvas, rng)
}

/** Weights (k, 1 - 2k, k) along rows, then along columns. */
function blur({ pixels, width, height }, k) {
  k = Math.min(k, 1 / 3)
  const pass = (count, step, lines, lineStep) => {
    for (let l = 0; l < lines; l++)
      for (let c = 0; c < 3; c++) {
        let at = l * lineStep + c
        let before = pixels[at]
        for (let i = 0; i < count; i++, at += step) {
          const here = pixels[at]
          const after = i + 1 < count ? pixels[at + step] : here
          pixels[at] = here + k * (before + after - 2 * here)
          before = here
        }
      }
  }
  pass(width, 3, height, width * 3)
  pass(height, width * 3, width, 3)
}

/** Area means of a smaller grid, then bilinear interpolation back. */
function downAndUp({ pixels, width, height }, factor) {
  const [w, h] = [Math.round(width / factor), Math.round(height / factor)]
  const small = new Float32Array(w * h * 3)
  const counts = new Float32Array(w * h)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i += 3) {
      const j = Math.floor((y * h) / height) * w + Math.floor((x * w) / width)
      counts[j]++
      for (let c = 0; c < 3; c++) small[j * 3 + c] += pixels[i + c]
    }
  for (let j = 0; j < counts.length; j++) for (let c = 0; c < 3; c++) small[j * 3 + c] /= counts[j]
  for (let y = 0, i = 0; y < height; y++) {
    const v = Math.min(h - 1, Math.max(0, ((y + 0.5) * h) / height - 0.5))
    const top = Math.min(h - 2, Math.floor(v))
    for (let x = 0; x < width; x++, i += 3) {
      const u = Math.min(w - 1, Math.max(0, ((x + 0.5) * w) / width - 0.5))
      const left = Math.min(w - 2, Math.floor(u))
      const j = (top * w + left) * 3
      const [fu, fv] = [u - left, v - top]
      for (let c = 0; c < 3; c++) {
        const a = small[j + c] + (small[j + 3 + c] - small[j + c]) * fu
        const b = small[j + w * 3 + c] + (small[j + w * 3 + 3 + c] - small[j + w * 3 + c]) * fu
        pixels[i + c] = a + (b - a) * fv
      }
    }
  }
}

function noise({ pixels }, rng, strength) {
  // The sum of three uniform numbers is close enough to a normal one; its deviation is 1/2.
  for (let i = 0; i < pixels.length; i++)
    pixels[i] += (rng.next() + rng.next() + rng.next() - 1.5) * 2 * strength
}

function tone({ pixels }, rng) {
  const [contrast, add] = [rng.uniform(0.75, 1.2), rng.uniform(-20, 20)]
  const tint = [rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.08)]
  for (let i = 0; i < pixels.length; i += 3)
    for (let c = 0; c < 3; c++)
      pixels[i + c] = ((pixels[i + c] - 127.5) * contrast + 127.5 + add) * tint[c]
}
