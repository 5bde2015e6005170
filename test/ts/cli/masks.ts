import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { readIndexPicture } from '../../../ts/image/index-png.js'
import { decodeMasks, type GeneratedMask } from '../../../ts/index.js'
import { finish, type Result } from '../../support/child.js'

const FIXTURE = join(packageRoot, 'test/fixtures/sam-decoder')
const SAM = join(FIXTURE, 'sam.safetensors')
const photo = join(FIXTURE, 'small.png')
/** Few points, no filter. */
const QUICK = [
  ...['--model', SAM, '--points-per-side', '2'],
  ...['--pred-iou-threshold', '0', '--stability-threshold', '0'],
]

const declip = (...args: string[]): Promise<Result> =>
  finish(spawn(process.execPath, [join(packageRoot, 'dist/cli/main.js'), 'masks', ...args]))

t.test('masks as a label picture, an archive and JSON', async t => {
  const dir = t.testdir()
  const png = join(dir, 'map.png')
  const json = join(dir, 'masks.json')
  const first = await declip(photo, ...QUICK, '--out', png, '--json')
  t.equal(first.code, 0, first.err)
  const report = JSON.parse(first.out) as {
    size: { width: number; height: number }
    masks: GeneratedMask[]
  }
  const { masks, size } = report
  t.ok(masks.length > 1)
  // The largest mask that has a pixel, numbered by area.
  const order = [...masks.keys()].sort(
    (a, b) => (masks[a] as GeneratedMask).area - (masks[b] as GeneratedMask).area,
  )
  using decoded = await decodeMasks(
    order.map(i => (masks[i] as GeneratedMask).rle),
    size,
  )
  const pixels = (await decoded.data()) as Uint8Array
  const wanted = new Uint8Array(size.width * size.height)
  for (let k = 0; k < order.length; k++) {
    for (let i = 0; i < wanted.length; i++) {
      if (pixels[k * wanted.length + i]) wanted[i] = k + 1
    }
  }
  const map = await readIndexPicture(png)
  t.same([...map.data], [...wanted])
  const second = await declip(photo, ...QUICK, '--out', json)
  t.equal(second.code, 0, second.err)
  t.match(second.out, /small\.png {2}120 x 120, \d+ masks, \d+ ms, written to/)
  const written = JSON.parse(readFileSync(json, 'utf8'))
  t.same(written, JSON.parse(JSON.stringify({ ...size, masks })))
})

t.test('a folder, with what is there left out', async t => {
  const dir = t.testdir({ photos: {}, out: {} })
  for (const name of ['a.png', 'b.png']) copyFileSync(photo, join(dir, 'photos', name))
  const out = join(dir, 'out')
  const args = [join(dir, 'photos'), ...QUICK, '--out', out, '--format', 'npz']
  const first = await declip(...args, '--skip-existing')
  t.equal(first.code, 0, first.err)
  t.ok(['a.npz', 'b.npz'].every(name => existsSync(join(out, name))))
  const before = statSync(join(out, 'a.npz')).mtimeMs
  const second = await declip(...args, '--skip-existing')
  t.equal(second.code, 0, second.err)
  t.match(second.err, /2 skipped/)
  t.equal(statSync(join(out, 'a.npz')).mtimeMs, before)
})

t.test('what is missing is said', async t => {
  const cases: [args: string[], line: RegExp][] = [
    [[photo, '--out', 'x.png'], /Give --model: a SAM/],
    [[photo, ...QUICK], /Give --out <file>, --json or both/],
    [[photo, ...QUICK, '--out', 'x.png', '--format', 'npz'], /--out writes \.npz files/],
    [[photo, '--model', SAM, '--points-per-side', '0', '--json'], /Expected a whole number/],
  ]
  for (const [args, line] of cases) {
    const { code, err } = await declip(...args)
    t.equal(code, 2, err)
    t.match(err, line)
  }
  const other = await declip(photo, '--model', 'words-tiny', '--json')
  t.equal(other.code, 1)
  t.match(other.err, /ERR_DECLIP_WEIGHTS.*SAM/)
})

t.test('masks of points and boxes', async t => {
  const dir = t.testdir()
  const config = ['--model', join(FIXTURE, 'sam.safetensors')]
  const one = join(dir, 'one.png')
  const click = await declip(photo, ...config, '--point', '60,50', '--out', one, '--json')
  t.equal(click.code, 0, click.err)
  const found = JSON.parse(click.out)
  t.match(found, { width: 120, height: 120, prompts: 1, masksPerPrompt: 1, out: [one] })
  const map = await readIndexPicture(one)
  t.equal([...map.data].filter(value => value === 1).length, found.areas[0], 'index 1 is inside')
  const two = await declip(
    photo,
    ...config,
    ...['--box', '10,10,60,60', '--box', '50,40,110,100', '--out', join(dir, 'box.png')],
  )
  t.equal(two.code, 0, two.err)
  t.match(two.out, /prompt 1: \d+ pixels in .*\nprompt 2: /)
  t.ok(existsSync(join(dir, 'box-1.png')) && existsSync(join(dir, 'box-2.png')))
  for (const [flags, message] of [
    [['--point', '1'], /--point must be 2 or 3 numbers/],
    [['--box', '1,2,3,x'], /--box must be 4 numbers/],
    [['--point', '1,2', '--box', '1,2,3,4', '--box', '1,2,3,4'], /one --box at most/],
    [['--point', '500,2'], /points\[0\] must be inside the picture/],
    [['--point', '1,2', '--out', join(dir, 'a.npz')], /write \.png files/],
  ] as const) {
    const refused = await declip(photo, ...config, '--json', ...flags)
    t.not(refused.code, 0)
    t.match(refused.err, message)
  }
})
