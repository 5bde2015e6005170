import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import type { Progress } from '../../../ts/base/call.js'
import type { DeclipError } from '../../../ts/errors.js'
import { type DownloadPlan, download } from '../../../ts/hub/download.js'
import { resolveSource } from '../../../ts/hub/resolve-source.js'
import { serveHub } from '../../support/hub.js'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'
const ID = 'someone/clip-small'
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const gitId = (bytes: Buffer) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

const WEIGHTS = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) & 255))
const FILES: Record<string, Buffer> = {
  'README.md': Buffer.from('not needed'),
  'config.json': Buffer.from('{"projection_dim": 8}'),
  'model.safetensors': WEIGHTS,
  'pytorch_model.bin': Buffer.from('not needed either'),
  'preprocessor_config.json': Buffer.from('{}'),
}

/** What the hub of a test does differently from the real one. */
interface Behaviour {
  files: Record<string, Buffer>
  sha: string
  /** Answer to every request. */
  status: number
  token: string
  /** The whole Authorization header, in place of a token. */
  authorization: string
  /** Paths that a sign-in page answers for. */
  page: RegExp
  /** How files are sent: without regard to Range, or also without a length. */
  plain: 'no range' | 'no length' | ''
  /** Where files lie. */
  redirect: string
  /** The answer in place of the list of files. */
  listing: string
  /** Files in one answer of the listing. */
  perPage: number
  /** Per file: how many bodies are cut off in the middle. */
  cuts: Record<string, number>
  /** Per file: how many bodies arrive with a wrong byte. */
  damaged: Record<string, number>
  onRequest: (url: string) => void
}

interface FakeHub extends Behaviour {
  url: string
  cache: string
  /** 'GET path range' of every request. */
  log: string[]
  close(): void
}

/** Plays the three routes of the hub that a download needs, on loopback. */
async function startHub(t: Test, behaviour: Partial<Behaviour> = {}): Promise<FakeHub> {
  const log: string[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch(error => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(close)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const hub: FakeHub = {
    files: FILES,
    sha: COMMIT,
    status: 200,
    token: '',
    authorization: '',
    page: /$^/,
    plain: '',
    redirect: '',
    listing: '',
    perPage: 1000,
    cuts: {},
    damaged: {},
    onRequest: () => undefined,
    ...behaviour,
    url,
    cache: t.testdir(),
    log,
    close,
  }
  const saved = { ...process.env }
  t.teardown(() => {
    process.env = saved
  })
  for (const name of Object.keys(process.env)) {
    if (/^(HF_|HUGGING_?FACE_|TRANSFORMERS_OFFLINE|(https?|no)_proxy$)/i.test(name))
      delete process.env[name]
  }
  process.env['HF_HOME'] = hub.cache
  process.env['HF_ENDPOINT'] = url

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '', url).pathname)
    log.push(`${path} ${request.headers.range ?? ''}`.trim())
    hub.onRequest(path)
    const json = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value))
    }
    if (hub.status !== 200) return json(hub.status, { error: `status ${hub.status}` })
    if (hub.page.test(path)) {
      response.writeHead(200, { 'content-type': 'text/html' })
      return void response.end('<!DOCTYPE html><html>Sign in</html>')
    }
    const wanted = hub.authorization || (hub.token && `Bearer ${hub.token}`)
    if (wanted && request.headers.authorization !== wanted) {
      return json(401, { error: 'Invalid username or password.' })
    }
    if (path.startsWith(`/api/models/${ID}/revision/`)) {
      return json(200, { _id: '1', id: ID, sha: hub.sha, cardData: { license: 'mit' } })
    }
    if (path === `/api/models/${ID}/tree/${hub.sha}`) {
      if (hub.listing) return void response.end(hub.listing)
      const start = Number(new URL(request.url ?? '', url).searchParams.get('cursor') ?? 0)
      const end = start + hub.perPage
      const entries = Object.entries(hub.files)
      if (end < entries.length) {
        response.setHeader('link', `<${url}${path}?cursor=${end}>; rel="next"`)
      }
      return json(
        200,
        entries.slice(start, end).map(([name, bytes]) => listed(name, bytes)),
      )
    }
    const prefix = `/${ID}/resolve/${hub.sha}/`
    const name = path.slice(prefix.length)
    const bytes = path.startsWith(prefix) ? hub.files[name] : undefined
    if (!bytes) return json(404, { error: 'Repository not found' })
    if (hub.redirect) {
      response.writeHead(302, { location: `${hub.redirect}/${name}` })
      return void response.end()
    }
    const range = hub.plain ? '' : (request.headers.range ?? '')
    const [, first = '0', last = ''] = /bytes=(\d+)-(\d*)/.exec(range) ?? []
    const from = Number(first)
    const to = last === '' ? bytes.length - 1 : Number(last)
    let body = bytes.subarray(from, to + 1)
    response.writeHead(range ? 206 : 200, {
      etag: '"x"',
      ...(hub.plain === 'no length' ? {} : { 'content-length': body.length }),
      ...(range ? { 'content-range': `bytes ${from}-${to}/${bytes.length}` } : {}),
    })
    if (body.length > 1 && (hub.cuts[name] ?? 0) > 0) {
      hub.cuts[name] = (hub.cuts[name] ?? 0) - 1
      response.write(body.subarray(0, Math.floor(body.length / 2)))
      await new Promise(resolve => setTimeout(resolve, 50))
      response.destroy()
      return
    }
    if (body.length > 1 && (hub.damaged[name] ?? 0) > 0) {
      hub.damaged[name] = (hub.damaged[name] ?? 0) - 1
      body = Buffer.from(body)
      body[0] = (body[0] ?? 0) ^ 1
    }
    response.end(body)
  }
  return hub
}

