import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import {
  type DeclipError,
  type ExportOptions,
  exportDataset,
  loadModel,
  mergeExports,
  type NamedImage,
} from '../../../ts/index.js'
import { picture } from '../../support/calls.js'

const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())

/** A small pass, for what does not depend on the quality of the labels. */
const QUICK = { model, templates: 'none', shortSide: 64, window: 0, background: false } as const
const CLASSES = ['dog', 'pizza', 'tree']
const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }

/** Pictures of different contents in a folder, some in folders below. */
async function makePictures(dir: string, names: readonly string[]): Promise<NamedImage[]> {
  const images: NamedImage[] = []
  for (const [i, name] of names.entries()) {
    const { data, width, height } = picture(60 + i, 50, i + 1)
    const path = join(dir, name)
    mkdirSync(join(path, '..'), { recursive: true })
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(path)
    images.push({ image: path, name })
  }
  return images
}

const NAMES = ['a.png', 'b.png', 'b/a.png', 'b/c.png', 'c.png', 'd d/é.png']

/** The files of a folder with their bytes, without what only tells how it was made. */
const contents = (dir: string): Record<string, string> =>
  Object.fromEntries(
    (readdirSync(dir, { recursive: true }) as string[])
      .filter(name => !name.startsWith('.export') && statSync(join(dir, name)).isFile())
      .sort()
      .map(name => [name, readFileSync(join(dir, name)).toString('base64')]),
  )

const coco = (dir: string) =>
  JSON.parse(readFileSync(join(dir, 'annotations/instances_default.json'), 'utf8')) as {
    images: { id: number; file_name: string; width: number; height: number }[]
    categories: { id: number; name: string }[]
    annotations: { id: number; image_id: number; category_id: number }[]
  }

t.test('a data set of a list of pictures', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, NAMES)
  const out = join(dir, 'out')
  const told: string[] = []
  const steps: unknown[] = []
  const result = await exportDataset(images, CLASSES, {
    ...QUICK,
    to: 'coco',
    out,
    onPicture: ({ name }) => told.push(name),
    onProgress: progress => steps.push(progress),
  })
  const files = [join(out, 'annotations/instances_default.json'), join(out, 'results.json')]
  t.strictSame(result, { pictures: 6, done: 6, skipped: 0, failed: 0, files })
  t.strictSame(told, NAMES)
  t.strictSame(steps.at(-1), { step: 'pictures', done: 6, total: 6 })
  const set = coco(out)
  t.strictSame(
    set.images.map(({ id, file_name, width, height }) => [id, file_name, width, height]),
    [...NAMES].sort().map((name, i) => [i + 1, name, 60 + NAMES.indexOf(name), 50]),
  )
  t.strictSame(
    set.categories.map(({ id, name }) => [id, name]),
    CLASSES.map((name, i) => [i + 1, name]),
  )
  t.strictSame(
    set.annotations.map(({ id }) => id),
    set.annotations.map((_, i) => i + 1),
  )
  for (const name of NAMES) {
    t.ok(readFileSync(join(dir, name)).equals(readFileSync(join(out, 'images', name))), name)
  }
})

t.test('a run that was ended anywhere goes on, with the same files in the end', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, NAMES)
  for (const to of ['coco', 'yolo', 'label-studio'] as const) {
    const whole = join(dir, `${to}-whole`)
    await exportDataset(images, CLASSES, { ...QUICK, to, out: whole })
    const out = join(dir, `${to}-parts`)
    const options: ExportOptions = { ...QUICK, to, out }
    const part = join(out, '.export/all.jsonl')
    const stop = new AbortController()
    const onPicture = () => stop.abort()
    const { signal } = stop
    await t.rejects(exportDataset(images, CLASSES, { ...options, onPicture, signal }), {
      code: 'ERR_DECLIP_ABORTED',
    })
    const lines = readFileSync(part, 'utf8').trim().split('\n').length
    t.ok(lines >= 1 && lines < NAMES.length, `${lines} lines`)
    t.notOk(existsSync(join(out, 'results.json')))
    // What kill -9 leaves: a line without its end, a file of a picture that has no line, a temporary file.
    appendFileSync(part, '{"name":"c.png","file":"c.p')
    writeFileSync(join(out, '.declip-0123456789abcdef.tmp'), 'x')
    const result = await exportDataset(images, CLASSES, { ...options, skipExisting: true })
    t.match(result, { pictures: 6, skipped: lines, done: 6 - lines })
    t.strictSame(contents(out), contents(whole), to)
    // killed while the final files were written
    truncateSync(join(out, 'export.json'), statSync(join(out, 'export.json')).size)
    const again = await exportDataset(images, CLASSES, { ...options, skipExisting: true })
    t.match(again, { pictures: 6, skipped: 6, done: 0 })
    t.strictSame(contents(out), contents(whole), to)
  }
})

