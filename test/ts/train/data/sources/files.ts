/** Folders, COCO files and caption lists. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openCaptions } from '../../../../../ts/train/data/sources/captions.js'
import { openCoco } from '../../../../../ts/train/data/sources/coco.js'
import { openFolder } from '../../../../../ts/train/data/sources/folder.js'
import type { Source } from '../../../../../ts/train/data/sources/source.js'

const folder = t.testdir()
const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const all = (source: Source) =>
  Promise.all(Array.from({ length: source.length }, (_, i) => source.read(i)))

t.test('folder', async t => {
  const root = join(folder, 'pictures')
  mkdirSync(join(root, 'inner'), { recursive: true })
  for (const name of ['b.png', 'a.JPG', 'inner/c.webp', 'notes.txt', 'Z.jpeg']) {
    writeFileSync(join(root, name), '')
  }
  const items = await all(await openFolder(root))
  t.same(
    items.map(({ name }) => name),
    ['Z.jpeg', 'a.JPG', 'b.png', 'inner/c.webp'],
  )
  t.equal(items[3]?.picture, join(root, 'inner', 'c.webp'))
  await t.rejects(openFolder(join(folder, 'none')), { code: 'ERR_DECLIP_IO' })
  mkdirSync(join(folder, 'empty'))
  await t.rejects(openFolder(join(folder, 'empty')), { ...invalid, message: /no picture/ })
})

t.test('coco', async t => {
  const path = write('coco.json', {
    images: [
      { id: 7, file_name: 'a.jpg' },
      { id: 8, coco_url: 'http://images.cocodataset.org/train2017/000000000008.jpg' },
    ],
    annotations: [
      { image_id: 7, category_id: 9, bbox: [1, 2, 3, 4] },
      { image_id: 7, category_id: 2, bbox: [0, 0, 5, 5] },
    ],
    categories: [
      { id: 9, name: 'nine' },
      { id: 2, name: 'two' },
    ],
  })
  const source = await openCoco(path, '/root', false)
  t.same(source.classes, ['two', 'nine'], 'labels are ranks of the ids')
  const [a, b] = await all(source)
  t.match(a, {
    picture: join('/root', 'a.jpg'),
    regions: [
      { box: [1, 2, 3, 4], label: 'nine' },
      { box: [0, 0, 5, 5], label: 'two' },
    ],
  })
  t.match(b, { picture: join('/root', 'train2017', '000000000008.jpg'), regions: [] })
  t.equal((await openCoco(path, undefined, true)).length, 1, 'labelled pictures only')
  t.equal((await all(await openCoco(path, undefined, true)))[0]?.picture, join(folder, 'a.jpg'))

  const list = await openCoco(write('list.json', [{ image: 'x/y.jpg' }]), undefined, false)
  t.equal((await list.read(0)).picture, join(folder, 'x', 'y.jpg'))

  const images = [{ id: 1, file_name: 'a.jpg' }]
  for (const [content, message] of [
    [{}, /must have lists "images"/],
    [5, /must have lists/],
    [[{ file: 'a' }], /entry 0/],
    [{ images: [{ id: 1 }] }, /images\[0\] must have/],
    [{ images, annotations: [{ image_id: 1, bbox: [1, 2] }] }, /annotations\[0\]\.bbox/],
    [
      {
        images,
        categories: [
          { id: 1, name: 'a' },
          { id: 2, name: 'a' },
        ],
      },
      /name" of its own/,
    ],
    [{ images: [] }, /has no picture/],
  ] as const) {
    await t.rejects(openCoco(write('wrong.json', content), undefined, false), {
      ...invalid,
      message,
    })
  }
  await t.rejects(openCoco(write('wrong.json', '{'), undefined, false), { code: 'ERR_DECLIP_IO' })
})

t.test('captions', async t => {
  const columns = { image: 'image', caption: 'caption' }
  const expected = [
    ['a.jpg', 'a cat, asleep'],
    ['b.jpg', 'a "dog"'],
  ]
  const files = {
    'list.csv': '\ufeffimage,caption\na.jpg,"a cat, asleep"\nb.jpg,"a ""dog"""\n',
    'list.tsv': 'caption\timage\na cat, asleep\ta.jpg\na "dog"\tb.jpg\n\n',
    'list.jsonl': expected.map(([image, caption]) => JSON.stringify({ image, caption })).join('\n'),
  }
  for (const [name, content] of Object.entries(files)) {
    const items = await all(await openCaptions(write(name, content), columns, '/root'))
    t.same(
      items.map(({ picture, caption }) => [picture, caption]),
      expected.map(([image, caption]) => [join('/root', image as string), caption]),
      name,
    )
  }
  const other = { image: 'filepath', caption: 'title' }
  const path = write('other.csv', 'filepath,title\na.jpg,x\n')
  t.match(await (await openCaptions(path, other, undefined)).read(0), {
    picture: join(folder, 'a.jpg'),
  })
  await t.rejects(openCaptions(path, columns, undefined), {
    ...invalid,
    message: /entry 1 of .* has no 'image'; it has filepath, title/,
  })
  await t.rejects(openCaptions(write('list.txt', 'x'), columns, undefined), invalid)
  await t.rejects(openCaptions(write('none.csv', 'image,caption\n'), columns, undefined), invalid)
  const uneven = openCaptions(write('wrong.csv', 'image,caption\na\n'), columns, undefined)
  await t.rejects(uneven, { code: 'ERR_DECLIP_IO' })
  const line = openCaptions(write('wrong.jsonl', '{}\n{'), columns, undefined)
  await t.rejects(line, { code: 'ERR_DECLIP_IO', message: /^Line 2 of / })
})
