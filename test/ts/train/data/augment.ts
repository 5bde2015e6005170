import t from 'tap'
import { type Augment, augmentPicture } from '../../../../ts/train/data/augment.js'
import { randomFor } from '../../../../ts/train/data/seeds.js'

const none: Augment = {
  crop: [1, 1],
  ratio: [3 / 4, 4 / 3],
  mirror: 0,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  hue: 0,
}

/** Black with a white rectangle. */
function picture(width: number, height: number, [x1, y1, x2, y2]: readonly number[]) {
  const data = new Uint8Array(width * height * 3)
  for (let y = y1 as number; y < (y2 as number); y++) {
    data.fill(255, 3 * (y * width + (x1 as number)), 3 * (y * width + (x2 as number)))
  }
  return { data, width, height }
}

/** Bounds of what is lighter than mid-grey. */
function bounds({ data, width, height }: ReturnType<typeof picture>): number[] {
  const found = [width, height, 0, 0]
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((data[3 * (y * width + x)] as number) < 128) continue
      found[0] = Math.min(found[0] as number, x)
      found[1] = Math.min(found[1] as number, y)
      found[2] = Math.max(found[2] as number, x + 1)
      found[3] = Math.max(found[3] as number, y + 1)
    }
  }
  return found
}

t.test('without any change the picture is the same', async t => {
  const image = picture(40, 30, [5, 6, 20, 25])
  const { image: out, box } = await augmentPicture(image, none, 32, randomFor('x'))
  t.same({ ...out, data: [...out.data] }, { ...image, data: [...image.data] })
  t.same(box([5, 6, 20, 25]), [5, 6, 20, 25])
})

t.test('boxes follow crops and mirrors', async t => {
  const where = [30, 20, 70, 60] as const
  const image = picture(120, 90, where)
  let seen = 0
  for (let seed = 0; seed < 60; seed++) {
    const augment = { ...none, crop: [0.3, 0.9], mirror: 0.5 }
    const { image: out, box } = await augmentPicture(image, augment, 64, randomFor('boxes', seed))
    t.same([out.width, out.height, out.data.length], [64, 64, 64 * 64 * 3])
    const moved = box(where)
    if (!moved) continue
    seen++
    const found = bounds(out as ReturnType<typeof picture>)
    // Edges are blurred by the resampling: half a pixel of the picture, 1.4 here, and the rounding.
    const off = Math.max(...moved.map((at, i) => Math.abs(at - (found[i] as number))))
    t.ok(off < 2, `seed ${seed}: ${moved} for ${found}`)
  }
  t.ok(seen > 40, `${seen} boxes stayed`)
})

t.test('a mirror is exact, and what leaves the crop has no box', async t => {
  const image = picture(40, 30, [5, 6, 20, 25])
  const { image: out, box } = await augmentPicture(
    image,
    { ...none, mirror: 1 },
    32,
    randomFor('m'),
  )
  t.same(box([5, 6, 20, 25]), [20, 6, 35, 25])
  t.same(bounds(out as ReturnType<typeof picture>), [20, 6, 35, 25])
  t.equal(box([-20, 0, 1, 30]), undefined)
  t.equal(box([5, 5, 5, 20]), undefined)
})

t.test('colours change within their ranges and the same seed gives the same', async t => {
  const grey = { data: new Uint8Array(16 * 16 * 3).fill(100), width: 16, height: 16 }
  const brighter = { ...none, brightness: 0.5 }
  const values = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const { image } = await augmentPicture(grey, brighter, 16, randomFor('c', seed))
    const again = await augmentPicture(grey, brighter, 16, randomFor('c', seed))
    t.same([...image.data], [...again.image.data])
    values.add(image.data[0] as number)
  }
  t.ok(values.size > 10)
  const contrast = { ...none, contrast: 0.9 }
  const mid = { data: new Uint8Array(12).fill(128), width: 2, height: 2 }
  const { image } = await augmentPicture(mid, contrast, 2, randomFor('k'))
  t.same([...image.data], Array(12).fill(128), 'contrast turns around mid-grey')
  const all = { ...none, saturation: 0.4, hue: 20, brightness: 0.2, contrast: 0.2 }
  t.equal((await augmentPicture(grey, all, 16, randomFor('a'))).image.data.length, 16 * 16 * 3)
})