t.test('parts are one data set, byte for byte', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, NAMES)
  for (const to of ['coco', 'yolo', 'masks', 'geojson', 'label-studio'] as const) {
    const whole = join(dir, `${to}-whole`)
    await exportDataset(images, CLASSES, { ...QUICK, to, out: whole })
    const shards = [1, 2, 3].map(i => `${i}/3`)
    const shared = join(dir, `${to}-shared`)
    for (const shard of shards) {
      const { files } = await exportDataset(images, CLASSES, { ...QUICK, to, out: shared, shard })
      t.strictSame(files, [])
    }
    const { pictures, missing } = await mergeExports([shared])
    t.strictSame({ pictures, missing }, { pictures: 6, missing: [] })
    t.strictSame(contents(shared), contents(whole), `${to}, one folder`)
    const folders = shards.map(shard => join(dir, `${to}-${shard[0]}`))
    for (const [i, shard] of shards.entries()) {
      await exportDataset(images, CLASSES, { ...QUICK, to, out: folders[i] as string, shard })
    }
    const out = join(dir, `${to}-merged`)
    await mergeExports(folders, { out })
    t.strictSame(contents(out), contents(whole), `${to}, three folders`)
    if (to !== 'coco') continue
    t.match(await mergeExports(folders.slice(1), { out: join(dir, 'two') }), { missing: ['1/3'] })
    await t.rejects(mergeExports([...folders, shared], { out: join(dir, 'twice') }), {
      code: 'ERR_DECLIP_IO',
      message: /was annotated twice, in .*of-3\.jsonl and in .*of-3\.jsonl/,
    })
    await t.rejects(mergeExports(folders), { ...invalid, message: /give out/ })
    await t.rejects(mergeExports([dir]), { ...invalid, message: /no export in/ })
    const other = join(dir, 'other')
    await exportDataset(images, ['dog'], { ...QUICK, to, out: other })
    await t.rejects(mergeExports([shared, other], { out: join(dir, 'mixed') }), {
      ...invalid,
      message: /other settings: classes is \["dog"\] there and \["dog","pizza","tree"\] here/,
    })
  }
})

t.test('what is there is not written over by accident', async t => {
  const dir = t.testdir({ own: { 'labels.txt': 'by hand' } })
  const images = await makePictures(dir, NAMES.slice(0, 2))
  const options: ExportOptions = { ...QUICK, to: 'yolo', out: join(dir, 'set') }
  await t.rejects(exportDataset(images, CLASSES, { ...options, out: join(dir, 'own') }), {
    ...invalid,
    message: /other files in it, such as 'labels\.txt'/,
  })
  await exportDataset(images, CLASSES, options)
  await t.rejects(exportDataset(images, CLASSES, options), { ...invalid, message: /already/ })
  await t.rejects(exportDataset(images, CLASSES, { ...options, skipExisting: true, minArea: 3 }), {
    ...invalid,
    message: /minArea is null there and 3 here/,
  })
  await t.rejects(
    exportDataset(images, CLASSES, { ...options, skipExisting: true, overwrite: true }),
    invalid,
  )
  writeFileSync(join(dir, 'set/notes.txt'), 'by hand')
  const [first] = images as [NamedImage]
  const result = await exportDataset([first], CLASSES, { ...options, overwrite: true })
  t.match(result, { pictures: 1, done: 1 })
  const left = Object.keys(contents(join(dir, 'set')))
  t.ok(left.includes('notes.txt'))
  t.notOk(left.some(name => name.includes('b.png') || name.includes('b.txt')))
})

