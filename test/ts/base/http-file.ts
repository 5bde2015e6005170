import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { downloadFile } from '../../../ts/base/http-file.js'
import { type Intercept, serveFile } from '../../support/file-server.js'

const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
const sha256 = createHash('sha256').update(content).digest('hex')

/** Sends the first `bytes` bytes of the first answer and drops the connection. */
function breakOnce(bytes: number): Intercept {
  let broken = false
  return (_request, response) => {
    if (broken) return false
    broken = true
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, bytes), () => response.destroy())
    return true
  }
}

t.test('brings the file whole, under its name only at the end', async t => {
  const { url } = await serveFile(t, 'file', content)
  const file = join(t.testdir(), 'deep/file')
  const seen: number[] = []
  await downloadFile(url, file, {
    sha256,
    onProgress({ step, done, total }) {
      t.equal(step, 'download')
      t.equal(total, content.length)
      t.notOk(existsSync(file), 'not there while it is incomplete')
      seen.push(done)
    },
  })
  t.same(readFileSync(file), content)
  t.notOk(existsSync(`${file}.part`))
  t.same(
    seen,
    [...seen].sort((a, b) => a - b),
    'progress never goes back',
  )
  t.equal(seen.at(-1), content.length)
})

t.test('goes on where a broken transfer ended', async t => {
  const { url, ranges } = await serveFile(t, 'file', content, breakOnce(70_000))
  const file = join(t.testdir(), 'file')
  await downloadFile(url, file, { sha256 })
  t.same(readFileSync(file), content)
  t.equal(ranges.length, 2)
  t.match(ranges[1], /^bytes=[1-9]\d*-$/, 'only the rest was asked for')
})

t.test('goes on where an earlier call ended', async t => {
  const { url, ranges } = await serveFile(t, 'file', content)
  const file = join(t.testdir(), 'file')
  writeFileSync(`${file}.part`, content.subarray(0, 1234))
  await downloadFile(url, file, { sha256 })
  t.same(readFileSync(file), content)
  t.same(ranges, ['bytes=1234-'])
})

t.test('starts over when the server ignores the range', async t => {
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content)
    return true
  })
  const file = join(t.testdir(), 'file')
  writeFileSync(`${file}.part`, 'something else')
  await downloadFile(url, file, { sha256 })
  t.same(readFileSync(file), content)
})

t.test('a wrong digest leaves nothing behind', async t => {
  const { url } = await serveFile(t, 'file', content)
  const file = join(t.testdir(), 'file')
  await t.rejects(
    downloadFile(url, file, { sha256: '0'.repeat(64) }),
    /sha256 is [0-9a-f]{64}, not 0{64}/,
  )
  t.notOk(existsSync(file))
  t.notOk(existsSync(`${file}.part`))
})

t.test('a server that always breaks off fails, and what came is kept', async t => {
  const { url } = await serveFile(t, 'file', content, (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': content.length - start })
    // a reset connection may lose what the client has not read yet, so it gets a moment
    response.write(content.subarray(start, start + 1000), () => {
      setTimeout(() => response.destroy(), 50)
    })
    return true
  })
  const file = join(t.testdir(), 'file')
  await t.rejects(downloadFile(url, file, { sha256 }))
  t.notOk(existsSync(file))
  const kept = statSync(`${file}.part`).size
  t.ok(kept > 0 && kept < content.length)
})

t.test('names the status, the silence and the missing server', async t => {
  const refused = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(404).end()
    return true
  })
  const file = join(t.testdir(), 'file')
  await t.rejects(downloadFile(refused.url, file), /the server answered 404/)
  const silent = await serveFile(t, 'file', content, () => true)
  await t.rejects(downloadFile(silent.url, file, { connectTimeout: 50 }), /no answer within 0.05 s/)
  const stalled = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, 10))
    return true
  })
  await t.rejects(
    downloadFile(stalled.url, file, { idleTimeout: 50 }),
    /nothing arrived for 0.05 s/,
  )
  await t.rejects(downloadFile('http://127.0.0.1:1/file', file), /ECONNREFUSED|bad port/)
})

t.test('a leftover longer than the file is thrown away', async t => {
  const { url } = await serveFile(t, 'file', content)
  const file = join(t.testdir(), 'file')
  writeFileSync(`${file}.part`, Buffer.concat([content, content]))
  await t.rejects(downloadFile(url, file, { sha256 }), /does not fit the file; try again/)
  await downloadFile(url, file, { sha256 })
  t.same(readFileSync(file), content)
})

t.test('stops with the signal and keeps what came', async t => {
  const controller = new AbortController()
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, 5000))
    return true
  })
  const file = join(t.testdir(), 'file')
  const call = downloadFile(url, file, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  })
  await t.rejects(call, /enough/)
  t.ok(existsSync(`${file}.part`))
})
