import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { prepareAddon } from '../../../ts/engine/load-addon.js'
import { DeclipError, Tensor } from '../../../ts/index.js'
import {
  holdProvider,
  type MaskPicture,
  type MaskProvider,
  toRegionMap,
} from '../../../ts/masks/provider.js'
import { npy, npz } from '../../support/npz.js'

const [WIDTH, HEIGHT] = [7, 5]
const PIXELS = WIDTH * HEIGHT

const picture: MaskPicture = {
  path: '/photos/park.jpg',
  width: WIDTH,
  height: HEIGHT,
  pixels: async () => ({ data: new Uint8Array(3 * PIXELS), width: WIDTH, height: HEIGHT }),
}

t.before(prepareAddon)

/** The regions that a provider gives, row by row. */
async function regionsOf(provider: MaskProvider, of = picture): Promise<number[]> {
  const native = await toRegionMap(holdProvider(provider), of, {})
  using map = new Tensor(native)
  t.same(map.shape, [of.height, of.width])
  t.equal(map.dtype, 'int32')
  return [...((await map.data()) as Int32Array)]
}

/** Masks with a seed, as rows of 0 and 1. */
function randomMasks(count: number, seed: number): Uint8Array[] {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: count }, () => {
    const share = next()
    return Uint8Array.from({ length: PIXELS }, () => (next() < share ? 1 : 0))
  })
}

/** Masks painted one over the other in ascending order of their keys, those of one key in their order. */
function painted(masks: readonly Uint8Array[], keys: readonly number[]): number[] {
  const order = [...masks.keys()].sort((a, b) => Number(keys[a]) - Number(keys[b]) || a - b)
  const map: number[] = Array(PIXELS).fill(0)
  for (const [i, k] of order.entries()) {
    for (let p = 0; p < PIXELS; p++) if (masks[k]?.[p]) map[p] = i + 1
  }
  return map
}

const areas = (masks: readonly Uint8Array[]) => masks.map(m => m.reduce((a, b) => a + b, 0))

/** Run lengths down the columns, pixel by pixel. */
function runs(mask: Uint8Array) {
  const counts = [0]
  let inside = 0
  for (let x = 0; x < WIDTH; x++) {
    for (let y = 0; y < HEIGHT; y++) {
      const value = mask[y * WIDTH + x] as number
      if (value !== inside) {
        inside = value
        counts.push(0)
      }
      counts[counts.length - 1] = (counts.at(-1) as number) + 1
    }
  }
  return { size: [HEIGHT, WIDTH] as const, counts }
}

const flat = (masks: readonly Uint8Array[]) => Uint8Array.from(masks.flatMap(m => [...m]))

t.test('masks that overlap are painted in the order that was asked for', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const masks = randomMasks(seed, seed)
    const scores = masks.map((_, i) => ((i * 7) % 3) - 1)
    const list = masks.map(runs)
    using tensor = Tensor.from(flat(masks), [masks.length, HEIGHT, WIDTH])
    const orders = [
      [undefined, areas(masks)],
      ['area', areas(masks)],
      ['list', masks.map((_, i) => i)],
      ['score', scores],
    ] as const
    for (const [order, keys] of orders) {
      const expected = painted(masks, keys)
      t.same(await regionsOf({ masks: list, order, scores }), expected, `${order} of a list`)
      t.same(await regionsOf({ masks: tensor, order, scores }), expected, `${order} of a tensor`)
      const made = () => ({ masks: list, order, scores })
      t.same(await regionsOf(made), expected, `${order} of a function`)
    }
    t.same(await regionsOf(list), painted(masks, areas(masks)))
    t.same(await regionsOf(tensor), painted(masks, areas(masks)))
  }
})

t.test('what is around a function stands above what it gives', async t => {
  const masks = randomMasks(4, 9)
  const made = async () => ({ masks: masks.map(runs), order: 'area' as const })
  t.same(
    await regionsOf({ masks: made, order: 'list' }),
    painted(
      masks,
      masks.map((_, i) => i),
    ),
  )
})

