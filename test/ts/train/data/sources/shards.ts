import { appendFileSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import * as tar from 'tar'
import { openShards } from '../../../../../ts/train/data/sources/shards.js'
import type { Needs } from '../../../../../ts/train/data/sources/source.js'
import { indexTar } from '../../../../../ts/train/data/sources/tar-index.js'
import { writeShards } from '../../../../support/training.js'

const folder = t.testdir()
const pattern = await writeShards(folder, 2, 3)

const NOTHING: Needs = { caption: false, boxes: 'none' }
const CAPTIONS: Needs = { caption: true, boxes: 'none' }
const LABELLED: Needs = { caption: false, boxes: 'labelled' }
const PROPOSALS: Needs = { caption: false, boxes: 'proposals' }
const ALL: Needs = { caption: true, boxes: 'labels' }

type Content = string | Buffer

/** A tar file of names and contents, in this order. */
async function archive(
  name: string,
  files: Record<string, Content>,
  options = {},
): Promise<string> {
  const inside = mkdtempSync(join(folder, 'files-'))
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(inside, name), content)
  }
  const file = join(folder, name)
  await tar.create({ file, cwd: inside, ...options }, Object.keys(files))
  return file
}

t.test('samples of all shards, in their order', async t => {
  const source = await openShards(pattern, ALL)
  t.equal(source.length, 6)
  t.ok(source.leftOut.isEmpty)
  t.same([...source.labels.keys()].sort(), ['blue square', 'green square', 'red square'])
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
    const { entries, isWhole } = await indexTar(file, name => name !== 'a.jpg')
    t.same(
      entries.map(({ path, offset, size, content }) => [
        path,
        bytes.toString('utf8', offset, offset + size),
        content && String(content),
      ]),
      names.map(name => {
        const content = readFileSync(join(cwd, name), 'utf8')
        return [name, content, name === 'a.jpg' ? undefined : content]
      }),
    )
    t.ok(isWhole)
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
    'e.jfif': 'picture e',
  })
  const source = await openShards(file, NOTHING)
  const items = await Promise.all([0, 1, 2, 3].map(i => source.read(i)))
  t.same(
    items.map(({ picture }) => String(picture)),
    ['picture a', 'picture c', 'picture d', 'picture e'],
  )
  t.match(String(source.leftOut), /^samples without a picture \(.*\): 1 \(the first: .*b\.txt\)$/)
  const captioned = await openShards(file, CAPTIONS)
  t.equal(captioned.length, 1)
  t.equal((await captioned.read(0)).caption, 'from json')
  t.match(String(captioned.leftOut), /pictures without a caption: 3 \(the first: .*a\.jpg\)/)
})

t.test('names that begin with a dot, as macOS adds them, count for nothing', async t => {
  const files = Object.fromEntries(
    [0, 1, 2].flatMap(i =>
      Object.entries({
        [`._${i}.jpg`]: '\0\x05\x16\x07',
        [`${i}.jpg`]: `picture ${i}`,
        [`._${i}.txt`]: '\0\x05\x16\x07',
        [`${i}.txt`]: `a picture of thing ${i}`,
        [`._${i}.json`]: '\0\x05\x16\x07',
        [`${i}.json`]: '{"regions": [{"box": [2, 2, 9, 9], "label": "thing"}]}',
      }),
    ),
  )
  const source = await openShards(await archive('mac.tar', files), ALL)
  t.ok(source.leftOut.isEmpty)
  const items = await Promise.all([0, 1, 2].map(i => source.read(i)))
  t.equal(source.length, 3)
  for (const [i, { caption, regions, picture }] of items.entries()) {
    t.equal(String(picture), `picture ${i}`)
    t.equal(caption, `a picture of thing ${i}`)
    t.equal(regions.length, 1)
  }
})

t.test('files of a sample that lie apart are refused where they are needed', async t => {
  const files = { 'a.jpg': 'x', 'b.jpg': 'y', 'a.txt': 'z', 'b.txt': 'z' }
  const file = await archive('apart.tar', files)
  const boxes = await archive('apart-boxes.tar', { 'a.jpg': 'x', 'b.jpg': 'y', 'a.json': '{}' })
  const code = 'ERR_DECLIP_INVALID_ARG'
  const message = /sample 'a' do not lie together .* between a\.jpg and a\..*--sort=name/
  await t.rejects(openShards(file, CAPTIONS), { code, message })
  await t.rejects(openShards(boxes, PROPOSALS), { code, message })
  await t.rejects(openShards(boxes, LABELLED), { code, message })
  const plain = await openShards(file, NOTHING)
  t.equal(plain.length, 2)
  t.ok(plain.leftOut.isEmpty)

  const twice = await archive('twice.tar', {
    'a.jpg': 'x',
    'a.txt': 'z',
    'b.jpg': 'y',
    'b.txt': 'z',
  })
  const joined = join(folder, 'joined.tar')
  writeFileSync(joined, Buffer.concat([readFileSync(twice), readFileSync(twice)]))
  t.equal((await openShards(joined, CAPTIONS)).length, 4, 'archives behind each other are read')
})

