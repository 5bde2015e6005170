import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { fetchFile } from '../../../ts/base/http-file.js'
import { type Intercept, serveFile } from '../../support/file-server.js'

const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
const digest = {
  algorithm: 'sha256',
  expected: createHash('sha256').update(content).digest('hex'),
} as const

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

t.test('brings the file whole and tells how far it is', async t => {
  const { url } = await serveFile(t, 'file', content)
  const part = join(t.testdir(), 'part')
  const seen: number[] = []
  await fetchFile(url, part, {
    digest,
    onBytes(done, total) {
      t.equal(total, content.length)
      seen.push(done)
    },
  })
  t.same(readFileSync(part), content)
  t.same(
    seen,
    [...seen].sort((a, b) => a - b),
    'progress never goes back',
  )
  t.equal(seen.at(-1), content.length)
})

t.test('goes on where a broken transfer ended', async t => {
  const { url, ranges } = await serveFile(t, 'file', content, breakOnce(70_000))
  const part = join(t.testdir(), 'part')
  await fetchFile(url, part, { digest })
  t.same(readFileSync(part), content)
  t.equal(ranges.length, 2)
  t.match(ranges[1], /^bytes=[1-9]\d*-$/, 'only the rest was asked for')
})

t.test('goes on where an earlier call ended', async t => {
  const { url, ranges } = await serveFile(t, 'file', content)
  const part = join(t.testdir(), 'part')
  writeFileSync(part, content.subarray(0, 1234))
  await fetchFile(url, part, { digest })
  t.same(readFileSync(part), content)
  t.same(ranges, ['bytes=1234-'])
})

t.test('what is whole already is checked, not fetched', async t => {
  const { url, ranges } = await serveFile(t, 'file', content)
  const part = join(t.testdir(), 'part')
  writeFileSync(part, content)
  await fetchFile(url, part, { digest, size: content.length })
  t.same(ranges, [])
})

t.test('starts over when the server ignores the range', async t => {
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content)
    return true
  })
  const part = join(t.testdir(), 'part')
  writeFileSync(part, 'something else')
  await fetchFile(url, part, { digest })
  t.same(readFileSync(part), content)
})

t.test('a server that answers another range than asked for', async t => {
  const { url } = await serveFile(t, 'file', content, (request, response) => {
    if (!request.headers.range) return false
    response.writeHead(206, {
      'content-range': `bytes 0-${content.length - 1}/${content.length}`,
      'content-length': content.length,
    })
    response.end(content)
    return true
  })
  const part = join(t.testdir(), 'part')
  writeFileSync(part, content.subarray(0, 50))
  await fetchFile(url, part, { digest })
  t.same(readFileSync(part), content)
})

t.test('a server that tells no length, redirects, or compresses', async t => {
  const target = await serveFile(t, 'file', content, (_request, response) => {
    // chunked
    response.write(content.subarray(0, 999))
    response.end(content.subarray(999))
    return true
  })
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(302, { location: target.url }).end()
    return true
  })
  const part = join(t.testdir(), 'part')
  const totals: number[] = []
  await fetchFile(url, part, { digest, onBytes: (_done, total) => totals.push(total) })
  t.same(readFileSync(part), content)
  t.equal(totals.at(-1), 0, 'no total is made up')

  const gzip = await serveFile(t, 'file', content, (_request, response) => {
    const body = gzipSync(content)
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body)
    return true
  })
  await fetchFile(gzip.url, join(t.testdir(), 'second'), { digest })
})

t.test('a wrong digest leaves nothing behind', async t => {
  const { url } = await serveFile(t, 'file', content)
  const part = join(t.testdir(), 'part')
  await t.rejects(
    fetchFile(url, part, { digest: { ...digest, expected: '0'.repeat(64) } }),
    /sha256 is [0-9a-f]{64}, not 0{64}/,
  )
  t.notOk(existsSync(part))
})

t.test('a web page is no file, whatever it is called', async t => {
  const page = '\n\n  <!DOCTYPE html><html>Sign in to the network</html>'
  for (const type of ['text/html; charset=utf-8', 'application/octet-stream']) {
    const { url, ranges } = await serveFile(t, 'file', content, (_request, response) => {
      response.writeHead(200, { 'content-type': type }).end(page)
      return true
    })
    const part = join(t.testdir(), 'part')
    await t.rejects(fetchFile(url, part, { digest, persistent: true }), {
      message: /a web page came instead of the file: sign in/,
      status: 200,
    })
    t.equal(ranges.length, 1, 'it is asked for once')
    t.equal(statSync(part).size, 0)
  }
})

t.test('more bytes than the file has', async t => {
  const { url } = await serveFile(t, 'file', content)
  const part = join(t.testdir(), 'part')
  await t.rejects(fetchFile(url, part, { size: 1000 }), /sends more than the 1000 bytes/)
  t.notOk(existsSync(part))
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
  const part = join(t.testdir(), 'part')
  await t.rejects(fetchFile(url, part, { digest }))
  const kept = statSync(part).size
  t.ok(kept > 0 && kept < content.length)
})

t.test('asks again after an error of the server, if it may', async t => {
  let asked = 0
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    asked += 1
    if (asked > 2) return false
    response.writeHead(503).end()
    return true
  })
  const part = join(t.testdir(), 'part')
  await t.rejects(fetchFile(url, part), /the server answered 503/)
  await fetchFile(url, part, { digest, persistent: true })
  t.equal(asked, 3)
})

t.test('names the status, the silence and the missing server', async t => {
  const refused = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(404).end()
    return true
  })
  const part = join(t.testdir(), 'part')
  await t.rejects(fetchFile(refused.url, part), { message: /the server answered 404/, status: 404 })
  const silent = await serveFile(t, 'file', content, () => true)
  await t.rejects(fetchFile(silent.url, part, { connectTimeout: 50 }), /no answer within 0.05 s/)
  const stalled = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, 10))
    return true
  })
  await t.rejects(fetchFile(stalled.url, part, { idleTimeout: 50 }), /nothing arrived for 0.05 s/)
  await t.rejects(fetchFile('http://127.0.0.1:1/file', part), /ECONNREFUSED|bad port/)
})

t.test('a leftover longer than the file is thrown away', async t => {
  const { url } = await serveFile(t, 'file', content)
  for (const options of [{ digest }, { digest, size: content.length }]) {
    const part = join(t.testdir(), 'part')
    writeFileSync(part, Buffer.concat([content, content]))
    await fetchFile(url, part, options)
    t.same(readFileSync(part), content)
  }
})

t.test('stops with the signal and keeps what came', async t => {
  const controller = new AbortController()
  const { url } = await serveFile(t, 'file', content, (_request, response) => {
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, 5000))
    return true
  })
  const part = join(t.testdir(), 'part')
  const call = fetchFile(url, part, {
    signal: controller.signal,
    onBytes: () => controller.abort(new Error('enough')),
  })
  await t.rejects(call, /enough/)
  t.ok(existsSync(part))
})
