import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as tar from 'tar'
import { openShards } from '../../../../../ts/train/data/sources/shards.js'
import { indexTar } from '../../../../../ts/train/data/sources/tar-index.js'
import { writeShards } from '../../../../support/training.js'

const folder = t.testdir()
const pattern = await writeShards(folder, 2, 3)

/** A tar file of names and contents, in this order. */
async function archive(name: string, files: Record<string, string>, options = {}): Promise<string> {
  const inside = t.testdir(Object.fromEntries(Object.entries(files)))
  const file = join(folder, name)
  await tar.create({ file, cwd: inside, ...options }, Object.keys(files))
  return file
}

t.test('samples of all shards, in their order', async t => {
  const source = await openShards(pattern)
  t.equal(source.length, 6)
  const items = await Promise.all([0, 1, 2, 3, 4, 5].map(i => source.read(i)))
  t.same(
    items.map(({ caption }) => caption),
    ['red', 'green', 'blue', 'green', 'blue', 'red'].map(colour => `a ${colour} square`),
  )
  t.same(items[1]?.regions, [{ box: [5, 3, 16, 16], label: 'green square' }])
  const picture = readFileSync(join(folder, 'shard-1', '000102.jpg'))
  t.ok(picture.equals(items[5]?.picture as Buffer))
  t.match(items[5]?.name, /train-1\.tar:000102\.jpg$/)
})

t.test('the index has the bytes that tar itself unpacks', async t => {
  const long = `${'folder-'.repeat(20)}/${'name-'.repeat(30)}.jpg`
  const [outer, inner] = long.split('/') as [string, string]
  const cwd = t.testdir({
    [outer]: { [inner]: 'long name' },
    'a.jpg': '',
    'b.JPG': 'x'.repeat(1025),
  })
  for (const options of [{ portable: true }, { portable: true, noPax: true }, {}]) {
    const names = options.noPax ? ['a.jpg', 'b.JPG'] : [long, 'a.jpg', 'b.JPG']
    const file = join(folder, 'index.tar')
    await tar.create({ file, cwd, ...options }, names)
    const bytes = readFileSync(file)
    const { entries } = await indexTar(file)
    t.same(
      entries.map(({ path, offset, size }) => [
        path,
        bytes.toString('utf8', offset, offset + size),
      ]),
      names.map(name => [name, readFileSync(join(cwd, name), 'utf8')]),
    )
  }
})

t.test('files of one sample share their name up to the first dot', async t => {
  const file = await archive('groups.tar', {
    'a.seg.png': 'no picture of its own',
    'a.jpg': 'picture a',
    'b.txt': 'a caption without a picture',
    'c.png': 'picture c',
    'c.json': '{"caption": "from json"}',
    'd.webp': 'picture d',
  })
  const source = await openShards(file)
  const items = await Promise.all([0, 1, 2].map(i => source.read(i)))
  t.equal(source.length, 3)
  t.same(
    items.map(({ picture, caption }) => [String(picture), caption]),
    [
      ['picture a', undefined],
      ['picture c', 'from json'],
      ['picture d', undefined],
    ],
  )
})

t.test('the digest tells other data', async t => {
  const one = await openShards(await archive('one.tar', { 'a.jpg': 'x' }, { portable: true }))
  const same = await openShards(await archive('one.tar', { 'a.jpg': 'x' }, { portable: true }))
  const more = await openShards(await archive('one.tar', { 'a.jpg': 'xy' }, { portable: true }))
  t.equal(one.digest, same.digest)
  t.not(one.digest, more.digest)
})

t.test('what is no shard is refused', async t => {
  const code = 'ERR_DECLIP_IO'
  await t.rejects(openShards(join(folder, 'none-{0..3}.tar')), { code, message: /none-0\.tar/ })
  const cut = await archive('cut.tar', { 'a.jpg': 'x'.repeat(5000) })
  truncateSync(cut, 2000)
  await t.rejects(openShards(cut), { code, message: /it ends within a\.jpg/ })
  const other = join(folder, 'other.tar')
  writeFileSync(other, Buffer.alloc(2048, 7))
  await t.rejects(openShards(other), { code, message: /no tar header at byte 0/ })
  const empty = await archive('empty.tar', { 'a.txt': 'x' })
  await t.rejects(openShards(empty), { code: 'ERR_DECLIP_INVALID_ARG', message: /is a picture/ })
  for (const json of ['{', '{"regions": [{"box": [1, 2]}]}', '{"caption": 5}', '[{}, 5']) {
    const source = await openShards(await archive('json.tar', { 'a.jpg': 'x', 'a.json': json }))
    await t.rejects(source.read(0), { code, message: /a\.json/ }, json)
  }
})
