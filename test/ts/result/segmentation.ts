import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, inflateSync } from 'node:zlib'
import sharp from 'sharp'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { Tensor } from '../../../ts/engine/tensor.js'
import { DeclipError } from '../../../ts/errors.js'
import { vocColor } from '../../../ts/result/palette.js'
import { Segmentation, type SegmentationParts } from '../../../ts/result/segmentation.js'

const WIDTH = 5
const HEIGHT = 4
const LABELS = Uint8Array.of(0, 0, 2, 2, 2, 0, 0, 2, 1, 2, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0)

const addon = loadAddon()

interface FakeTensor extends Partial<Tensor> {
  disposed: number
}

function fakeTensor(values: Uint8Array | Uint16Array | Float32Array, shape: number[]): Tensor {
  const tensor: FakeTensor = {
    shape,
    disposed: 0,
    native: Tensor.from(values, shape).native,
    data: async () => values.slice(),
    dispose: () => {
      tensor.disposed++
    },
  }
  return tensor as Tensor
}

function make(parts: Partial<SegmentationParts> = {}): Segmentation {
  return new Segmentation({
    labels: fakeTensor(LABELS, [HEIGHT, WIDTH]),
    classes: ['background', 'cat', 'sofa', 'unseen'],
    counts: [11, 1, 8, 0],
    background: 0,
    timings: { encodeMs: 2, pixelsMs: 1 },
    addon: { ...addon, writeSafetensors: async () => {} },
    ...parts,
  })
}

/** A PNG by its specification: chunks with their checksums, rows without filters. */
function parsePng(png: Uint8Array) {
  const bytes = Buffer.from(png)
  t.same([...bytes.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10])
  const chunks = new Map<string, Buffer>()
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    const checked = bytes.subarray(at + 4, at + 8 + length)
    t.equal(bytes.readUInt32BE(at + 8 + length), crc32(checked))
    chunks.set(checked.toString('latin1', 0, 4), checked.subarray(4))
    at += 12 + length
  }
  const header = chunks.get('IHDR') ?? Buffer.alloc(13)
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const lines = inflateSync(chunks.get('IDAT') ?? '')
  const stride = lines.length / height
  const rows = Array.from({ length: height }, (_, y) =>
    lines.subarray(y * stride, (y + 1) * stride),
  )
  t.ok(rows.every(row => row[0] === 0))
  const data = Buffer.concat(rows.map(row => row.subarray(1)))
  return {
    width,
    height,
    depth: header[8],
    colorType: header[9],
    palette: chunks.get('PLTE'),
    data,
  }
}

t.test('what a segmentation says of itself', async t => {
  const seg = make()
  t.match(seg, { width: WIDTH, height: HEIGHT, areas: [0.55, 0.05, 0.4, 0] })
  t.same(JSON.parse(JSON.stringify(seg)), {
    classes: ['background', 'cat', 'sofa', 'unseen'],
    areas: [0.55, 0.05, 0.4, 0],
    size: [HEIGHT, WIDTH],
    timings: { encodeMs: 2, pixelsMs: 1 },
  })
  t.throws(() => (seg.classes as string[]).push('x'), TypeError)
})

t.test('a mask PNG holds the labels as palette indices', async t => {
  const png = await make().toPNG()
  const parsed = parsePng(png)
  t.match(parsed, { width: WIDTH, height: HEIGHT, depth: 8, colorType: 3 })
  t.same([...parsed.data], [...LABELS])
  t.same([...(parsed.palette ?? [])], Array.from({ length: 256 }, (_, i) => vocColor(i)).flat())
  const seen = await sharp(png).removeAlpha().raw().toBuffer()
  t.same(
    [...seen],
    [...LABELS].flatMap(label => vocColor(label)),
  )
  t.same([...seen], [...(await make().toColor()).data])
})