t.test('pictures that fail, are called alike or lie elsewhere', async t => {
  const dir = t.testdir({ 'broken.png': 'no picture' })
  const good = await makePictures(dir, ['a.png', 'b.png'])
  const broken = { image: join(dir, 'broken.png'), name: 'broken.png' }
  const none = { image: join(dir, 'none.png'), name: 'none.png' }
  const images = [broken, ...good, none]
  const failed: [string, string][] = []
  const onError = (error: DeclipError, name: string) => failed.push([name, error.code])
  const out = join(dir, 'set')
  const result = await exportDataset(images, CLASSES, { ...QUICK, to: 'masks', out, onError })
  t.match(result, { pictures: 2, done: 2, failed: 2 })
  t.strictSame(failed, [
    ['broken.png', 'ERR_DECLIP_IMAGE'],
    ['none.png', 'ERR_DECLIP_IO'],
  ])
  await t.rejects(
    exportDataset(images, CLASSES, { ...QUICK, to: 'masks', out: join(dir, 'first') }),
    { code: 'ERR_DECLIP_IMAGE' },
  )
  copyFileSync(join(dir, 'a.png'), join(dir, 'broken.png'))
  const again = { ...QUICK, to: 'masks', out, skipExisting: true, onError } as const
  t.match(await exportDataset(images, CLASSES, again), { pictures: 3, done: 1, skipped: 2 })

  const [a] = good as [NamedImage]
  const twice = exportDataset([a, a], CLASSES, { ...QUICK, to: 'coco', out: join(dir, 'twice') })
  await t.rejects(twice, { ...invalid, message: /Two pictures are called 'a\.png'/ })
  for (const name of ['', '/a.png', '../a.png', 'a/../b.png', 'C:\\a.png', 'a//b.png']) {
    const bad = exportDataset([{ ...a, name }], CLASSES, { ...QUICK, to: 'coco', out })
    await t.rejects(bad, { ...invalid, message: /name must be a path below/ }, name)
  }
})

t.test('pictures that differ in their endings alone', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, ['a.png', 'c/a.png'])
  const jpeg = await sharp(join(dir, 'a.png')).jpeg().toBuffer()
  images.push({ image: jpeg, name: 'a.jpg' })
  const out = join(dir, 'set')
  await exportDataset(images, CLASSES, { ...QUICK, to: 'masks', out })
  t.strictSame(readdirSync(join(out, 'images'), { recursive: true }).sort(), [
    'a_jpg.jpg',
    'a_png.png',
    'c',
    'c/a.png',
  ])
  t.strictSame(readdirSync(join(out, 'labels'), { recursive: true }).sort(), [
    'a_jpg.png',
    'a_png.png',
    'c',
    'c/a.png',
  ])
})

t.test('how pictures come into the data set', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, ['a.png'])
  for (const pictures of ['copy', 'link', 'symlink', 'none'] as const) {
    const out = join(dir, pictures)
    await exportDataset(images, CLASSES, { ...QUICK, to: 'coco', out, pictures })
    const target = join(out, 'images/a.png')
    if (pictures === 'none') t.notOk(existsSync(target))
    else {
      t.equal(lstatSync(target).isSymbolicLink(), pictures === 'symlink')
      t.equal(statSync(target).ino === statSync(join(dir, 'a.png')).ino, pictures !== 'copy')
    }
  }
  const out = join(dir, 'yolo')
  await t.rejects(exportDataset(images, CLASSES, { ...QUICK, to: 'yolo', out, pictures: 'none' }), {
    ...invalid,
    message: /Ultralytics/,
  })
  t.notOk(existsSync(out))
})

t.test('300 classes, and words that a class file cannot hold', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, ['a.png'])
  const many = Array.from({ length: 300 }, (_, i) => `thing ${i}`)
  const out = join(dir, 'many')
  await exportDataset(images, many, { ...QUICK, to: 'masks', out })
  const { depth, channels } = await sharp(join(out, 'labels/a.png')).metadata()
  t.strictSame({ depth, channels }, { depth: 'ushort', channels: 1 })
  t.equal(readFileSync(join(out, 'classes.txt'), 'utf8'), `${many.join('\n')}\n`)
  await exportDataset(images, many, { ...QUICK, to: 'yolo', out: join(dir, 'yolo') })
  t.match(
    readFileSync(join(dir, 'yolo/data.yaml'), 'utf8'),
    /\nnc: 300\n[\s\S]* {2}299: "thing 299"\n$/,
  )

  const odd = [['a, b'], ['c  d', 'e'], 'Katze "Mitzi" <日本>']
  await t.rejects(exportDataset(images, odd, { ...QUICK, to: 'masks', out: join(dir, 'odd') }), {
    ...invalid,
    message: /the word 'a, b' cannot stand in it/,
  })
  t.notOk(existsSync(join(dir, 'odd')))
  const lines = join(dir, 'lines')
  await exportDataset(images, odd.slice(1), { ...QUICK, to: 'masks', out: lines })
  t.equal(readFileSync(join(lines, 'classes.txt'), 'utf8'), 'c d, e\nKatze "Mitzi" <日本>\n')
  await exportDataset(images, odd, { ...QUICK, to: 'coco', out: join(dir, 'coco') })
  t.strictSame(
    coco(join(dir, 'coco')).categories.map(({ name }) => name),
    ['a, b', 'c  d', 'Katze "Mitzi" <日本>'],
  )
})

