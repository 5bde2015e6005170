import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { get } from '../../../ts/base/http.js'
import { fetchFile } from '../../../ts/base/http-file.js'
import { proxyFor } from '../../../ts/base/proxy.js'
import { serveFile } from '../../support/file-server.js'

const NAMES = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'ALL_PROXY']

/** Sets exactly these proxy variables for one test. */
function environment(t: Test, values: Record<string, string>): void {
  const saved = { ...process.env }
  t.teardown(() => {
    process.env = saved
  })
  for (const name of NAMES) {
    delete process.env[name]
    delete process.env[name.toLowerCase()]
  }
  Object.assign(process.env, values)
}

/** A forwarding proxy on loopback that wants a login if one is given. */
async function startProxy(t: Test, login = ''): Promise<{ host: string; log: string[] }> {
  const log: string[] = []
  const wanted = `Basic ${Buffer.from(login).toString('base64')}`
  const allowed = ({ headers }: IncomingMessage) =>
    login === '' || headers['proxy-authorization'] === wanted
  const server = createServer((incoming, response) => {
    log.push(`${incoming.method} ${incoming.url}`)
    if (!allowed(incoming)) return response.writeHead(407).end()
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const outgoing = request(incoming.url ?? '', { headers }, answer => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    return outgoing.end()
  })
  server.on('connect', (incoming, socket) => {
    log.push(`CONNECT ${incoming.url}`)
    if (!allowed(incoming)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const [host, port] = String(incoming.url).split(':')
    const target = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.pipe(socket).pipe(target)
    })
    target.on('error', () => socket.destroy())
    socket.on('error', () => target.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, log }
}

const content = Buffer.alloc(100_000, 'declip')

t.test('a file comes through the proxy that the environment names', async t => {
  const { url } = await serveFile(t, 'file', content)
  for (const name of ['HTTP_PROXY', 'http_proxy']) {
    const proxy = await startProxy(t)
    environment(t, { [name]: `http://${proxy.host}` })
    const part = join(t.testdir(), 'part')
    await fetchFile(url, part)
    t.same(readFileSync(part), content)
    t.strictSame(proxy.log, [`GET ${url}`], name)
  }
})

t.test('an address without a scheme, and a login with special letters', async t => {
  const { url } = await serveFile(t, 'file', content)
  const proxy = await startProxy(t, 'me@work:pa:ss/w%')
  environment(t, { HTTP_PROXY: `me%40work:pa%3Ass%2Fw%25@${proxy.host}` })
  await fetchFile(url, join(t.testdir(), 'part'))
  t.equal(proxy.log.length, 1)
  const user = await startProxy(t, 'token:')
  environment(t, { HTTP_PROXY: `http://token@${user.host}/` })
  await fetchFile(url, join(t.testdir(), 'part'))
  t.equal(user.log.length, 1)
})

t.test('HTTPS asks the proxy for a tunnel', async t => {
  const proxy = await startProxy(t)
  environment(t, { https_proxy: `http://${proxy.host}` })
  const stop = new AbortController()
  const { signal } = stop
  const fetched = fetchFile('https://127.0.0.1:5443/file', join(t.testdir(), 'part'), { signal })
  const failed = t.rejects(fetched)
  while (proxy.log.length === 0) await setTimeout(10)
  stop.abort()
  await failed
  t.match(proxy.log[0], 'CONNECT 127.0.0.1:5443')
})

t.test('a redirect is followed by its own rule', async t => {
  const target = await serveFile(t, 'file', content)
  const port = new URL(target.url).port
  const { url } = await serveFile(t, 'from', content, (_request, response) => {
    response.writeHead(302, { location: target.url }).end()
    return true
  })
  const proxy = await startProxy(t)
  environment(t, { HTTP_PROXY: proxy.host, NO_PROXY: `localhost, 127.0.0.1:${new URL(url).port}` })
  const part = join(t.testdir(), 'part')
  await fetchFile(url, part)
  t.same(readFileSync(part), content)
  t.strictSame(proxy.log, [`GET http://127.0.0.1:${port}/file`])
})

t.test('failures name the proxy, never its password', async t => {
  const { url } = await serveFile(t, 'file', content)
  const proxy = await startProxy(t, 'me:right')
  const message = async (target: string): Promise<string> =>
    fetchFile(target, join(t.testdir(), 'part')).then(
      () => t.fail('came'),
      error => error.message,
    )
  environment(t, { HTTP_PROXY: `http://me:s3cret@${proxy.host}` })
  const refused = `the proxy wants a user and password \\(status 407\\).* \\(through the proxy http://${proxy.host}\\)$`
  t.match(await message(url), new RegExp(refused))
  environment(t, { HTTPS_PROXY: `http://me:s3cret@${proxy.host}` })
  t.match(await message('https://127.0.0.1:5443/file'), new RegExp(refused))
  environment(t, { HTTP_PROXY: 'http://me:s3cret@127.0.0.1:9' })
  const gone = await message(url)
  t.match(gone, /ECONNREFUSED.* \(through the proxy http:\/\/127\.0\.0\.1:9\)$/)
  environment(t, { HTTP_PROXY: 'socks5://me:s3cret@127.0.0.1:9' })
  const wrong = await message(url)
  t.match(wrong, /HTTP_PROXY \(or http_proxy\) must be the address of an HTTP proxy/)
  for (const text of [gone, wrong]) t.notMatch(text, 's3cret')
})

t.test('without a proxy variable the process own fetch is used', async t => {
  environment(t, {})
  const own = globalThis.fetch
  t.teardown(() => {
    globalThis.fetch = own
  })
  globalThis.fetch = async () => new Response('here')
  const text = await get('http://127.0.0.1:1/', {}, {}, async ({ body }) => {
    let text = ''
    for await (const chunk of body) text += Buffer.from(chunk).toString()
    return text
  })
  t.equal(text, 'here')
})

t.test('NO_PROXY', t => {
  const proxied = (list: string, url: string) => {
    environment(t, { HTTPS_PROXY: 'http://proxy:1', HTTP_PROXY: 'http://proxy:1', NO_PROXY: list })
    return proxyFor(url) !== null
  }
  const cases: [list: string, direct: string[], proxied: string[]][] = [
    ['', [], ['https://a.example/', 'http://10.1.2.3/']],
    ['*', ['https://a.example/', 'http://10.1.2.3/'], []],
    ['b.example,*', ['https://a.example/'], []],
    [
      'example',
      ['https://example/', 'https://a.example/', 'https://A.EXAMPLE/'],
      ['https://anexample/'],
    ],
    ['.a.example', ['https://a.example/', 'https://b.a.example/'], ['https://example/']],
    ['*.a.example', ['https://b.a.example/'], ['https://xa.example/']],
    [
      'a.example:8443 b.example',
      ['https://a.example:8443/', 'https://b.example/'],
      ['https://a.example/'],
    ],
    ['a.example:443', ['https://a.example/'], ['http://a.example/']],
    ['10.0.0.0/8', ['http://10.1.2.3/'], ['http://11.1.2.3/', 'http://a.example/']],
    ['::1, fe80::/10', ['http://[::1]:5/', 'http://[fe80::2]/'], ['http://[2001::1]/']],
    ['[::1]:5', ['http://[::1]:5/'], ['http://[::1]:6/']],
    ['10.0.0.0/99', [], ['http://10.0.0.1/']],
  ]
  for (const [list, direct, through] of cases) {
    for (const url of direct) t.notOk(proxied(list, url), `${list}: ${url} directly`)
    for (const url of through) t.ok(proxied(list, url), `${list}: ${url} by proxy`)
  }
  environment(t, { HTTPS_PROXY: 'http://big:1', https_proxy: 'http://small:1' })
  t.equal(proxyFor('https://a.example/')?.host, 'small:1', 'small letters first')
  t.equal(proxyFor('http://a.example/'), null, 'each scheme has its own')
  environment(t, { HTTPS_PROXY: '  ' })
  t.equal(proxyFor('https://a.example/'), null)
  t.end()
})
