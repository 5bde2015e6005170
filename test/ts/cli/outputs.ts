import { join } from 'node:path'
import t from 'tap'
import { planOutputs } from '../../../ts/cli/outputs.js'

const code = 'ERR_DECLIP_INVALID_ARG'

t.test('a file, a folder, a pattern', async t => {
  const dir = t.testdir({ 'v1.0': {} })
  t.strictSame(await planOutputs(['a/cat.jpg'], {}), [{}])
  t.strictSame(await planOutputs(['a/cat.jpg'], { out: 'm.png', logits: 'l.safetensors' }), [
    { mask: 'm.png', logits: 'l.safetensors' },
  ])
  for (const folder of ['masks', 'masks/', './masks']) {
    t.strictSame(
      await planOutputs(['a/cat.jpg', 'b/dog.v2.png'], {
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
  t.strictSame(await planOutputs(['cat.jpg'], { out: join(dir, 'v1.0') }), [
    { mask: join(dir, 'v1.0', 'cat.png') },
  ])
  const dollars = ['cost $$5.jpg', 'cost $5.jpg', "$& $1 $' $`.jpg"]
  t.strictSame(
    await planOutputs(dollars, { out: 'm/' }),
    dollars.map(name => ({ mask: join('m', name.replace('.jpg', '.png')) })),
    'no replacement patterns',
  )
  t.strictSame(await planOutputs(['x.jpg', 'y.jpg'], { out: 'm/{name}-{name}.png' }), [
    { mask: 'm/x-x.png' },
    { mask: 'm/y-y.png' },
  ])
})

t.test('refuses what would lose data', async t => {
  const refused = (images: string[], flags: object, message: RegExp) =>
    t.rejects(planOutputs(images, flags), { code, message }, String(message))
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