t.test('dots in names: a sample ends at the first', async t => {
  const dotted = { 'img.v1.0000.jpg': 'x', 'img.v1.0001.JPG': 'y', 'b.jpg': 'z' }
  const source = await openShards(await archive('dots.tar', dotted), NOTHING)
  t.equal(source.length, 1)
  t.match(
    String(source.leftOut),
    /dots in their names.*: 2 \(the first: .*img\.v1\.0000\.jpg is file 'v1\.0000\.jpg' of sample 'img'\)/,
  )
  const { 'b.jpg': _, ...only } = dotted
  await t.rejects(openShards(await archive('dots.tar', only), NOTHING), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /no picture\. .*dots in their names/,
  })
})

t.test('the digest tells other data', async t => {
  const open = (files: Record<string, string>) =>
    archive('one.tar', files, { portable: true }).then(file => openShards(file, NOTHING))
  const one = await open({ 'a.jpg': 'x' })
  const same = await open({ 'a.jpg': 'x' })
  const more = await open({ 'a.jpg': 'xy' })
  t.equal(one.digest, same.digest)
  t.not(one.digest, more.digest)
})

t.test('what is no shard is refused', async t => {
  const code = 'ERR_DECLIP_IO'
  const open = (path: string) => openShards(path, NOTHING)
  await t.rejects(open(join(folder, 'none-{0..3}.tar')), { code, message: /none-0\.tar/ })
  const cut = await archive('cut.tar', { 'a.jpg': 'x'.repeat(5000) })
  truncateSync(cut, 2000)
  await t.rejects(open(cut), { code, message: /it ends within a\.jpg/ })
  const other = join(folder, 'other.tar')
  writeFileSync(other, Buffer.alloc(2048, 7))
  await t.rejects(open(other), { code, message: /no tar header at byte 0/ })
  const good = readFileSync(await archive('good.tar', { 'a.jpg': 'x'.repeat(9000) }))
  const large = Buffer.alloc(4096, 1)
  const start = (bytes: string) => Buffer.concat([Buffer.from(bytes, 'latin1'), large])
  for (const [content, message] of [
    [gzipSync(good), /a gzip file.*Unpack/],
    [start('\x28\xb5\x2f\xfd'), /a Zstandard file.*Unpack/],
    [start('PK\x03\x04'), /a zip archive.*Unpack/],
    [start('\xfd7zXZ\0'), /an xz file/],
    [start('BZh9'), /a bzip2 file/],
    [start('7z\xbc\xaf\x27\x1c'), /a 7z archive/],
    [Buffer.from('version https://git-lfs.github.com/spec/v1\nsize 5\n'), /git lfs pull/],
    [Buffer.from('<!DOCTYPE html>'), /a web page/],
    [Buffer.from(''), /it has 0 bytes/],
  ] as const) {
    writeFileSync(other, content)
    await t.rejects(open(other), { code, message }, String(message))
  }
  const empty = await archive('empty.tar', { 'a.txt': 'x' })
  await t.rejects(open(empty), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /no picture.*without a picture/,
  })
})