t.test('polygons are painted, too', async t => {
  const square = (x: number, y: number, side: number) => [
    [x, y, x + side, y, x + side, y + side, x, y + side],
  ]
  const found = await regionsOf([square(0, 0, 4), square(1, 1, 2)])
  const expected = Array.from({ length: PIXELS }, (_, i) => {
    const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)]
    return x < 4 && y < 4 ? 2 : 0
  })
  t.same(found, expected, 'the larger one lies above')
})

t.test('a label picture and a map are taken as they are', async t => {
  const values = Uint8Array.from({ length: PIXELS }, (_, i) => [0, 3, 255, 7][i % 4] as number)
  const wide = Uint16Array.from(values, v => 100 * v)
  t.same(await regionsOf({ data: values, width: WIDTH, height: HEIGHT }), [...values])
  t.same(await regionsOf({ data: wide, width: WIDTH, height: HEIGHT }), [...wide])
  const map = Int32Array.from(values, v => v - 3)
  using tensor = Tensor.from(map, [HEIGHT, WIDTH])
  t.same(await regionsOf(tensor), [...map])
})

const ROWS = Array.from({ length: PIXELS }, (_, i) => (i * 5) % 11)

t.test('NumPy archives of every type of whole numbers', async t => {
  const folder = t.testdir()
  const types = [
    '|i1',
    '|u1',
    '<i2',
    '>i2',
    '<u2',
    '<i4',
    '>i4',
    '<u4',
    '<i8',
    '>i8',
    '<u8',
  ] as const
  for (const descr of types) {
    for (const fortran of [false, true]) {
      for (const compressed of [false, true]) {
        const array = npy(ROWS, [HEIGHT, WIDTH], { descr, fortran })
        const bytes = npz({ instance_mask: array, other: array }, { compressed })
        t.same(await regionsOf({ npz: bytes }), ROWS, `${descr} ${fortran} ${compressed}`)
      }
    }
  }
  const path = join(folder, 'park.NPZ')
  const negative = ROWS.map(v => v - 5)
  await writeFile(path, npz({ regions: npy(negative, [HEIGHT, WIDTH], { descr: '<i8' }) }))
  t.same(await regionsOf(path), negative, 'the only array of a file, by its path')
  t.same(await regionsOf({ npz: path }), negative)
})

t.test('a NumPy archive of masks', async t => {
  const masks = randomMasks(3, 4)
  for (const fortran of [false, true]) {
    const array = npy([...flat(masks)], [3, HEIGHT, WIDTH], { descr: '|b1', fortran })
    const bytes = npz({ instance_mask: array }, { compressed: true })
    t.same(await regionsOf({ npz: bytes }), painted(masks, areas(masks)))
    t.same(
      await regionsOf({ masks: { npz: bytes }, order: 'list' }),
      painted(
        masks,
        masks.map((_, i) => i),
      ),
    )
  }
})

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }

t.test('archives that are damaged or hold something else', async t => {
  const good = npy(ROWS, [HEIGHT, WIDTH], { descr: '<i4' })
  const archive = npz({ instance_mask: good }, { compressed: true })
  const cases: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(), /no zip archive/],
    ['no zip', Buffer.from('regions'), /no zip archive/],
    ['cut', archive.subarray(0, archive.length - 30), /damaged/],
    ['no array', npz({}), /found none/],
    ['two arrays', npz({ a: good, b: good }), /found a, b/],
    ['floats', npz({ a: npy(ROWS, [HEIGHT, WIDTH], { descr: '<f4' }) }), /found <f4 \[5, 7\]/],
    ['a vector', npz({ a: npy(ROWS, [PIXELS], { descr: '<i4' }) }), /found <i4 \[35\]/],
    [
      'numbers [K, H, W]',
      npz({ a: npy(ROWS, [1, HEIGHT, WIDTH], { descr: '<i4' }) }),
      /\[1, 5, 7\]/,
    ],
    [
      'a map of booleans',
      npz({ a: npy(ROWS, [HEIGHT, WIDTH], { descr: '|b1' }) }),
      /\|b1 \[5, 7\]/,
    ],
    [
      'another size',
      npz({ a: npy(ROWS, [WIDTH, HEIGHT], { descr: '<i4' }) }),
      /\[5, 7\], found \[7, 5\]/,
    ],
    ['too few elements', npz({ a: good.subarray(0, good.length - 4) }), /140 bytes, found 136/],
    ['too many elements', npz({ a: Buffer.concat([good, good]) }), /140 bytes, found more/],
    ['no header', npz({ a: Buffer.from('regions of a picture') }), /no array|header/],
    ['a long header', npz({ a: longHeader() }), /no array of NumPy/],
    ['a wrong checksum', npz({ a: good }, { crc: 7 }), /checksum/],
    [
      'numbers beyond 32 bits',
      npz({ a: npy([2 ** 40, ...ROWS.slice(1)], [HEIGHT, WIDTH], { descr: '<i8' }) }),
      /32 bits/,
    ],
    [
      'numbers beyond 31 bits',
      npz({ a: npy([2 ** 31, ...ROWS.slice(1)], [HEIGHT, WIDTH], { descr: '<u4' }) }),
      /32 bits/,
    ],
    [
      'very many masks',
      npz({ a: npy([], [2 ** 40, HEIGHT, WIDTH], { descr: '|b1' }) }),
      /more than/,
    ],
  ]
  for (const [name, bytes, message] of cases) {
    await t.rejects(regionsOf({ npz: bytes }), { ...invalid, message }, name)
  }
  // Whatever byte is wrong, the error has a code.
  let refused = 0
  for (let i = 0; i < archive.length; i++) {
    const bytes = Uint8Array.from(archive)
    bytes[i] = (bytes[i] as number) ^ 0xff
    await regionsOf({ npz: bytes }).then(
      () => {},
      error => {
        refused += 1
        if (!(error instanceof DeclipError)) throw error
        if (error.code === 'ERR_DECLIP_INTERNAL') throw error
      },
    )
  }
  t.ok(refused > archive.length / 2, `${refused} of ${archive.length}`)
})

function longHeader(): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.write('\x93NUMPY\x02\x00', 'latin1')
  bytes.writeUInt32LE(2 ** 31, 8)
  return bytes
}

t.test('a folder has a file for every picture', async t => {
  const folder = t.testdir()
  const labels = Uint8Array.from(ROWS)
  const grey = { raw: { width: WIDTH, height: HEIGHT, channels: 1 } } as const
  await sharp(labels, grey).toColourspace('b-w').png().toFile(join(folder, 'desk.png'))
  await writeFile(
    join(folder, 'park.npz'),
    npz({
      instance_mask: npy(
        ROWS.map(v => v + 1),
        [HEIGHT, WIDTH],
        { descr: '<u2' },
      ),
    }),
  )
  await mkdir(join(folder, 'taken.png'))
  const of = (path?: string) => ({ ...picture, path })
  t.same(
    await regionsOf(folder),
    ROWS.map(v => v + 1),
  )
  t.same(await regionsOf(folder, of('photos/desk.webp')), ROWS)
  const missing = regionsOf(folder, of('photos/lake.v2.jpg'))
  await t.rejects(missing, {
    code: 'ERR_DECLIP_IO',
    message: /'photos\/lake.v2.jpg': there is neither lake.v2.npz nor lake.v2.png/,
  })
  await t.rejects(regionsOf(folder, of('taken.jpg')), { code: 'ERR_DECLIP_IO' })
  await t.rejects(regionsOf(folder, of()), { ...invalid, message: /this picture is no file/ })
  await t.rejects(regionsOf(join(folder, 'none.png')), { code: 'ERR_DECLIP_IO' })
})

