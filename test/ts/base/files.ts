import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ioError, toPath, writeFileAtomic } from '../../../ts/base/files.js'

const HELLO = Buffer.from('hello')

t.test('contents given as a path are not printed whole', async t => {
  const { message } = ioError('read', 'x'.repeat(5000), { code: 'ENAMETOOLONG' })
  t.equal(message, `Cannot read ${'x'.repeat(60)}...: the name is too long; choose a shorter one.`)
})

t.test('writes to a path or file URL and replaces what was there', async t => {
  const folder = t.testdir({ 'old.bin': 'before' })
  await writeFileAtomic(join(folder, 'old.bin'), Uint8Array.of(1, 2, 3))
  t.same([...(await readFile(join(folder, 'old.bin')))], [1, 2, 3])
  await writeFileAtomic(pathToFileURL(join(folder, 'with space.bin')), Uint8Array.of(4))
  t.same((await readdir(folder)).sort(), ['old.bin', 'with space.bin'])
})

t.test('a link keeps pointing at the file that is written', async t => {
  const folder = t.testdir({ 'target.bin': 'before' })
  await symlink('target.bin', join(folder, 'link.bin'))
  await writeFileAtomic(join(folder, 'link.bin'), Buffer.from('after'))
  t.equal(await readFile(join(folder, 'target.bin'), 'utf8'), 'after')
  t.equal((await readFile(join(folder, 'link.bin'))).length, 5)
})

t.test('what cannot be written leaves nothing behind', async t => {
  const folder = t.testdir({ file: 'kept', full: {} })
  const bytes = Uint8Array.of(1)
  await t.rejects(writeFileAtomic(join(folder, 'none/x'), bytes), {
    code: 'ERR_DECLIP_IO',
    message: /none.x: there is no such file or folder/,
  })
  await t.rejects(writeFileAtomic(join(folder, 'file/x'), bytes), { code: 'ERR_DECLIP_IO' })
  await t.rejects(writeFileAtomic(join(folder, 'full'), bytes), {
    code: 'ERR_DECLIP_IO',
    message: /it is a folder/,
  })
  await t.rejects(writeFileAtomic(join(folder, 'x'.repeat(300)), bytes), {
    code: 'ERR_DECLIP_IO',
    message: /name is too long/,
  })
  t.same((await readdir(folder)).sort(), ['file', 'full'])
  t.equal(await readFile(join(folder, 'file'), 'utf8'), 'kept')
})

t.test('a pipe is written to, not replaced', { skip: process.platform === 'win32' }, async t => {
  const pipe = join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [pipe])
  const [received] = await Promise.all([readFile(pipe, 'utf8'), writeFileAtomic(pipe, HELLO)])
  t.equal(received, 'hello')
  t.ok((await stat(pipe)).isFIFO())
})

t.test('paths', async t => {
  t.equal(toPath('path', 'a/b.png'), 'a/b.png')
  for (const bad of ['', 'a\0b', new URL('https://example.com/a.png'), 7 as never]) {
    t.throws(() => toPath('path', bad), { code: 'ERR_DECLIP_INVALID_ARG', message: /path must be/ })
  }
})

t.test('a full disk is named', async t => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
  })
  t.match(ioError('write', 'a.png', full), {
    code: 'ERR_DECLIP_IO',
    message: 'Cannot write a.png: the disk is full; make room or choose another place.',
  })
})

t.test('an error without a known reason keeps its own', async t => {
  const cause = new Error('odd')
  t.match(ioError('read', 'a.png', cause), { message: 'Cannot read a.png: odd.', cause })
})

t.test('concurrent writers each leave a whole file', async t => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'in'))
  const target = join(folder, 'in', 'x')
  await writeFile(target, '')
  const contents = ['a', 'b', 'c', 'd'].map(c => Buffer.alloc(1 << 20, c))
  await Promise.all(contents.map(bytes => writeFileAtomic(target, bytes)))
  const result = await readFile(target)
  t.ok(contents.some(bytes => bytes.equals(result)))
  t.same(await readdir(join(folder, 'in')), ['x'])
})