/** Large files are listed with a SHA-256, small ones with Git's id only. */
function listed(path: string, bytes: Buffer): object {
  const entry = { type: 'file', path, size: bytes.length, oid: gitId(bytes) }
  return bytes.length < 1000
    ? entry
    : { ...entry, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }
}

const transfers = (hub: FakeHub, name: string) =>
  hub.log.filter(line => line.includes(`/${name}`) && !line.endsWith('bytes=0-0'))

const partial = (hub: FakeHub) =>
  readdirSync(hub.cache, { recursive: true })
    .map(String)
    .filter(name => name.endsWith('.declip'))

const rejectsWith = async (t: Test, call: Promise<unknown>, code: string, ...parts: RegExp[]) => {
  const error = (await call.then(
    () => t.fail('resolved'),
    e => e,
  )) as DeclipError
  t.equal(error.code, code, error.message)
  for (const part of parts) t.match(error.message, part)
  return error
}

t.test('fetches what is needed into the shared cache layout', async t => {
  const hub = await startHub(t)
  const progress: Progress[] = []
  const found = await resolveSource(ID, { onProgress: p => progress.push(p) })
  const root = join(hub.cache, 'hub', 'models--someone--clip-small')
  t.strictSame(found, { path: join(root, 'snapshots', COMMIT), license: 'mit', name: ID })
  t.strictSame(readdirSync(found.path).sort(), [
    'config.json',
    'model.safetensors',
    'preprocessor_config.json',
  ])
  t.ok(lstatSync(join(found.path, 'model.safetensors')).isSymbolicLink())
  t.ok(readFileSync(join(found.path, 'model.safetensors')).equals(WEIGHTS))
  t.ok(existsSync(join(root, 'blobs', sha256(WEIGHTS))))
  t.equal(readFileSync(join(root, 'refs', 'main'), 'utf8'), COMMIT)
  const total = WEIGHTS.length + 2 + 21
  t.strictSame(progress.at(-1), { step: 'download', done: total, total })
  t.ok(progress.every((p, i) => p.done >= (progress[i - 1]?.done ?? 0)))
  t.strictSame(partial(hub), [])

  const before = hub.log.length
  await resolveSource(ID)
  t.strictSame(
    hub.log.slice(before).map(line => line.replace(/.*\/(revision|tree)\/.*/, '$1')),
    ['revision', 'tree'],
    'a second call transfers nothing',
  )
})