t.test('a function is asked once, is told of the picture, and may give any masks', async t => {
  const folder = t.testdir()
  const path = join(folder, 'masks.npz')
  await writeFile(path, npz({ a: npy(ROWS, [HEIGHT, WIDTH], { descr: '<i4' }) }))
  let calls = 0
  const found = await regionsOf(async ({ path: of, width, height, pixels }) => {
    calls += 1
    t.equal(of, picture.path)
    const { data } = await pixels()
    t.equal(data.length, 3 * width * height)
    return path
  })
  t.same(found, ROWS)
  t.equal(calls, 1)
})

t.test('what a function does wrong is an error of the picture', async t => {
  const failing: [MaskProvider, RegExp][] = [
    [
      () => Promise.reject(new Error('no network')),
      /park.jpg': the function .* failed: no network/,
    ],
    [
      () => {
        throw new TypeError('oh')
      },
      /failed: oh/,
    ],
    [() => undefined as never, /masks must be a uint8 Tensor/],
    [() => (() => []) as never, /another function/],
    [() => ({ data: new Uint8Array(6), width: 2, height: 3 }), /7 x 5, received 2 x 3/],
    [() => [{ size: [2, 2], counts: [4] }], /masks\[0\]: size must be/],
    [() => ({ masks: [], order: 'size' as never }), /masks.order/],
    [
      { masks: [runs(new Uint8Array(PIXELS))], order: 'score' },
      /scores must be a finite number for each of the 1/,
    ],
  ]
  for (const [provider, message] of failing) {
    await t.rejects(regionsOf(provider), { ...invalid, message })
  }
  using other = Tensor.from(new Int32Array(6), [2, 3])
  await t.rejects(regionsOf(other), { ...invalid, message: /7 x 5, received 3 x 2/ })
  const io = new DeclipError('ERR_DECLIP_IO', 'the disk is gone')
  await t.rejects(
    regionsOf(() => Promise.reject(io)),
    { code: 'ERR_DECLIP_IO' },
  )
  const maker = { kind: 'sam', masksOf: async () => Promise.reject(new Error('no memory')) }
  await t.rejects(regionsOf(maker), {
    ...invalid,
    message: /sam that makes them failed: no memory/,
  })
})

t.test('a function that never ends is left when the signal fires', async t => {
  const stop = new AbortController()
  let seen: AbortSignal | undefined
  const never = ({ signal }: MaskPicture) => {
    seen = signal
    setImmediate(() => stop.abort())
    return new Promise<never>(() => {})
  }
  const { signal } = stop
  const asked = toRegionMap(never, { ...picture, signal }, { signal })
  await t.rejects(asked, { name: 'AbortError', code: 'ERR_DECLIP_ABORTED' })
  t.equal(seen, signal)
  await t.rejects(toRegionMap(never, picture, { signal }), { code: 'ERR_DECLIP_ABORTED' })
})

t.test('what is no provider is refused at once', async t => {
  for (const value of [7, null, true, {}, new Float32Array(3), new Date()]) {
    t.throws(() => holdProvider(value as never), invalid)
  }
  t.throws(() => holdProvider({ npz: 7 } as never), invalid)
  t.throws(() => holdProvider({ masks: { masks: [] } } as never), invalid)
  t.throws(() => holdProvider({ masks: [], scores: 3 } as never), invalid)
})

t.test('what the caller changes later is not seen', async t => {
  const data = Uint8Array.from(ROWS)
  const list = [runs(Uint8Array.from(ROWS, v => (v > 0 ? 1 : 0)))]
  const held = [holdProvider({ data, width: WIDTH, height: HEIGHT }), holdProvider({ masks: list })]
  data.fill(0)
  list.length = 0
  t.same(await regionsOf(held[0] as MaskProvider), ROWS)
  t.same(
    await regionsOf(held[1] as MaskProvider),
    ROWS.map(v => (v > 0 ? 1 : 0)),
  )
})