t.test(
  'an archive that was cut between files, or has other bytes at its end, is named',
  async t => {
    const file = await archive('end.tar', { 'a.jpg': 'x', 'b.jpg': 'y' })
    const { entries } = await indexTar(file)
    const whole = readFileSync(file)
    truncateSync(file, (entries[1]?.offset as number) - 512)
    const cut = await openShards(file, NOTHING)
    t.equal(cut.length, 1)
    t.match(
      String(cut.leftOut),
      /without an end mark, which may have been cut: 1 \(the first: .*end\.tar/,
    )
    writeFileSync(file, whole)
    appendFileSync(file, 'rubbish'.repeat(100))
    const more = await openShards(file, NOTHING)
    t.equal(more.length, 2)
    t.match(
      String(more.leftOut),
      /other bytes behind their end: 1 \(the first: .*end\.tar, 700 bytes/,
    )
  },
)

t.test('links are not followed, and counted', async t => {
  const inside = t.testdir({ 'a.jpg': 'x', 'b.jpg': t.fixture('symlink', 'a.jpg') })
  const file = join(folder, 'links.tar')
  await tar.create({ file, cwd: inside }, ['a.jpg', 'b.jpg'])
  const source = await openShards(file, NOTHING)
  t.equal(source.length, 1)
  t.match(String(source.leftOut), /links .*--dereference.*: 1 \(the first: .*links\.tar:b\.jpg/)
})

t.test('texts that cannot be used are counted, and end nothing', async t => {
  const box = '{"regions": [{"box": [2, 2, 9, 9], "label": "thing"}]}'
  const latin = Buffer.from('caf\u00e9', 'latin1')
  const open = async (json: Content | undefined, needs: Needs, txt?: Content) =>
    openShards(
      await archive('json.tar', {
        'a.jpg': 'x',
        ...(json !== undefined && { 'a.json': json }),
        ...(txt !== undefined && { 'a.txt': txt }),
        'b.jpg': 'x',
        'b.txt': 'good',
        'b.json': box,
      }),
      needs,
    )
  for (const [json, message] of [
    ['{', /files that are not JSON: 1 \(the first: .*json\.tar:a\.json\)/],
    [latin, /not UTF-8: 1/],
    ['[{}, 5]', /without an object: 1/],
    ['{"regions": 5}', /regions that are no list: 1/],
    ['{"regions": [{"box": [1, 2]}]}', /four numbers: 1 \(the first: regions\[0\]/],
    ['{"regions": [{"box": [1, 2, NaN, 5]}, null]}', /four numbers: 2/],
    ['{"regions": [{"box": [20, 20, -9, -9], "label": "x"}]}', /negative size: 1/],
    ['{"regions": [{"box": [1, 1, 9, 9], "label": 5}]}', /without a label: 1 .*label 5/],
    ['{"regions": [{"box": [1, 1, 9, 9]}]}', /without a label: 1/],
    ['{}', /pictures without a labelled box: 1/],
    [undefined, /pictures without a labelled box: 1/],
  ] as const) {
    const source = await open(json, LABELLED)
    t.equal(source.length, 1, String(message))
    t.match(String(source.leftOut), message)
    t.equal((await source.read(0)).regions.length, 1)
    t.ok((await open(json, NOTHING)).leftOut.isEmpty, 'where they are not needed, nothing is lost')
  }
  const unlabelled = await open('{"regions": [{"box": [1, 1, 9, 9], "label": 5}]}', PROPOSALS)
  t.same((await unlabelled.read(0)).regions, [{ box: [1, 1, 9, 9] }])
  t.ok(unlabelled.leftOut.isEmpty)
  const boxless = await open('{}', PROPOSALS)
  t.equal(boxless.length, 2)
  t.match(String(boxless.leftOut), /pictures without a box, of which a corner is learnt from: 1/)

  for (const [json, txt, message] of [
    ['{"caption": 5}', undefined, /captions that are no texts: 1 .*pictures without a caption: 1/],
    ['{"caption": null}', undefined, /pictures without a caption: 1/],
    ['{"caption": "  "}', undefined, /pictures without a caption: 1/],
    [undefined, ' \n', /pictures without a caption: 1/],
    [undefined, latin, /texts that are not UTF-8: 1 .*a\.txt.*pictures without a caption: 1/],
  ] as const) {
    const source = await open(json, CAPTIONS, txt)
    t.equal(source.length, 1)
    t.match(String(source.leftOut), message)
    t.equal((await source.read(0)).caption, 'good')
  }
  const marked = await open('\ufeff{"caption": "from json"}', CAPTIONS, '\ufeff \n')
  t.equal((await marked.read(0)).caption, 'from json')
  t.ok(marked.leftOut.isEmpty)
  const none = archive('none.tar', { 'a.jpg': 'x', 'a.json': '{}' })
  for (const [needs, message] of [
    [CAPTIONS, /no picture with a caption/],
    [LABELLED, /no picture with a labelled box/],
    [PROPOSALS, /no picture with a box/],
    [{ caption: false, boxes: 'labels' }, /no picture with a labelled box/],
  ] as const) {
    await t.rejects(openShards(await none, needs), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
})