t.test('resumes a broken transfer where it stopped', async t => {
  const hub = await startHub(t, { cuts: { 'model.safetensors': 1 } })
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS))
  t.equal(transfers(hub, 'model.safetensors').length, 2)
  t.match(transfers(hub, 'model.safetensors')[1], /bytes=100000-199999$/)
})

t.test('keeps what arrived for the next call when a transfer breaks for good', async t => {
  const hub = await startHub(t, { cuts: { 'model.safetensors': 5 } })
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    /could not be downloaded from http:.*What has arrived is kept: try again/,
  )
  t.equal(partial(hub).length, 1)
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS))
  t.match(transfers(hub, 'model.safetensors').at(-1), /bytes=1\d{5}-199999$/)
  t.strictSame(partial(hub), [])
})

t.test('a damaged transfer never becomes a model', async t => {
  const hub = await startHub(t, { damaged: { 'model.safetensors': 1 } })
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS), 'fetched again')

  const bad = await startHub(t, { damaged: { 'config.json': 99 }, sha: 'f'.repeat(40) })
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    /config\.json arrived damaged/,
  )
  t.notOk(existsSync(join(bad.cache, 'hub', 'models--someone--clip-small', 'snapshots')))
  t.ok(hub.log.length > 0)
})

t.test('two calls at once do not write to one file', async t => {
  const hub = await startHub(t)
  const both = await Promise.all([1, 2].map(() => download({ id: ID, revision: 'main' })))
  for (const { path } of both) {
    t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS))
  }
  t.strictSame(partial(hub), [])
})

t.test('does not take over a transfer that may be alive', async t => {
  const hub = await startHub(t)
  const blobs = join(hub.cache, 'hub', 'models--someone--clip-small', 'blobs')
  const alive = join(blobs, `${sha256(WEIGHTS)}.0123456789ab.declip`)
  mkdirSync(blobs, { recursive: true })
  writeFileSync(alive, 'someone else is writing here')
  await download({ id: ID, revision: 'main' })
  t.equal(readFileSync(alive, 'utf8'), 'someone else is writing here')
})

t.test('shards named by an index', async t => {
  const index = (names: string[]) =>
    Buffer.from(JSON.stringify({ weight_map: Object.fromEntries(names.map((n, i) => [i, n])) }))
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
  const files: Record<string, Buffer> = {
    'config.json': Buffer.from('{}'),
    'model.safetensors.index.json': index([...shards, ...shards]),
  }
  for (const name of shards) files[name] = Buffer.from(name.repeat(100))
  const hub = await startHub(t, { files })
  const { path } = await download({ id: ID, revision: 'main' })
  for (const name of shards) {
    t.ok(readFileSync(join(path, name)).equals(files[name] ?? Buffer.alloc(0)))
  }
  process.env['HF_HUB_OFFLINE'] = '1'
  t.equal((await download({ id: ID, revision: 'main' })).path, path)
  hub.files = { ...files, 'model.safetensors.index.json': index(['../../../escaped.safetensors']) }
  hub.sha = 'a'.repeat(40)
  delete process.env['HF_HUB_OFFLINE']
  process.env['HF_HUB_CACHE'] = join(hub.cache, 'other')
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_WEIGHTS',
    /index\.json is no index .* no weights: \.\.\/\.\.\/\.\.\/escaped/,
  )
  hub.sha = 'b'.repeat(40)
  hub.files = { ...files, 'model.safetensors.index.json': index(['absent.safetensors']) }
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_WEIGHTS',
    /names absent\.safetensors, which the repository does not have/,
  )
})

t.test('a listing cannot lead out of the cache', async t => {
  const files = { '../../../../evil.safetensors': WEIGHTS }
  await startHub(t, { files })
  await rejectsWith(t, download({ id: ID, revision: 'main' }), 'ERR_DECLIP_WEIGHTS', /no weights/)
})

t.test('offline', async t => {
  const hub = await startHub(t)
  process.env['HF_HUB_OFFLINE'] = '1'
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    /is not in the cache .* HF_HUB_OFFLINE is set\. Unset it once/,
  )
  t.strictSame(hub.log, [], 'nothing is asked')
  delete process.env['HF_HUB_OFFLINE']
  const { path } = await download({ id: ID, revision: 'main' })
  const asked = hub.log.length
  process.env['HF_HUB_OFFLINE'] = 'true'
  t.equal((await download({ id: ID, revision: 'main' })).path, path)
  t.equal((await download({ id: ID, revision: COMMIT })).path, path)
  t.equal(hub.log.length, asked)
})

