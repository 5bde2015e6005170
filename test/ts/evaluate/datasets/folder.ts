import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDataset } from '../../../../ts/evaluate/datasets/open.js'
import { png } from '../../../support/png.js'
import { jpeg, writeTree } from '../../../support/tree.js'

const CLASSES = 'background, nothing\ncat, feline\nsofa\n'

async function folder(t: Test, more: Record<string, string | Uint8Array> = {}) {
  const picture = await jpeg(4, 3)
  return writeTree(t.testdir(), {
    'images/b.jpg': picture,
    'images/a/deep.jpeg': picture,
    'images/notes.txt': 'no picture',
    'images/._b.jpg': 'what macOS leaves',
    'labels/b.png': png(4, 3, [0, 1, 2, 255, 0, 0, 0, 0, 1, 1, 2, 2]),
    'labels/a/deep.png': png(
      4,
      3,
      [...Array(12)].map((_, i) => i % 3),
      { depth: 2, color: 0 },
    ),
    'classes.txt': CLASSES,
    ...more,
  })
}

t.test('a plain folder', async t => {
  const data = await folder(t)
  const set = await openDataset({ dataset: 'folder', data })
  t.equal(set.task, 'semantic')
  t.equal(set.background, 0)
  t.same(set.classes, [
    { name: 'background', words: ['background', 'nothing'] },
    { name: 'cat', words: ['cat', 'feline'] },
    { name: 'sofa', words: ['sofa'] },
  ])
  t.same(
    set.pictures.map(({ id, image }) => [id, image]),
    [
      ['a/deep', join(data, 'images/a/deep.jpeg')],
      ['b', join(data, 'images/b.jpg')],
    ],
  )
  t.same(await set.pictures[1]?.truth(), {
    width: 4,
    height: 3,
    labels: Uint8Array.of(0, 1, 2, 255, 0, 0, 0, 0, 1, 1, 2, 2),
  })
  t.same(
    await set.pictures[0]?.truth(),
    { width: 4, height: 3, labels: Uint8Array.from({ length: 12 }, (_, i) => i % 3) },
    'grey of 2 bits',
  )
  t.same(set.notes, [])
})

t.test('words of the caller', async t => {
  const data = await folder(t, { 'mine.txt': 'wall\ndog\nbed\n', 'two.txt': 'wall\ndog\n' })
  const words = [['a'], ['b', 'c'], ['d']]
  const set = await openDataset({ dataset: 'folder', data, words })
  t.same(
    set.classes.map(one => one.words),
    words,
  )
  const listed = await openDataset({
    dataset: 'folder',
    data,
    classesFile: join(data, 'mine.txt'),
  })
  t.same(
    listed.classes.map(({ name }) => name),
    ['wall', 'dog', 'bed'],
  )
  t.equal(listed.background, -1)
  await t.rejects(openDataset({ dataset: 'folder', data, words: [['a']] }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /has 3 classes, and words were given for 1/,
  })
})

t.test('more than 255 classes have labels of 16 bits', async t => {
  const classes = Array.from({ length: 300 }, (_, i) => `thing ${i}`).join('\n')
  const data = await folder(t, {
    'classes.txt': classes,
    'labels/b.png': png(4, 3, [0, 299, 255, 65535, 256, 1, 2, 3, 4, 5, 6, 7], {
      depth: 16,
      color: 0,
    }),
    'labels/a/deep.png': png(4, 3, [0, 1, 255, ...Array(9).fill(3)]),
  })
  const set = await openDataset({ dataset: 'folder', data })
  const [deep, b] = await Promise.all(set.pictures.map(one => one.truth()))
  const wide = [0, 299, 255, 65535, 256, 1, 2, 3, 4, 5, 6, 7]
  t.same(b, { width: 4, height: 3, labels: Uint16Array.from(wide) })
  const narrow = [0, 1, 65535, ...Array(9).fill(3)]
  t.same(deep, { width: 4, height: 3, labels: Uint16Array.from(narrow) })
})

