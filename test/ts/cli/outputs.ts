import { basename, join, resolve } from 'node:path'
import t from 'tap'
import { outputFolders, planOutputs, type Target } from '../../../ts/cli/outputs.js'

const code = 'ERR_DECLIP_INVALID_ARG'

interface Flags {
  out?: string
  overlay?: string
  logits?: string
}

const targets = ({ out, overlay, logits }: Flags): Target[] => [
  { kind: 'mask', flag: 'out', extension: '.png', inFolder: '{name}.png', given: out },
  {
    kind: 'overlay',
    flag: 'overlay',
    extension: '.png',
    inFolder: '{name}-overlay.png',
    given: overlay,
  },
  {
    kind: 'logits',
    flag: 'logits',
    extension: '.safetensors',
    inFolder: '{name}.safetensors',
    given: logits,
  },
]

/** The plan of pictures that were named themselves, or whose places are given. */
const plan = (names: string[], flags: Flags, places = names.map(name => basename(name))) =>
  planOutputs(
    names.map((name, i) => ({ name, place: places[i] ?? '' })),
    targets(flags),
  )

t.test('a file, a folder, a pattern', async t => {
  const dir = t.testdir({ 'v1.0': {} })
  t.strictSame(await plan(['a/cat.jpg'], {}), [{}])
  t.strictSame(await plan(['a/cat.jpg'], { out: 'm.png', logits: 'l.safetensors' }), [
    { mask: 'm.png', logits: 'l.safetensors' },
  ])
  for (const folder of ['masks', 'masks/', './masks']) {
    t.strictSame(
      await plan(['a/cat.jpg', 'b/dog.v2.png'], {
        out: folder,
        overlay: folder,
        logits: folder,
      }),
      ['cat', 'dog.v2'].map(name => ({
        mask: join(folder, `${name}.png`),
        overlay: join(folder, `${name}-overlay.png`),
        logits: join(folder, `${name}.safetensors`),
      })),
      folder,
    )
  }
  t.strictSame(await plan(['cat.jpg'], { out: join(dir, 'v1.0') }), [
    { mask: join(dir, 'v1.0', 'cat.png') },
  ])
  const dollars = ['cost $$5.jpg', 'cost $5.jpg', "$& $1 $' $`.jpg"]
  t.strictSame(
    await plan(dollars, { out: 'm/' }),
    dollars.map(name => ({ mask: join('m', name.replace('.jpg', '.png')) })),
    'no replacement patterns',
  )
  t.strictSame(await plan(['x.jpg', 'y.jpg'], { out: 'm/{name}-{name}.png' }), [
    { mask: 'm/x-x.png' },
    { mask: 'm/y-y.png' },
  ])
})

t.test('refuses what would lose data', async t => {
  const refused = (images: string[], flags: object, message: RegExp) =>
    t.rejects(plan(images, flags), { code, message }, String(message))
  await refused(['a.jpg'], { out: 'm.jpg' }, /--out writes \.png files, received 'm\.jpg'/)
  await refused(['a.jpg'], { logits: 'm.npy' }, /--logits writes \.safetensors files/)
  await refused(['a.jpg', 'b.jpg'], { out: 'm.png' }, /--out must be a folder or contain \{name\}/)
  await refused(
    ['a/x.jpg', 'b/x.png'],
    { out: 'm/' },
    /--out of 'b\/x\.png' would be m\/x\.png, which is the --out of 'a\/x\.jpg'/,
  )
  await refused(['a.png'], { out: './' }, /a\.png, which is a picture that is read/)
  await refused(['a.png', 'b.png'], { overlay: './{name}.png' }, /a picture that is read/)
  await refused(
    ['a.jpg'],
    { out: 'm.png', overlay: './m.png' },
    /--overlay of .* which is the --out/,
  )
})

t.test('places keep pictures of different folders apart', async t => {
  const places = ['x.jpg', 'sub/x.jpg', 'sub/x.png']
  const files = async (out: string) =>
    (await plan(['p/x.jpg', 'p/sub/x.jpg', 'p/sub/x.png'], { out }, places)).map(({ mask }) => mask)
  t.strictSame(
    await files('m/{file}.png'),
    ['x.jpg.png', 'sub/x.jpg.png', 'sub/x.png.png'].map(name => join('m', name)),
  )
  await t.rejects(files('m/'), {
    code,
    message:
      /--out of 'p\/sub\/x\.png' would be .*, which is the --out of 'p\/sub\/x\.jpg'.*\{file\}/,
  })
})

t.test('the folders that outputs go to', async t => {
  const dir = t.testdir({ masks: {} })
  const out = join(dir, 'masks')
  t.strictSame(await outputFolders(targets({ out })), new Set([out]))
  t.strictSame(
    await outputFolders(targets({ out: 'a/b/{name}-m.png', logits: 'c/' })),
    new Set([resolve('a/b'), resolve('c')]),
  )
  t.strictSame(await outputFolders(targets({ out: 'a/m.png' })), new Set())
  t.strictSame(await outputFolders([]), new Set())
})