t.test('an unreachable hub falls back to the cache, aloud', async t => {
  const hub = await startHub(t)
  const { path } = await download({ id: ID, revision: 'main' })
  hub.close()
  const warned = once(process, 'warning')
  t.equal((await download({ id: ID, revision: 'main' })).path, path)
  t.match((await warned)[0].message, /could not be reached \(.+\); using the copy of someone/)
  await rejectsWith(
    t,
    download({ id: ID, revision: 'v2' }),
    'ERR_DECLIP_NETWORK',
    /could not be downloaded .*set HF_ENDPOINT to a mirror, or pass the path/,
  )
})

t.test('refusals say what to do', async t => {
  const hub = await startHub(t)
  const call = () => download({ id: ID, revision: 'main' })
  for (const [status, part] of [
    [401, /refused access .* accept the model's terms at http.* set HF_TOKEN/],
    [403, /refused access/],
    [404, /has no model someone\/clip-small with revision 'main'.* Check the spelling/],
    [429, /fewer requests/],
    [500, /could not be downloaded/],
  ] as const) {
    hub.status = status
    await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', part)
  }
})

t.test('a gated repository says where to ask and which token counts', async t => {
  const dino = 'facebook/dinov3-vitb16-pretrain-lvd1689m'
  const served = async (id: string, refuses: [number, string], gated: 'manual' | false) => {
    const hub = await startHub(t)
    const cardData = { license: 'other', license_name: 'own-license', license_link: 'LICENSE.md' }
    process.env['HF_ENDPOINT'] = await serveHub(t, id, FILES, { cardData, gated, refuses })
    return hub
  }
  const why = `Access to model ${dino} is restricted. You must have access to it.`
  for (const gated of ['manual', false] as const) {
    await served(dino, [401, why], gated)
    let plan: DownloadPlan | undefined
    const onPlan = (found: DownloadPlan) => {
      plan = found
      return true
    }
    const call = download({ id: dino, revision: 'main' }, { onPlan })
    const page = `${process.env['HF_ENDPOINT']}/${dino}`
    await rejectsWith(
      t,
      call,
      'ERR_DECLIP_NETWORK',
      new RegExp(
        `^${dino} is gated, so http.* refused it \\(status 401\\)\\. Ask for access .* page, `,
      ),
      new RegExp(`${page}, and set HF_TOKEN to a token`),
      /timm\/vit_base_patch16_dinov3\.lvd1689m holds the same weights without this/,
    )
    t.match(plan, { license: 'own-license', licenseUrl: `${page}/blob/main/LICENSE.md` })
    t.equal(plan?.gated, gated !== false)
  }
  await served(ID, [403, 'You are not in the authorized list.'], 'manual')
  process.env['HF_TOKEN'] = 'hf_mine'
  const error = await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    /The account of the token that was sent .* has no access yet: ask for it on the model's page/,
  )
  t.notMatch(error.message, /hf_mine|timm/)
  await served(ID, [403, 'no'], false)
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    /accept the model's terms/,
  )
})

t.test('licences', async t => {
  const hub = await startHub(t)
  const licenceOf = async (cardData: object) => {
    process.env['HF_ENDPOINT'] = await serveHub(t, ID, FILES, { cardData })
    let found: unknown
    const onPlan = ({ license, licenseUrl }: DownloadPlan) => {
      found = [license, licenseUrl]
      return false
    }
    await t.rejects(download({ id: ID, revision: 'main' }, { onPlan }))
    return found
  }
  const link = 'https://example.com/terms'
  t.strictSame(await licenceOf({ license: 'mit', license_link: link }), ['mit', undefined])
  t.strictSame(await licenceOf({ license: 'other', license_name: 'x' }), ['x', undefined])
  t.strictSame(await licenceOf({ license: 'other', license_link: link }), ['other', link])
  t.strictSame(await licenceOf({ license: ['mit'], license_name: 3 }), [undefined, undefined])
  t.strictSame(await licenceOf({}), [undefined, undefined])
  t.ok(hub)
})

