import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import t from 'tap'
import { findPictures, readList, type Search } from '../../../ts/cli/pictures.js'

const code = 'ERR_DECLIP_INVALID_ARG'

/** What arguments stand for: names, places, and messages of what cannot be used. */
async function find(given: string[], search: Search = {}) {
  const { pictures, unusable } = await findPictures(given, search)
  return {
    names: pictures.map(({ name }) => name),
    places: pictures.map(({ place }) => place),
    errors: unusable.map(({ error }) => error.message),
    codes: unusable.map(({ error }) => error.code),
  }
}

/** The warnings that come while `run` runs. */
async function warnings(run: () => Promise<unknown>): Promise<string[]> {
  const warned: string[] = []
  const listen = ({ name, message }: Error) => name === 'DeclipWarning' && warned.push(message)
  process.on('warning', listen)
  await run()
  await new Promise(setImmediate)
  process.off('warning', listen)
  return warned
}

t.test('a folder stands for the pictures directly in it', async t => {
  const dir = t.testdir({
    'b.PNG': '',
    'a.jfif': '',
    'c.tif': '',
    '._b.PNG': '',
    '.hidden.png': '',
    'notes.txt': '',
    'old.bmp': '',
    'older.BMP': '',
    README: '',
    'sub.png': { 'inner.png': '' },
  })
  symlinkSync(join(dir, 'sub.png'), join(dir, 'link.png'))
  symlinkSync(join(dir, 'b.PNG'), join(dir, 'd.png'))
  let found: Awaited<ReturnType<typeof find>> | undefined
  const warned = await warnings(async () => {
    found = await find([dir, 'x.png'])
  })
  const expected = ['a.jfif', 'b.PNG', 'c.tif', 'd.png']
  t.strictSame(
    found?.names,
    expected.map(name => join(dir, name)),
  )
  t.strictSame(found?.places, expected)
  t.match(found?.errors, [/Cannot read x\.png: there is no such file/])
  t.match(warned, [
    /: 4 files \(2 \.bmp, 1 .*\) and 2 folders passed over; JPEG, .*; --recursive looks into folders\.$/,
  ])
})

t.test('--recursive takes all below, and places keep the folders', async t => {
  const dir = t.testdir({
    'a.png': '',
    '.git': { 'x.png': '' },
    sub: { 'a.png': '', 'photo.HEIC': '', deep: { 'z.jpg': '' } },
    masks: { 'a.png': '' },
  })
  symlinkSync(dir, join(dir, 'sub', 'loop'))
  const search = { recursive: true, avoid: new Set([join(dir, 'masks')]) }
  let found: Awaited<ReturnType<typeof find>> | undefined
  const warned = await warnings(async () => {
    found = await find([dir], search)
  })
  t.strictSame(found?.places, ['a.png', 'sub/a.png', 'sub/deep/z.jpg'])
  t.match(warned, [/1 file \(1 \.heic\) and 1 folder passed over; .*links to folders are not/])

  t.strictSame((await find([join(dir, 'sub/*'), join(dir, 'a.png')], search)).places, [
    'a.png',
    'deep/z.jpg',
    relative(process.cwd(), join(dir, 'a.png')),
  ])
  t.strictSame(
    (await find([join(dir, 'masks')], search)).places,
    ['a.png'],
    'a folder that is named',
  )
  const inside = join('test', 'fixtures', '..', 'x', 'a.png')
  writeFileSync(join(dir, 'list'), inside)
  mkdirSync(join(dir, 'work', 'test', 'x'), { recursive: true })
  mkdirSync(join(dir, 'work', 'test', 'fixtures'), { recursive: true })
  writeFileSync(join(dir, 'work', inside), '')
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(join(dir, 'work'))
  t.strictSame((await find([], { from: '../list', recursive: true })).places, ['test/x/a.png'])
  t.strictSame((await find([], { from: '../list' })).places, ['a.png'])
  const outside = resolve(dir, 'a.png')
  t.strictSame((await find(['../a.png'], search)).places, [outside.slice(1)])
})

t.test('what cannot be used is told apart from what can', async t => {
  const dir = t.testdir({ 'a.png': '', empty: {}, other: { 'x.heic': '' }, deep: { sub: {} } })
  const given = ['a.png', 'no.png', 'empty', 'other', 'deep', '*.tif', 'ot*/*'].map(name =>
    join(dir, name),
  )
  const { names, errors, codes } = await find(given)
  t.strictSame(names, [join(dir, 'a.png')])
  t.match(errors, [
    /no\.png: there is no such file/,
    /empty' has no pictures in it \(JPEG.* are read\)\.$/,
    /; it has 1 file \(1 \.heic\)\.$/,
    /; it has 1 folder\. --recursive looks into its folders\.$/,
    /No picture matches '.*\*\.tif'; check/,
    /No picture matches '.*' \(JPEG.* are read\); 1 file \(1 \.heic\) do; check/,
  ])
  t.equal(codes[0], 'ERR_DECLIP_IO')
  t.equal(codes[1], code)
  await t.rejects(find([]), { code, message: /name files or folders, or give --from/ })
})

t.test('lists', async t => {
  const dir = t.testdir({
    lines: 'a.png\r\n\n b [1].png\nc.png',
    nuls: 'a\nb.png\0c.png\0',
    none: '',
    'a*.png': '',
    'ab.png': '',
    folder: { 'x.png': '' },
  })
  t.strictSame(await readList(join(dir, 'lines')), ['a.png', ' b [1].png', 'c.png'])
  t.strictSame(await readList(join(dir, 'nuls')), ['a\nb.png', 'c.png'])
  t.strictSame(await find([], { from: join(dir, 'none') }), {
    names: [],
    places: [],
    errors: [],
    codes: [],
  })
  await t.rejects(readList(join(dir, 'absent')), { code: 'ERR_DECLIP_IO', message: /absent/ })
  const names = ['a*.png', 'b*.png', 'folder', 'ab.png'].map(name => join(dir, name))
  writeFileSync(join(dir, 'names'), names.join('\n'))
  const found = await find([join(dir, 'ab.png')], { from: join(dir, 'names') })
  t.strictSame(found.places, ['ab.png', 'a*.png', 'x.png', 'ab.png'], 'names, no patterns')
  t.match(found.errors, [/Cannot read .*b\*\.png: there is no such file/])
})

t.test('addresses are refused as the API does, file URLs are taken', async t => {
  const message = /nothing is downloaded here/
  const { names, places, errors } = await find(['http://example.org/a.png', 'file:///b%20c.png'])
  t.strictSame(names, ['file:///b%20c.png'])
  t.strictSame(places, ['b c.png'])
  t.match(errors, [message])
  await t.rejects(find(['-', '-']), { code, message: /give it once/ })
  await t.rejects(find(['-'], { from: '-' }), { code, message: /give it once/ })
})

t.test(
  'a name that is not UTF-8',
  { skip: process.platform !== 'linux' && 'Linux only' },
  async t => {
    const dir = t.testdir({ 'a.png': '' })
    writeFileSync(Buffer.from(`${dir}/caf\xe9.png`, 'latin1'), '')
    mkdirSync(join(dir, 'fine'))
    writeFileSync(join(dir, 'fine', 'really \ufffd.png'), '')
    const { names, errors } = await find([dir, join(dir, 'fine')])
    t.strictSame(names, [join(dir, 'a.png'), join(dir, 'fine', 'really \ufffd.png')])
    t.match(errors, [/caf\ufffd\.png: the name is not UTF-8; rename the file/])
    t.match((await find([join(dir, 'caf\ufffd.png')])).errors, [/is not UTF-8/])
  },
)
