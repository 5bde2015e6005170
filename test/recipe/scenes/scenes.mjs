/** Scenes are functions of seed and index, and their masks are exactly what was drawn. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { paintBackground } from '../../../models/recipe/paint/backgrounds.mjs'
import { composite, outline, Scratch, sample } from '../../../models/recipe/paint/draw.mjs'
import { random } from '../../../models/recipe/paint/random.mjs'
import { composer } from '../../../models/recipe/scenes/scenes.mjs'
import { labelled, SETS } from '../../../models/recipe/scenes/sets.mjs'
import { madeUpSprites } from '../support.mjs'

/** A short text that stands for a whole scene: comparing large arrays is slow. */
const digest = scene => {
  const { pixels, owner, ...rest } = scene
  const hash = createHash('sha256').update(pixels).update(owner).update(JSON.stringify(rest))
  return hash.digest('hex')
}
const sprites = madeUpSprites()
const compose = composer(sprites)

t.test('a scene depends on seed and index alone', async t => {
  const first = Array.from({ length: 12 }, (_, i) => digest(compose(i, { seed: 5 })))
  const another = composer(madeUpSprites())
  for (let i = 11; i >= 0; i--)
    t.equal(digest(another(i, { seed: 5 })), first[i], `scene ${i}, made backwards`)
  t.not(digest(compose(0, { seed: 6 })), first[0])
  t.not(first[1], first[0])
})

t.test('random numbers are spread evenly, and differ between keys', async t => {
  const counts = new Array(10).fill(0)
  for (let i = 0; i < 10000; i++) counts[Math.floor(random('spread', i).next() * 10)]++
  // 1000 expected, deviation 30: five of them.
  t.ok(
    counts.every(count => Math.abs(count - 1000) < 150),
    `first numbers of 10,000 keys: ${counts}`,
  )
})

/**
 * Alpha of one pixel, by undoing the placement step by step: independent of the matrices and of the
 * stepping from pixel to pixel. Bilinear between pixel centres, nothing outside.
 */
function slowAlpha(level, full, placement, px, py) {
  const { x, y, size, angle, shear, stretch, mirror, warp } = placement
  const [dx, dy] = [px + 0.5 - x, py + 0.5 - y]
  const [rx, ry] = [
    dx * Math.cos(angle) + dy * Math.sin(angle),
    -dx * Math.sin(angle) + dy * Math.cos(angle),
  ]
  const sx = rx - shear * ry
  const scale = size / Math.max(full.width, full.height)
  const u0 = ((mirror ? -1 : 1) * sx) / (scale * Math.sqrt(stretch)) + full.width / 2
  const v0 = (ry * Math.sqrt(stretch)) / scale + full.height / 2
  let [ru, rv] = [u0 / full.width, v0 / full.height]
  if (warp) {
    const shift = warp.u * Math.sin(2 * Math.PI * warp.fv * rv + warp.pv)
    rv += warp.v * Math.sin(2 * Math.PI * warp.fu * ru + warp.pu)
    ru += shift
  }
  const u = ru * level.width - 0.5
  const v = rv * level.height - 0.5
  const at = (i, j) =>
    i < 0 || j < 0 || i >= level.width || j >= level.height
      ? 0
      : level.rgba[(j * level.width + i) * 4 + 3]
  const [i, j] = [Math.floor(u), Math.floor(v)]
  const [fu, fv] = [u - i, v - j]
  return (
    at(i, j) * (1 - fu) * (1 - fv) +
    at(i + 1, j) * fu * (1 - fv) +
    at(i, j + 1) * (1 - fu) * fv +
    at(i + 1, j + 1) * fu * fv
  )
}