t.test('common surroundings stand against the words', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, ['a.png'])
  const { background: _, ...rest } = QUICK
  const out = join(dir, 'masks')
  await exportDataset(images, ['dog', 'tree, bush'], { ...rest, to: 'masks', out })
  const [first, ...others] = readFileSync(join(out, 'classes.txt'), 'utf8').trim().split('\n')
  t.match(first, /^background, nothing, /)
  t.notMatch(first, /\btree\b/)
  t.strictSame(others, ['dog', 'tree, bush'])
  const set = join(dir, 'coco')
  await exportDataset(images, ['dog', 'tree, bush'], { ...rest, to: 'coco', out: set })
  t.strictSame(
    coco(set).categories.map(({ id, name }) => [id, name]),
    [
      [1, 'dog'],
      [2, 'tree'],
    ],
  )
})

t.test('a picture that lies on its side is annotated upright', async t => {
  const dir = t.testdir()
  const raw = { width: 70, height: 40, channels: 3 } as const
  const pixels = Buffer.alloc(70 * 40 * 3, 90)
  await sharp(pixels, { raw }).withMetadata({ orientation: 6 }).jpeg().toFile(join(dir, 'a.jpg'))
  const out = join(dir, 'set')
  await exportDataset([join(dir, 'a.jpg')], CLASSES, { ...QUICK, to: 'coco', out })
  t.match(coco(out), {
    info: { description: /upright/ },
    images: [{ file_name: 'a.jpg', width: 40, height: 70 }],
  })
})

t.test('two processes do not write one part at a time', async t => {
  const dir = t.testdir()
  const images = await makePictures(dir, ['a.png', 'b.png'])
  const out = join(dir, 'set')
  const options: ExportOptions = { ...QUICK, to: 'coco', out }
  await exportDataset(images.slice(0, 1), CLASSES, options)
  const lock = join(out, '.export/all.jsonl.lock')
  // of a process that is gone
  const gone = execFileSync('sh', ['-c', 'echo $$']).toString().trim()
  const host = execFileSync('hostname').toString().trim()
  writeFileSync(lock, `${gone} ${host}`)
  t.match(await exportDataset(images, CLASSES, { ...options, skipExisting: true }), { done: 1 })
  // of one that lives
  writeFileSync(lock, `${process.ppid} ${host}`)
  const signal = AbortSignal.timeout(700)
  await t.rejects(exportDataset(images, CLASSES, { ...options, skipExisting: true, signal }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('wrong options', async t => {
  const dir = t.testdir()
  const images = [join(dir, 'a.png')]
  const out = join(dir, 'set')
  const reject = (options: object, message: RegExp) =>
    t.rejects(exportDataset(images, CLASSES, { ...QUICK, out, to: 'coco', ...options } as never), {
      ...invalid,
      message,
    })
  await reject({ to: 'voc' }, /to must be one of coco, yolo, masks, geojson, label-studio/)
  await reject({ to: undefined }, /to must be/)
  await reject({ out: 3 }, /out must be a path/)
  await reject({ minArea: -1 }, /minArea/)
  await reject({ semantic: 1 }, /semantic/)
  await reject({ pictures: 'move' }, /pictures/)
  await reject({ validation: Number.NaN }, /validation/)
  await reject({ shard: '3/2' }, /shard must be 'i\/n'/)
  await reject({ shard: '1/2', overwrite: true }, /overwrite/)
  await t.rejects(exportDataset(3 as never, CLASSES, { ...QUICK, out, to: 'coco' }), invalid)
  await t.rejects(exportDataset([3 as never], CLASSES, { ...QUICK, out, to: 'coco' }), invalid)
  t.notOk(existsSync(out))
})