t.test('sends the token of the environment or of the stored login', async t => {
  const hub = await startHub(t, { token: 'hf_secret' })
  const call = () => download({ id: ID, revision: 'main' })
  await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /401/)
  writeFileSync(join(hub.cache, 'token'), 'hf_secret\n')
  t.ok(await call())
  process.env['HF_TOKEN'] = 'hf_other'
  const error = await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /401/)
  t.notMatch(error.message, /hf_other/)
})

t.test('an aborted download rejects and leaves nothing that looks whole', async t => {
  const controller = new AbortController()
  const hub = await startHub(t, {
    onRequest: path => {
      if (path.endsWith('/model.safetensors')) controller.abort(new Error('enough'))
    },
  })
  const call = download({ id: ID, revision: 'main' }, { signal: controller.signal })
  const error = await rejectsWith(t, call, 'ERR_DECLIP_ABORTED')
  t.equal(error.name, 'AbortError')
  t.equal((error.cause as Error).message, 'enough')
  t.notOk(existsSync(join(hub.cache, 'hub/models--someone--clip-small/blobs', sha256(WEIGHTS))))
  t.notOk(existsSync(join(hub.cache, 'hub/models--someone--clip-small/refs/main')))
})

t.test('a cache that cannot be written is an ERR_DECLIP_IO', async t => {
  const hub = await startHub(t)
  writeFileSync(join(hub.cache, 'file'), '')
  process.env['HF_HUB_CACHE'] = join(hub.cache, 'file')
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_IO',
    /could not be written to the cache.*HF_HUB_CACHE/,
  )
})

t.test('a server that ignores Range, and one that tells no length', async t => {
  for (const plain of ['no range', 'no length'] as const) {
    const hub = await startHub(t, { plain, cuts: { 'model.safetensors': 1 } })
    const { path } = await download({ id: ID, revision: 'main' })
    t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS), plain)
    t.equal(transfers(hub, 'model.safetensors').length, 2, 'the rest was asked for once')
  }
})

t.test('files on another host: the token stays at the hub', async t => {
  const seen: (string | undefined)[] = []
  const storage = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end(FILES[basename(request.url ?? '')])
  })
  storage.listen(0, '127.0.0.1')
  await once(storage, 'listening')
  t.teardown(() => {
    storage.closeAllConnections()
    storage.close()
  })
  const { port } = storage.address() as AddressInfo
  await startHub(t, { token: 'secret', redirect: `http://127.0.0.1:${port}` })
  process.env['HF_TOKEN'] = 'secret'
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS))
  t.strictSame(seen, [undefined, undefined, undefined])
})

t.test('tokens of mirrors: any form, with blanks around; a login in HF_ENDPOINT', async t => {
  const hub = await startHub(t, { token: 'NexusToken.abc_1=' })
  const call = () => download({ id: ID, revision: 'main' })
  for (const token of ['NexusToken.abc_1=', '  NexusToken.abc_1=\r\n']) {
    process.env['HF_TOKEN'] = token
    t.ok(await call())
  }
  delete process.env['HF_TOKEN']
  process.env['HUGGING_FACE_HUB_TOKEN'] = 'NexusToken.abc_1='
  t.ok(await call())
  delete process.env['HUGGING_FACE_HUB_TOKEN']
  writeFileSync(join(hub.cache, 'token'), 'NexusToken.abc_1=\n')
  for (const empty of ['', '  \n']) {
    process.env['HF_TOKEN'] = empty
    t.ok(await call(), 'an empty one counts as none')
  }
  process.env['HF_TOKEN'] = 'se\ncret'
  const error = await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /token in HF_TOKEN has blanks/)
  t.notMatch(error.message, /cret/)
  process.env['HF_TOKEN'] = ''
  writeFileSync(join(hub.cache, 'token'), '')
  hub.authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
  process.env['HF_ENDPOINT'] = hub.url.replace('//', '//me:p%40ss@')
  t.ok(await call())
  hub.status = 403
  t.notMatch((await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /403/)).message, 'p%40ss')
  process.env['HF_ENDPOINT'] = 'mirror.example'
  await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /HF_ENDPOINT must be the address of a hub/)
})