t.test('resampling, order and mask against a slow reference', async t => {
  const [width, height] = [70, 50]
  for (let trial = 0; trial < 20; trial++) {
    const rng = random('trial', trial)
    const canvas = { pixels: new Float32Array(width * height * 3), width, height }
    const owner = new Uint8Array(width * height)
    const want = new Uint8Array(width * height)
    let [unclear, worst] = [0, 0]
    for (let object = 1; object <= 3; object++) {
      const sprite = rng.pick(sprites)
      const placement = {
        x: rng.uniform(-5, width + 5),
        y: rng.uniform(-5, height + 5),
        size: rng.uniform(8, 80),
        angle: rng.uniform(-3, 3),
        shear: rng.uniform(-0.3, 0.3),
        stretch: rng.uniform(0.7, 1.4),
        mirror: rng.chance(0.5),
        ...(trial % 2 && {
          warp: {
            u: 0.05,
            v: 0.08,
            fu: 1.3,
            fv: 0.7,
            pu: rng.uniform(0, 6),
            pv: rng.uniform(0, 6),
          },
        }),
      }
      const tile = sample(sprite, placement, canvas, 0, new Scratch())
      const [full] = sprite.levels
      // The largest level that is not magnified, or the last.
      const scale = placement.size / Math.max(full.width, full.height)
      let k = 0
      while (k + 1 < sprite.levels.length && scale * 2 ** (k + 1) <= 1) k++
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const alpha = slowAlpha(sprite.levels[k], full, placement, x, y)
          const inside =
            tile &&
            x >= tile.x &&
            y >= tile.y &&
            x < tile.x + tile.width &&
            y < tile.y + tile.height
          const got = inside ? tile.rgba[((y - tile.y) * tile.width + x - tile.x) * 4 + 3] : 0
          worst = Math.max(worst, Math.abs(got - alpha))
          // Rounding may decide where the alpha is one half; both are right there.
          if (Math.abs(alpha - 127.5) < 0.01) {
            unclear++
            if (got >= 127.5) want[y * width + x] = object
          } else if (alpha >= 127.5) want[y * width + x] = object
        }
      if (tile) composite(canvas, owner, tile, object)
    }
    t.ok(worst < 0.01, `alpha off by ${worst} of 255, trial ${trial}`)
    t.ok(Buffer.from(owner).equals(want), `mask of trial ${trial}, ${unclear} pixels at one half`)
  }
})

t.test('a stroke reaches as far as it is wide', async t => {
  const [width, height] = [31, 31]
  const rgba = new Float32Array(width * height * 4)
  const inside = (x, y) => x >= 10 && x < 18 && y >= 12 && y < 20
  for (let i = 0; i < width * height; i++)
    if (inside(i % width, Math.floor(i / width))) rgba.set([200, 100, 50, 255], i * 4)
  outline({ x: 0, y: 0, width, height, rgba }, { radius: 2.5, color: [9, 8, 7] }, new Scratch())
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)]
    let nearest = Infinity
    for (let sy = 12; sy < 20; sy++)
      for (let sx = 10; sx < 18; sx++) nearest = Math.min(nearest, Math.hypot(sx - x, sy - y))
    const want = 255 * Math.min(1, Math.max(0, 3 - nearest))
    if (Math.abs(rgba[i * 4 + 3] - want) > 1e-3)
      t.fail(`${x}, ${y}: ${rgba[i * 4 + 3]}, not ${want}`)
    if (nearest === 0 && rgba[i * 4] !== 200) t.fail(`${x}, ${y}: the shape lost its color`)
  }
  t.pass('every pixel')
})

t.test('objects: boxes, areas and shares are those of the mask', async t => {
  for (let index = 0; index < 40; index++) {
    const { owner, objects, width, height, pixels } = compose(index, {
      seed: 'boxes',
      width: 80,
      height: 64,
    })
    t.equal(pixels.length, width * height * 3)
    objects.forEach(({ box: [x, y, w, h], area, visible }, k) => {
      const own = [...owner.keys()].filter(i => owner[i] === k + 1)
      t.equal(area, own.length)
      if (own.length === 0) return
      const [xs, ys] = [own.map(i => i % width), own.map(i => Math.floor(i / width))]
      t.same(
        [x, y, x + w - 1, y + h - 1],
        [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)],
      )
      t.ok(visible > 0 && visible <= 1)
    })
  }
})

t.test('evaluation sets: one label per class, nothing changed but the placement', async t => {
  for (const [set, { count }] of Object.entries(SETS)) {
    const scene = labelled(compose, set, 1, 3)
    t.equal(digest(labelled(compose, set, 1, 3)), digest(scene))
    t.equal(new Set(scene.classes).size, scene.classes.length)
    t.ok(Math.max(...scene.labels) < scene.classes.length)
    scene.owner.forEach((owner, i) => {
      const name = scene.classes[scene.labels[i]]
      const want = owner === 0 ? 'background' : scene.classes[1 + owner - 1]
      if (name !== want) t.fail(`${set}: a pixel of ${want} is labelled ${name}`)
    })
    t.ok(count > 0)
  }
  t.same(
    new Set(Array.from({ length: 90 }, (_, i) => labelled(compose, 'single', 1, i).classes[1]))
      .size,
    90,
    'singles show every concept',
  )
})

t.test('every background stays finite and has words', async t => {
  const kinds = new Set()
  for (let i = 0; i < 400; i++) {
    const canvas = { pixels: new Float32Array(33 * 20 * 3).fill(NaN), width: 33, height: 20 }
    const { kind, words } = paintBackground(canvas, random('background', i))
    kinds.add(kind)
    if (!canvas.pixels.every(Number.isFinite))
      t.fail(`${kind} leaves pixels unpainted, number ${i}`)
    if (words.length === 0) t.fail(`${kind} has no word`)
  }
  t.equal(kinds.size, 16)
})
