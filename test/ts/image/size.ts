import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { pictureSize } from '../../../ts/image/size.js'
import { png } from '../../support/png.js'
import { writeTree } from '../../support/tree.js'

t.test('by the header, after its orientation', async t => {
  const picture = sharp({ create: { width: 30, height: 20, channels: 3, background: 'red' } })
  const plain = await picture.clone().jpeg().toBuffer()
  const turned = await picture.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer()
  const whole = png(7, 5, Array(35).fill(0))
  const folder = writeTree(t.testdir(), {
    'plain.jpg': plain,
    'turned.jpg': turned,
    'a.png': whole,
    'headonly.jpg': plain.subarray(0, -4),
  })
  const sizeOf = (name: string) => pictureSize(join(folder, name))
  t.same(await sizeOf('plain.jpg'), { width: 30, height: 20 })
  t.same(await sizeOf('turned.jpg'), { width: 20, height: 30 })
  t.same(await sizeOf('a.png'), { width: 7, height: 5 })
  t.same(await sizeOf('headonly.jpg'), { width: 30, height: 20 }, 'pixels are not looked at')
})

t.test('what has no header', async t => {
  const folder = writeTree(t.testdir(), { 'a.jpg': 'text', 'empty.jpg': '' })
  for (const name of ['a.jpg', 'empty.jpg']) {
    await t.rejects(pictureSize(join(folder, name)), {
      code: 'ERR_DECLIP_IMAGE',
      message: new RegExp(name.replace('.', '\\.')),
    })
  }
  await t.rejects(pictureSize(join(folder, 'none.jpg')), { code: 'ERR_DECLIP_IO' })
})