t.test('a sign-in page is no answer', async t => {
  const hub = await startHub(t, { page: /./ })
  const call = () => download({ id: ID, revision: 'main' })
  await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /a web page came instead of the hub's answer/)
  hub.page = /model\.safetensors$/
  const reason =
    /model\.safetensors did not arrive: a web page came instead of the file.*\. Try again/
  await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', reason)
  t.equal(transfers(hub, 'model.safetensors').length, 1)
  hub.page = /$^/
  const { path } = await call()
  hub.page = /./
  const warned = once(process, 'warning')
  t.equal((await call()).path, path, 'what is in the cache serves')
  t.match((await warned)[0].message, /web page/)
})

t.test('what is no JSON and lists nothing', async t => {
  const hub = await startHub(t, { listing: 'Entry not found' })
  const call = () => download({ id: ID, revision: 'main' })
  await rejectsWith(
    t,
    call(),
    'ERR_DECLIP_NETWORK',
    /is not JSON; it begins with "Entry not found"/,
  )
  hub.listing = '{}'
  await rejectsWith(t, call(), 'ERR_DECLIP_NETWORK', /lists no files/)
})

t.test('a listing of several pages', async t => {
  const files = { ...FILES }
  for (let i = 0; i < 30; i += 1) files[`extra-${i}.txt`] = Buffer.from(String(i))
  const hub = await startHub(t, { files, perPage: 7 })
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(existsSync(join(path, 'preprocessor_config.json')))
  t.equal(hub.log.filter(line => line.includes('/tree/')).length, 5)
})

t.test('offline, a cache that does not say where main stood', async t => {
  const hub = await startHub(t)
  const { path } = await download({ id: ID, revision: 'main' })
  const root = join(hub.cache, 'hub', 'models--someone--clip-small')
  rmSync(join(root, 'refs'), { recursive: true })
  process.env['HF_HUB_OFFLINE'] = '1'
  t.equal((await download({ id: ID, revision: 'main' })).path, path, 'the only snapshot')
  await rejectsWith(
    t,
    download({ id: ID, revision: 'v2' }),
    'ERR_DECLIP_NETWORK',
    new RegExp(`refs.v2 does not say which commit is meant; name ${ID}@${COMMIT}\\.`),
  )
  const other = 'f'.repeat(40)
  mkdirSync(join(root, 'snapshots', other))
  t.equal((await download({ id: ID, revision: 'main' })).path, path, 'the only whole one')
  cpSync(path, join(root, 'snapshots', other), { recursive: true, dereference: true })
  await rejectsWith(
    t,
    download({ id: ID, revision: 'main' }),
    'ERR_DECLIP_NETWORK',
    new RegExp(`refs.main does not say .* name ${ID}@${COMMIT}, ${ID}@${other}\\.`),
  )
  t.ok(await download({ id: ID, revision: other }))
  await rejectsWith(
    t,
    download({ id: ID, revision: 'a'.repeat(40) }),
    'ERR_DECLIP_NETWORK',
    /is not in the cache/,
  )
  rmSync(join(root, 'blobs', sha256(WEIGHTS)))
  await rejectsWith(
    t,
    download({ id: ID, revision: COMMIT }),
    'ERR_DECLIP_NETWORK',
    /HF_HUB_OFFLINE is set: model\.safetensors is missing in .*Unset it once/,
  )
})

t.test('a hub behind a proxy', async t => {
  const hub = await startHub(t)
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '')
    fetch(String(request.url).replace('http://hub.test', hub.url), {
      headers: request.headers.range ? { range: request.headers.range } : {},
    }).then(async answer => {
      response.writeHead(answer.status)
      response.end(Buffer.from(await answer.arrayBuffer()))
    }, response.destroy)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  process.env['HF_ENDPOINT'] = 'http://hub.test'
  process.env['http_proxy'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const { path } = await download({ id: ID, revision: 'main' })
  t.ok(readFileSync(join(path, 'model.safetensors')).equals(WEIGHTS))
  t.equal(asked.length, 5)
})
