import { join } from 'node:path'
import t from 'tap'
import { expandPattern, isPattern } from '../../../ts/cli/glob.js'

t.test('patterns', async t => {
  const dir = t.testdir({
    'a.jpg': '',
    'b.JPG': '',
    'c1.png': '',
    'c2.png': '',
    'c+.png': '',
    '.d.png': '',
    sub: { 'a.jpg': '', deep: { 'a.jpg': '', 'e.png': '' } },
    '.git': { 'a.jpg': '' },
  })
  const paths = async (pattern: string, ...avoid: string[]) => {
    const avoided = new Set(avoid.map(name => join(dir, name)))
    const found = await expandPattern(join(dir, pattern), avoided)
    t.equal(found.base, dir)
    return found.paths
  }
  t.strictSame(await paths('*.jpg'), ['a.jpg'])
  t.strictSame(await paths('*.{jpg,JPG}'), ['a.jpg', 'b.JPG'])
  t.strictSame(await paths('c?.png'), ['c+.png', 'c1.png', 'c2.png'])
  t.strictSame(await paths('c[0-9].png'), ['c1.png', 'c2.png'])
  t.strictSame(await paths('c[!1+].png'), ['c2.png'])
  t.strictSame(await paths('c[+].*'), ['c+.png'])
  t.strictSame(await paths('.*.png'), ['.d.png'])
  t.strictSame(await paths('**/a.jpg'), ['a.jpg', 'sub/a.jpg', 'sub/deep/a.jpg'])
  t.strictSame(await paths('**/a.jpg', 'sub/deep'), ['a.jpg', 'sub/a.jpg'])
  t.strictSame(await paths('*/deep/*'), ['sub/deep/a.jpg', 'sub/deep/e.png'])
  t.strictSame(await paths('s*'), ['sub'])
  t.strictSame(await paths('**/de*/**'), ['sub/deep/a.jpg', 'sub/deep/e.png'])
  t.strictSame(await paths('{su{b,c},x}/*.jpg'), ['sub/a.jpg'])
  t.strictSame(await paths('x*'), [])
  await t.rejects(paths('[z-a]'), { code: 'ERR_DECLIP_INVALID_ARG', message: /upwards/ })
  t.strictSame(['a.png', 'a*', 'a?', 'a[1]', '{a,b}', 'a(1).png'].map(isPattern), [
    false,
    true,
    true,
    true,
    true,
    false,
  ])
})
