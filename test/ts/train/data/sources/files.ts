/** Folders, COCO files and caption lists. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openCaptions } from '../../../../../ts/train/data/sources/captions.js'
import { openCoco } from '../../../../../ts/train/data/sources/coco.js'
import { openFolder } from '../../../../../ts/train/data/sources/folder.js'
import type { Needs, Source } from '../../../../../ts/train/data/sources/source.js'

const folder = t.testdir()
const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }

const boxes = (boxes: Needs['boxes']): Needs => ({ caption: false, boxes })
const [NONE, LABELS, LABELLED, PROPOSALS] = [
  boxes('none'),
  boxes('labels'),
  boxes('labelled'),
  boxes('proposals'),
]

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  const bytes = typeof content === 'string' || content instanceof Buffer
  writeFileSync(path, bytes ? content : JSON.stringify(content))
  return path
}

const all = (source: Source) =>
  Promise.all(Array.from({ length: source.length }, (_, i) => source.read(i)))

const names = async (source: Source) => (await all(source)).map(({ name }) => name)

t.test('folder', async t => {
  const root = join(folder, 'pictures')
  mkdirSync(join(root, 'inner'), { recursive: true })
  for (const name of ['b.png', 'a.JPG', 'inner/c.webp', 'Z.jpeg', 'y.jfif']) {
    writeFileSync(join(root, name), '')
  }
  const source = await openFolder(root)
  t.same(await names(source), ['Z.jpeg', 'a.JPG', 'b.png', 'inner/c.webp', 'y.jfif'])
  t.equal((await all(source))[3]?.picture, join(root, 'inner', 'c.webp'))
  t.ok(source.leftOut.isEmpty)
  await t.rejects(openFolder(join(folder, 'none')), { code: 'ERR_DECLIP_IO' })
  mkdirSync(join(folder, 'empty'))
  await t.rejects(openFolder(join(folder, 'empty')), { ...invalid, message: /no picture/ })
})

t.test('a folder with other files, from a Mac, with links', async t => {
  const root = join(folder, 'mixed')
  for (const name of ['__MACOSX', 'sub.png', '.cache']) {
    mkdirSync(join(root, name), { recursive: true })
  }
  const unread = ['c.bmp', 'd.HEIC', 'e.bmp', 'README']
  const passedOver = ['._a.jpg', '.DS_Store', '__MACOSX/._a.jpg', '__MACOSX/a.jpg', '.cache/a.jpg']
  for (const name of ['a.jpg', 'sub.png/b.png', ...unread, ...passedOver]) {
    writeFileSync(join(root, name), '')
  }
  symlinkSync(join(root, 'a.jpg'), join(root, 'link.jpg'))
  symlinkSync(join(root, 'sub.png'), join(root, 'linked'))
  const source = await openFolder(root)
  t.same(await names(source), ['a.jpg', 'link.jpg', 'sub.png/b.png'])
  const said = String(source.leftOut)
  t.match(said, /files that end in \.bmp: 2 \(the first: .*\.bmp\)/)
  t.match(said, /files that end in \.heic: 1 \(the first: .*d\.HEIC\)/)
  t.match(said, /files without an ending: 1 \(the first: .*README\)/)
  t.match(said, /links to folders, which are not followed: 1/)
  t.notMatch(said, /DS_Store|\._a|MACOSX/)
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
  const source = await openCoco(path, '/root', LABELS)
  t.same(source.classes, ['two', 'nine'], 'labels are ranks of the ids')
  t.same([...source.labels.keys()].sort(), ['nine', 'two'])
  t.ok(source.leftOut.isEmpty)
  const [a, b] = await all(source)
  t.match(a, {
    picture: join('/root', 'a.jpg'),
    regions: [
      { box: [1, 2, 3, 4], label: 'nine' },
      { box: [0, 0, 5, 5], label: 'two' },
    ],
  })
  t.match(b, { picture: join('/root', 'train2017', '000000000008.jpg'), regions: [] })
  const labelled = await openCoco(path, undefined, LABELLED)
  t.equal(labelled.length, 1, 'labelled pictures only')
  t.match(String(labelled.leftOut), /^pictures without a labelled box: 1 \(the first: images\[1\]/)
  t.equal((await all(labelled))[0]?.picture, join(folder, 'a.jpg'))

  const list = await openCoco(write('list.json', [{ image: 'x/y.jpg' }]), undefined, NONE)
  t.equal((await list.read(0)).picture, join(folder, 'x', 'y.jpg'))

  const images = [{ id: 1, file_name: 'a.jpg' }]
  const categories = (...entries: unknown[]) => ({ images, categories: entries })
  for (const [content, message] of [
    [{}, /must have lists "images"/],
    [5, /must have lists/],
    [[{ file: 'a' }], /entry 0/],
    [[null], /entry 0/],
    [{ images: [{ id: 1 }] }, /images\[0\] must have/],
    [{ images: [images[0], null] }, /images\[1\] must have/],
    [categories({ id: 1, name: 'a' }, { id: 2, name: 'a' }), /name" of its own/],
    [categories({ id: 1, name: 'a' }, { id: 1, name: 'b' }), /id 1, "a" and "b".*"id" of its own/],
    [categories({ id: 1, name: 'a' }, null), /categories\[1\]/],
    [categories({ name: 'a' }), /categories\[0\] has id nothing/],
    [{ images: [] }, /has no picture/],
  ] as const) {
    await t.rejects(openCoco(write('wrong.json', content), undefined, NONE), {
      ...invalid,
      message,
    })
  }
  await t.rejects(openCoco(write('wrong.json', '{'), undefined, NONE), { code: 'ERR_DECLIP_IO' })
})

/** Pictures 0 to 3, each with an annotation, of which `changes` alters the first ones. */
const annotated = (changes: readonly object[]) => ({
  images: [0, 1, 2, 3].map(id => ({ id, file_name: `${id}.jpg` })),
  categories: [
    { id: 1, name: 'cat' },
    { id: 3, name: 'dog' },
  ],
  annotations: [0, 1, 2, 3].map(i => ({
    id: i,
    image_id: i,
    category_id: 3,
    bbox: [2, 2, 40, 30],
    ...changes[i],
  })),
})