t.test('own colours come first, the PASCAL VOC map after them', async t => {
  const palette = [
    [1, 2, 3],
    [4, 5, 6],
  ] as const
  const { palette: written } = parsePng(await make().toPNG({ palette }))
  t.same([...(written ?? [])].slice(0, 9), [1, 2, 3, 4, 5, 6, ...vocColor(2)])
  const color = await make().toColor({ palette })
  t.match(color, { width: WIDTH, height: HEIGHT, channels: 3 })
  t.same([...color.data.subarray(0, 9)], [1, 2, 3, 1, 2, 3, ...vocColor(2)])
  for (const bad of [[[1, 2]], [[1, 2, 256]], [[1, 2, 0.5]], 'viridis', [null]]) {
    await t.rejects(make().toPNG({ palette: bad as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
    await t.rejects(make().toColor({ palette: bad as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
})

t.test('more than 256 classes make a 16-bit grey PNG', async t => {
  const labels = Uint16Array.of(0, 255, 256, 65535)
  const png = await make({ labels: fakeTensor(labels, [2, 2]) }).toPNG()
  const parsed = parsePng(png)
  t.match(parsed, { width: 2, height: 2, depth: 16, colorType: 0, palette: undefined })
  t.same([...parsed.data.swap16()], [...new Uint8Array(labels.buffer)])
  const seen = await sharp(png).toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer()
  t.same([...new Uint16Array(seen.buffer, seen.byteOffset, 4)], [...labels])
})

t.test('an overlay colours the classes and leaves the background', async t => {
  const [width, height] = [60, 40]
  const inside = (i: number) => i % width >= 20 && i % width < 50 && i >= 10 * width
  const labels = Uint8Array.from({ length: width * height }, (_, i) => Number(inside(i)))
  const data = new Uint8Array(3 * width * height).fill(100)
  const seg = make({
    labels: fakeTensor(labels, [height, width]),
    classes: ['background', 'a cat & <its> "sofa"'],
    counts: [1500, 900],
    source: async () => ({ data, width, height }),
  })
  const decode = async (png: Uint8Array) =>
    sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const plain = await decode(await seg.toPNG({ overlay: { legend: false, opacity: 0.5 } }))
  t.match(plain.info, { width, height })
  const pixel = (x: number, y: number) => [
    ...plain.data.subarray(3 * (y * width + x)).subarray(0, 3),
  ]
  t.same(pixel(5, 5), [100, 100, 100], 'background')
  t.same(pixel(35, 25), [165, 63, 88], 'half of (230, 25, 75)')
  t.same(pixel(20, 25), [230, 25, 75], 'the rim takes the colour alone')
  t.same(pixel(35, 39), [165, 63, 88], "the picture's edge is no rim")

  const legend = await decode(await seg.toPNG({ overlay: true }))
  t.ok(legend.info.height > height + 20)
  const below = legend.data.subarray(3 * legend.info.width * height)
  const dark = below.reduce((n, v) => n + Number(v < 80), 0)
  t.ok(dark > 200, `the legend has ink: ${dark}`)
  const raw = { data, width, height, channels: 3 as const }
  t.same(
    await seg.toPNG({ overlay: { image: raw } }),
    await seg.toPNG({ overlay: true }),
    'the same picture given again',
  )
  const own = await decode(
    await seg.toPNG({
      overlay: { legend: false },
      palette: [
        [0, 0, 0],
        [1, 2, 3],
      ],
    }),
  )
  t.same([...own.data.subarray(3 * (25 * width + 20)).subarray(0, 3)], [1, 2, 3])
})

t.test('an overlay needs its picture', async t => {
  const image = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 as const }
  await t.rejects(make().toPNG({ overlay: true }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /pass overlay: \{ image \}/,
  })
  await t.rejects(make().toPNG({ overlay: { image } }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /size of the labels, 5 x 4, received 1 x 1/,
  })
  for (const overlay of [{ opacity: 2 }, { opacity: Number.NaN }, null, 'yes']) {
    await t.rejects(make().toPNG({ overlay: overlay as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
})

t.test('an output that was begun goes on after dispose()', async t => {
  const seg = make({ labels: Tensor.from(LABELS, [HEIGHT, WIDTH]) })
  const begun = seg.toPNG()
  seg.dispose()
  t.same([...parsePng(await begun).data], [...LABELS])
  await t.rejects(seg.toPNG(), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('run lengths and polygons of every class', async t => {
  using seg = make({ labels: Tensor.from(LABELS, [HEIGHT, WIDTH]) })
  const rle = await seg.toRLE()
  t.same(rle[1], { size: [HEIGHT, WIDTH], counts: [13, 1, 6] })
  t.same(rle[3], { size: [HEIGHT, WIDTH], counts: [20] })
  const compressed = await seg.toRLE({ compressed: true })
  t.same(compressed[3], { size: [HEIGHT, WIDTH], counts: 'd0' })
  const polygons = await seg.toPolygons()
  t.same(
    polygons.map(list => list.length),
    [1, 1, 1, 0],
  )
  t.equal(polygons[2]?.[0]?.holes.length, 1)
  for (const tolerance of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as never]) {
    await t.rejects(seg.toPolygons({ tolerance }), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  const signal = AbortSignal.abort()
  await t.rejects(seg.toRLE({ signal }), { code: 'ERR_DECLIP_ABORTED' })
  await t.rejects(seg.toPolygons({ signal }), { code: 'ERR_DECLIP_ABORTED' })
  await t.rejects(seg.toRLE({ signal: 1 as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
})

t.test('files are whole or absent', async t => {
  const folder = t.testdir({})
  const seg = make()
  await seg.savePNG(join(folder, 'mask.png'))
  t.same(await readFile(join(folder, 'mask.png')), Buffer.from(await seg.toPNG()))
  await t.rejects(seg.savePNG(join(folder, 'overlay.png'), { overlay: true }))
  await t.rejects(seg.savePNG(''), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.same(await readdir(folder), ['mask.png'])
})

t.test('logits go to a safetensors file', async t => {
  const calls: unknown[] = []
  const writeSafetensors: SegmentationParts['addon']['writeSafetensors'] = async options => {
    calls.push(options)
  }
  const logits = fakeTensor(new Float32Array(80), [4, HEIGHT, WIDTH])
  await make({ logits, addon: { ...addon, writeSafetensors } }).saveLogits('out.safetensors')
  t.match(calls, [
    {
      path: 'out.safetensors',
      tensors: { logits: logits.native },
      metadata: { classes: '["background","cat","sofa","unseen"]' },
    },
  ])
  await t.rejects(make().saveLogits('x'), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /logits: true/,
  })
  const failing = async () => {
    throw Object.assign(new Error('disk full'), { code: 'ERR_DECLIP_IO' })
  }
  const broken = make({ logits, addon: { ...addon, writeSafetensors: failing } })
  const error = await broken.saveLogits('x').catch((e: unknown) => e)
  t.type(error, DeclipError)
  t.match(error, { code: 'ERR_DECLIP_IO', message: 'disk full' })
})

t.test('dispose gives every tensor back', async t => {
  const labels = fakeTensor(LABELS, [HEIGHT, WIDTH])
  const logits = fakeTensor(new Float32Array(80), [4, HEIGHT, WIDTH])
  const probabilities = fakeTensor(new Float32Array(80), [4, HEIGHT, WIDTH])
  const seg = make({ labels, logits, probabilities })
  seg.dispose()
  seg[Symbol.dispose]()
  for (const tensor of [labels, logits, probabilities]) {
    t.ok((tensor as unknown as FakeTensor).disposed >= 1)
  }
  t.match(seg.toJSON(), { size: [HEIGHT, WIDTH] })
  const calls: (() => Promise<unknown>)[] = [
    () => seg.toPNG(),
    () => seg.toPNG({ overlay: true }),
    () => seg.toColor(),
    () => seg.toRLE(),
    () => seg.toPolygons(),
    () => seg.savePNG('never-written.png'),
    () => seg.saveLogits('never-written.safetensors'),
  ]
  for (const call of calls)
    await t.rejects(async () => void (await call()), { code: 'ERR_DECLIP_DISPOSED' })
})
