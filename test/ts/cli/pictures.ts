import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Batch } from '../../../ts/cli/pictures.js'
import { DeclipError } from '../../../ts/errors.js'

const code = 'ERR_DECLIP_INVALID_ARG'

/** Opens arguments; the complaints come beside the names. */
async function open(...given: string[]) {
  const complaints: string[] = []
  const complain = (error: unknown) => complaints.push((error as Error).message)
  const batch = await Batch.open(given, { complain })
  return { batch, complaints, names: batch.pictures.map(({ name }) => name) }
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
  let opened: Awaited<ReturnType<typeof open>> | undefined
  const warned = await warnings(async () => {
    opened = await open(dir, 'x.png')
  })
  const expected = ['a.jfif', 'b.PNG', 'c.tif', 'd.png'].map(name => join(dir, name))
  t.strictSame(opened?.names, expected)
  t.match(opened?.complaints, [/Cannot read x\.png: there is no such file/])
  t.equal(opened?.batch.total, 5)
  t.match(warned, [/: 4 files \(2 \.bmp, 1 (\.txt|without an ending), 1 .*\) passed over; JPEG, /])
})

t.test('what is missing is left out, unless it is all there is', async t => {
  const dir = t.testdir({ 'a.png': '', empty: {}, other: { 'x.heic': '' } })
  const a = join(dir, 'a.png')
  const { batch, complaints } = await open(a, join(dir, 'no.png'), join(dir, 'empty'))
  t.match(complaints, [/no\.png: there is no such file/, /empty' has no pictures in it \(JPEG/])
  t.throws(() => batch.finish(), {
    code: 'ERR_DECLIP_IMAGE',
    message: '2 of 3 pictures were left out; the lines above say why.',
  })
  t.doesNotThrow(() => (async () => (await open(a)).batch.finish())())
  await t.rejects(open('no.png'), { code: 'ERR_DECLIP_IO', message: /no\.png/ })
  await t.rejects(open(join(dir, 'empty')), { code })
  await t.rejects(open(join(dir, 'other')), { code, message: /; it has 1 file \(1 \.heic\)\.$/ })
  await t.rejects(open('no.png', 'none.png'), { message: /^2 of 2 pictures were left out/ })
})

t.test('addresses are refused as the API does, file URLs are taken', async t => {
  const message = /nothing is downloaded here/
  await t.rejects(open('https://example.org/a.png'), { code, message })
  const { names, complaints } = await open('http://example.org/a.png', 'file:///a.png')
  t.strictSame(names, ['file:///a.png'])
  t.match(complaints, [message])
  await t.rejects(open('-', '-'), { code, message: /give it once/ })
})

t.test(
  'a name that is not UTF-8',
  { skip: process.platform !== 'linux' && 'Linux only' },
  async t => {
    const dir = t.testdir({ 'a.png': '' })
    writeFileSync(Buffer.from(`${dir}/caf\xe9.png`, 'latin1'), '')
    mkdirSync(join(dir, 'fine'))
    writeFileSync(join(dir, 'fine', 'really \ufffd.png'), '')
    const { names, complaints } = await open(dir, join(dir, 'fine'))
    t.strictSame(names, [join(dir, 'a.png'), join(dir, 'fine', 'really \ufffd.png')])
    t.match(complaints, [/caf\ufffd\.png: the name is not UTF-8; rename the file/])
    await t.rejects(open(join(dir, 'caf\ufffd.png')), { message: /is not UTF-8/ })
  },
)

t.test('an error of one picture names it, an error of all ends the batch', async t => {
  const dir = t.testdir({ 'a.png': '', 'b.png': '' })
  const { batch, complaints } = await open(dir)
  const [a] = batch.pictures
  if (!a) return
  for (const one of ['ERR_DECLIP_IMAGE', 'ERR_DECLIP_INVALID_ARG', 'ERR_DECLIP_OUT_OF_MEMORY']) {
    batch.leaveOut(a, new DeclipError(one as 'ERR_DECLIP_IMAGE', 'It is too small.'))
  }
  t.equal(complaints[0], `${a.name}: It is too small.`)
  batch.leaveOut(a, new DeclipError('ERR_DECLIP_IMAGE', `Cannot decode ${a.name}: damaged.`))
  t.equal(complaints[3], `Cannot decode ${a.name}: damaged.`)
  for (const all of ['ERR_DECLIP_ABORTED', 'ERR_DECLIP_WEIGHTS', 'ERR_DECLIP_DEVICE'] as const) {
    t.throws(() => batch.leaveOut(a, new DeclipError(all, 'x')), { code: all })
  }
  const single = await open(join(dir, 'a.png'))
  t.throws(() => single.batch.leaveOut(a, new DeclipError('ERR_DECLIP_IMAGE', 'x')), /^x$/)
})