t.test('boxes that are none are left out and counted', async t => {
  for (const [bbox, kind] of [
    [[20, 20, -10, -10], /boxes of negative size/],
    [[20, 20, 0, 10], /narrower or lower than a pixel/],
    [[0.1, 0.1, 0.5, 0.5], /narrower or lower than a pixel/],
    [[1, 2, 3], /four numbers/],
    [['1', '2', '30', '40'], /four numbers/],
    [[1, 2, null, 4], /four numbers/],
    [[1, 2, 1e300, 4], /larger than any picture/],
    [null, /four numbers/],
    [undefined, /four numbers/],
    ['1,2,3,4', /four numbers/],
    [{ x: 1, y: 2, w: 3, h: 4 }, /four numbers/],
  ] as const) {
    const path = write('boxes.json', annotated([{ bbox }]))
    for (const [needs, length] of [
      [LABELLED, 3],
      [PROPOSALS, 4],
    ] as const) {
      const source = await openCoco(path, undefined, needs)
      t.equal(source.length, length)
      t.match(String(source.leftOut), kind)
      t.match(String(source.leftOut), /: 1 \(the first: annotations\[0\] of .*boxes\.json/)
    }
    await t.rejects(
      openCoco(
        write('boxes.json', annotated([0, 1, 2, 3].map(() => ({ bbox })))),
        undefined,
        LABELLED,
      ),
      { ...invalid, message: kind },
    )
    const unused = await openCoco(path, undefined, NONE)
    t.ok(unused.leftOut.isEmpty, 'where boxes are not needed, nothing is lost')
  }
  const python = JSON.stringify(annotated([])).replace('[2,2,40,30]', '[NaN,2,Infinity,-Infinity]')
  const source = await openCoco(write('python.json', python), undefined, LABELLED)
  t.match(String(source.leftOut), /four numbers: 1 .*bbox \[null,2,null,null\]/)
  const named = write('named.json', [{ image: 'NaN "Infinity".jpg' }])
  t.same(await names(await openCoco(named, undefined, NONE)), ['NaN "Infinity".jpg'])
})

t.test('crowds, unknown categories and unknown pictures are counted', async t => {
  const open = async (content: unknown, needs = LABELLED) =>
    openCoco(write('unknown.json', content), undefined, needs)
  const crowd = await open(annotated([{ iscrowd: 1 }, { iscrowd: 0 }]))
  t.equal(crowd.length, 3)
  t.match(String(crowd.leftOut), /boxes of crowds: 1/)

  const category = await open(annotated([{ category_id: 99 }, { category_id: null }]))
  t.equal(category.length, 2)
  t.match(String(category.leftOut), /boxes of no category: 2 \(the first: annotations\[0\].*99\)/)
  const text = await open(annotated([{ category_id: '3' }]))
  t.match(String(text.leftOut), /category_id "3" is a text, the ids are numbers/)

  const picture = await open(annotated([{ image_id: 9 }, { image_id: undefined }]))
  t.match(
    String(picture.leftOut),
    /belong to no picture: 2 \(the first: annotations\[0\].*image_id 9\)/,
  )
  const texts = annotated([0, 1, 2, 3].map(i => ({ image_id: String(i) })))
  for (const needs of [LABELLED, LABELS, PROPOSALS]) {
    await t.rejects(open(texts, needs), {
      ...invalid,
      message: /no picture: 4 .*image_id "0" is a text, the ids are numbers/,
    })
  }
  const numbers = {
    ...annotated([]),
    images: [0, 1].map(id => ({ id: String(id), file_name: 'a' })),
  }
  await t.rejects(open(numbers), { message: /image_id 0 is a number, the ids are texts/ })

  const nullEntry = await open({
    ...annotated([]),
    annotations: [...annotated([]).annotations, null],
  })
  t.equal(nullEntry.length, 4)
  t.match(String(nullEntry.leftOut), /belong to no picture: 1 \(the first: annotations\[4\]/)
})

t.test('ids may be texts in both lists; missing and repeated ones are counted', async t => {
  const texts = annotated([0, 1, 2, 3].map(i => ({ image_id: `p${i}`, category_id: 'b' })))
  const source = await openCoco(
    write('texts.json', {
      ...texts,
      images: [0, 1, 2, 3].map(i => ({ id: `p${i}`, file_name: `${i}.jpg` })),
      categories: [
        { id: 'b', name: 'bee' },
        { id: 'a', name: 'ant' },
      ],
    }),
    undefined,
    LABELLED,
  )
  t.equal(source.length, 4)
  t.same(source.classes, ['ant', 'bee'])
  t.ok(source.leftOut.isEmpty)

  const missing = annotated([{ image_id: undefined }])
  const without = { ...missing, images: [{ file_name: '0.jpg' }, ...missing.images.slice(1)] }
  const anonymous = await openCoco(write('missing.json', without), undefined, LABELS)
  t.same((await anonymous.read(0)).regions, [], 'no id is not an id')
  t.match(String(anonymous.leftOut), /pictures without an "id": 1 .*images\[0\]/)

  const twice = annotated([])
  const repeated = [
    ...twice.images,
    { id: 0, file_name: '0.jpg' },
    { id: 1, file_name: 'other.jpg' },
  ]
  const both = await openCoco(
    write('twice.json', { ...twice, images: repeated }),
    undefined,
    LABELS,
  )
  const items = await all(both)
  t.equal(items.length, 6)
  t.equal(items[4]?.regions.length, 1, 'a picture that is listed twice')
  t.same([items[1]?.regions, items[5]?.regions], [[], []])
  t.match(String(both.leftOut), /one of several pictures: 1 \(the first: annotations\[1\]/)
})

t.test('byte order marks and UTF-16; other encodings are named', async t => {
  const json = JSON.stringify([{ image: 'caf\u00e9.jpg' }])
  const utf16 = Buffer.from(`\ufeff${json}`, 'utf16le')
  for (const content of [`\ufeff${json}`, utf16, Buffer.from(utf16).swap16()]) {
    const source = await openCoco(write('marked.json', content), undefined, NONE)
    t.same(await names(source), ['caf\u00e9.jpg'])
  }
  const columns = { image: 'image', caption: 'caption' }
  const list = write('marked.jsonl', '\ufeff{"image": "a.jpg", "caption": "a cat"}\n')
  t.equal((await openCaptions(list, columns, undefined)).length, 1)
  const latin = write(
    'latin.csv',
    Buffer.from('image,caption\na.jpg,x\nb.jpg,caf\u00e9\n', 'latin1'),
  )
  await t.rejects(openCaptions(latin, columns, undefined), {
    code: 'ERR_DECLIP_IO',
    message: /^Line 3 of .*latin\.csv is not UTF-8/,
  })
})

t.test('captions', async t => {
  const columns = { image: 'image', caption: 'caption' }
  const expected = [
    ['a.jpg', 'a cat, asleep'],
    ['b.jpg', 'a "dog"'],
  ]
  const files = {
    'list.csv': '\ufeffimage,caption\na.jpg,"a cat, asleep"\nb.jpg,"a ""dog"""\n',
    'spaced.csv': 'image, caption\r\na.jpg,"a cat, asleep"\r\nb.jpg,a "dog"',
    'tabs.csv': 'caption\timage\na cat, asleep\ta.jpg\na "dog"\tb.jpg\n',
    'semicolons.csv': 'image;caption\na.jpg;a cat, asleep\nb.jpg;"a ""dog"""\n',
    'list.tsv': 'caption\timage\na cat, asleep\ta.jpg\na "dog"\tb.jpg\n\n',
    'list.jsonl': expected.map(([image, caption]) => JSON.stringify({ image, caption })).join('\n'),
  }
  for (const [name, content] of Object.entries(files)) {
    const source = await openCaptions(write(name, content), columns, '/root')
    t.same(
      (await all(source)).map(({ picture, caption }) => [picture, caption]),
      expected.map(([image, caption]) => [join('/root', image as string), caption]),
      name,
    )
    t.ok(source.leftOut.isEmpty, name)
  }
  const other = { image: 'filepath', caption: 'title' }
  const path = write('other.csv', 'filepath\ttitle\na.jpg\tx, y\n/b.jpg\tz\n')
  const [a, b] = await all(await openCaptions(path, other, undefined))
  t.match(a, { picture: join(folder, 'a.jpg'), caption: 'x, y' })
  t.equal(b?.picture, '/b.jpg')
  await t.rejects(openCaptions(path, columns, undefined), {
    ...invalid,
    message: /entry 1 of .* has no 'image'; it has filepath, title/,
  })
  await t.rejects(openCaptions(write('list.txt', 'x'), columns, undefined), invalid)
  await t.rejects(openCaptions(write('none.csv', 'image,caption\n'), columns, undefined), invalid)
  const twice = openCaptions(
    write('twice.csv', 'image,caption,caption\na,b,c\n'),
    columns,
    undefined,
  )
  await t.rejects(twice, { ...invalid, message: /two columns 'caption'/ })
  for (const content of ['image,caption\na\n', 'image,caption\na,b, c\n']) {
    const uneven = openCaptions(write('wrong.csv', content), columns, undefined)
    await t.rejects(uneven, { code: 'ERR_DECLIP_IO', message: /line 2.*in quotes/ })
  }
  const line = openCaptions(write('wrong.jsonl', '{}\n{'), columns, undefined)
  await t.rejects(line, { code: 'ERR_DECLIP_IO', message: /^Line 2 of / })
})

t.test('quotes are those of Python\u2019s csv module', async t => {
  const columns = { image: 'image', caption: 'caption' }
  const open = (content: string) =>
    openCaptions(write('quotes.csv', `image,caption\n${content}`), columns, undefined)
  const captions = async (content: string) => (await all(await open(content))).map(i => i.caption)
  t.same(
    await captions('0.jpg,5" nail\n1.jpg,a "b" c\n2.jpg,"5"" nail, bent"\n3.jpg,"two\nlines"'),
    ['5" nail', 'a "b" c', '5" nail, bent', 'two\nlines'],
  )
  await t.rejects(open('0.jpg,x\n1.jpg,"open\n2.jpg,y\n'), {
    code: 'ERR_DECLIP_IO',
    message: /begins with a quote in line 3 never ends/,
  })
  await t.rejects(open('0.jpg,"open\n2.jpg,y\n'), { message: /in line 2 never ends/ })
  const swallowed = await open('0.jpg,"open\n1.jpg,x\n2.jpg,5" nail\n3.jpg,y\n')
  t.match(String(swallowed.leftOut), /go over several lines.*: 1 \(the first: line 4 of/)
})

t.test('entries without a caption or a name are left out and counted', async t => {
  const columns = { image: 'image', caption: 'caption' }
  const table = write('gaps.csv', 'image,caption\n0.jpg,x\n1.jpg,\n,y\n3.jpg,  \n4.jpg,z\n')
  const source = await openCaptions(table, columns, undefined)
  t.same(await names(source), ['0.jpg', '4.jpg'])
  t.match(
    String(source.leftOut),
    /^pictures without a caption: 2 \(the first: line 3 of .*gaps\.csv, caption: ""\); entries without the name of a picture: 1 \(the first: line 4 of/,
  )
  const entries = [
    { image: '0.jpg', caption: 'x' },
    { image: '1.jpg', caption: 5 },
    { image: '2.jpg', caption: null },
    { image: '3.jpg' },
    { image: ['4.jpg'], caption: 'x' },
    { image: '5.jpg', caption: ['x', 'y'] },
    [],
    null,
    'x',
  ]
  const lines = write('gaps.jsonl', entries.map(entry => JSON.stringify(entry)).join('\n'))
  const objects = await openCaptions(lines, columns, undefined)
  t.same(await names(objects), ['0.jpg'])
  t.match(
    String(objects.leftOut),
    /^pictures without a caption: 4 \(the first: line 2 of .*, caption: 5\); entries without the name of a picture: 4 \(/,
  )
  const none = openCaptions(
    write('none.jsonl', '{"image": "a", "caption": ""}'),
    columns,
    undefined,
  )
  await t.rejects(none, { ...invalid, message: /no picture with a caption.*line 1 of/ })
})
