import { copyFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fingerprintOf } from '../../../ts/base/fingerprint.js'

t.test('a checkpoint is told from another, wherever it lies', async t => {
  const dir = t.testdir({ a: { 'w.bin': 'weights', 'config.json': '{}' }, 'w.bin': 'weights' })
  const one = await fingerprintOf(join(dir, 'w.bin'))
  t.match(one, /^[0-9a-f]{16}$/)
  t.equal(await fingerprintOf(join(dir, 'a/w.bin')), one, 'a file by its bytes')
  const folder = await fingerprintOf(join(dir, 'a'))
  mkdirSync(join(dir, 'b/deeper'), { recursive: true })
  copyFileSync(join(dir, 'a/w.bin'), join(dir, 'b/w.bin'))
  symlinkSync(join(dir, 'a/config.json'), join(dir, 'b/config.json'))
  t.equal(await fingerprintOf(join(dir, 'b')), folder, 'links, and folders in it, change nothing')
  writeFileSync(join(dir, 'b/w.bin'), 'weighty')
  t.not(await fingerprintOf(join(dir, 'b')), folder)
  await t.rejects(fingerprintOf(join(dir, 'no')), { code: 'ERR_DECLIP_IO' })
})

t.test('large files are read in parts, their ends included', async t => {
  const path = join(t.testdir({ large: '' }), 'large')
  const size = 80 * 1024 * 1024
  truncateSync(path, size) // holes take no room
  const zeros = await fingerprintOf(path)
  const set = async (at: number, value: number) => {
    const file = await open(path, 'r+')
    await file.write(Uint8Array.of(value), 0, 1, at)
    await file.close()
  }
  for (const at of [0, size - 1]) {
    await set(at, 1)
    t.not(await fingerprintOf(path), zeros, `byte ${at}`)
    await set(at, 0)
    t.equal(await fingerprintOf(path), zeros)
  }
  truncateSync(path, size + 1)
  t.not(await fingerprintOf(path), zeros, 'its length')
})