t.test('16 bits and few classes', async t => {
  const data = await folder(t, {
    'labels/b.png': png(4, 3, [0, 1, 255, 65535, ...Array(8).fill(2)], { depth: 16, color: 0 }),
  })
  const set = await openDataset({ dataset: 'folder', data })
  t.same(await set.pictures[1]?.truth(), {
    width: 4,
    height: 3,
    labels: Uint8Array.of(0, 1, 255, 255, ...Array(8).fill(2)),
  })
})

t.test('what belongs to one picture is told when that is asked for', async t => {
  const data = await folder(t, {
    'images/lone.jpg': await jpeg(4, 3),
    'images/small.jpg': await jpeg(4, 2),
    'labels/small.png': png(4, 3, Array(12).fill(0)),
    'images/odd.jpg': await jpeg(4, 3),
    'labels/odd.png': png(4, 3, [0, 0, 0, 0, 0, 0, 7, 7, 9, 0, 0, 0]),
    'images/broken.jpg': 'no JPEG',
    'labels/broken.png': png(4, 3, Array(12).fill(0)),
    'labels/unused.png': png(4, 3, Array(12).fill(0)),
  })
  const set = await openDataset({ dataset: 'folder', data })
  const truth = async (id: string) => set.pictures.find(one => one.id === id)?.truth()
  t.same(set.notes, [
    '1 picture has no labels: lone.jpg.',
    '1 label file has no picture in images: unused.png.',
  ])
  await t.rejects(truth('lone'), { code: 'ERR_DECLIP_IO', message: /labels\/lone\.png.*not there/ })
  await t.rejects(truth('small'), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /small\.png is 4 x 3 pixels, its picture .*small\.jpg is 4 x 2/,
  })
  await t.rejects(truth('odd'), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /odd\.png: the label 7 of 2 pixels \(the first at x 2, y 1\) .* 3 classes .*so are 9/,
  })
  await t.rejects(truth('broken'), { code: 'ERR_DECLIP_IMAGE', message: /broken\.jpg/ })
  await t.resolves(truth('b'))
})

t.test('what is wrong with the whole set', async t => {
  const data = await folder(t)
  const reject = (options: object, code: string, message: RegExp) =>
    t.rejects(openDataset({ dataset: 'folder', data, ...options } as never), { code, message })
  await reject({ data: join(data, 'none') }, 'ERR_DECLIP_IO', /there is no folder .*none/)
  await reject(
    { data: join(data, 'images') },
    'ERR_DECLIP_IO',
    /found no folder labels .*\. Looked below/,
  )
  await reject({ data: '' }, 'ERR_DECLIP_INVALID_ARG', /data must be the path of a folder/)
  await reject({ dataset: 'voc' }, 'ERR_DECLIP_INVALID_ARG', /dataset must be one of .*folder/)
  await reject({ task: 'depth' }, 'ERR_DECLIP_INVALID_ARG', /task must be 'semantic'/)
  const picture = await jpeg(4, 3)
  writeTree(data, { 'images/b.png': picture })
  await reject({}, 'ERR_DECLIP_INVALID_ARG', /b\.jpg and .*b\.png differ in their endings only/)
  const unlabelled = writeTree(join(data, 'unlabelled'), {
    'images/x.jpg': picture,
    'labels/y.png': png(1, 1, [0]),
    'classes.txt': 'cat',
  })
  await reject(
    { data: unlabelled },
    'ERR_DECLIP_IO',
    /no picture of .* has labels .*labels\/x\.png/,
  )
  const nameless = writeTree(join(data, 'nameless'), {
    'images/x.jpg': picture,
    'labels/x.png': png(1, 1, [0]),
  })
  await reject({ data: nameless }, 'ERR_DECLIP_IO', /classes\.txt is not there; write a file/)
})
