/** The Electron example without Electron: its utility process by child_process.fork(), its protocol by both sides. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { packageRoot as root } from '../../ts/base/package-files.js'
import { cachedLibtorch, findLibtorch, type Libtorch } from '../../ts/engine/libtorch.js'
import { type SegmentationData, segment } from '../../ts/index.js'
import { plainEnv } from '../support/calls.js'

const source = join(root, 'examples/electron/src')
const shim = pathToFileURL(join(root, 'test/support/parent-port.mjs')).href
const picture = new Uint8Array(readFileSync(join(root, 'models/scenes/park.png')))
const classes = ['background', 'tree', 'dog']

interface Options {
  signal?: AbortSignal
  onProgress?: (progress: { step: string; done: number; total: number }) => void
}

interface Client {
  receive(message: unknown): void
  close(reason: string): void
  init(fields?: { model?: string }, options?: Options): Promise<{ family: string; device: string }>
  setup(options?: Options): Promise<{ dir: string }>
  segment(
    fields: { image: unknown; classes: unknown; options?: object },
    options?: Options,
  ): Promise<SegmentationData>
}

const { Client, problemOf } = (await import(
  pathToFileURL(join(source, 'window/protocol.mjs')).href
)) as {
  Client: new (send: (message: object) => void) => Client
  problemOf(message: unknown): string | undefined
}

function start(env: NodeJS.ProcessEnv = {}): ChildProcess {
  return fork(join(source, 'utility.mjs'), {
    serialization: 'advanced',
    execArgv: ['--import', shim],
    env: { ...plainEnv(), ...env },
  })
}

/** A window of the utility process. */
function open(child: ChildProcess, window: number): Client {
  const client = new Client(data => child.send({ window, data } as never))
  child.on('message', (message: { window: number; data: unknown }) => {
    if (message.window === window) client.receive(message.data)
  })
  return client
}

t.test('two windows of one utility process', async t => {
  const child = start()
  t.teardown(() => child.kill())
  const [first, second] = [open(child, 1), open(child, 2)]

  await t.rejects(first.segment({ image: picture, classes }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: 'Send init first.',
  })
  await t.rejects(first.init({ model: '/nowhere.pt' }), { code: 'ERR_DECLIP_IO' })
  t.match(await first.init({ model: 'words-tiny' }), { family: 'clip', device: 'cpu' })
  await second.init({ model: 'words-tiny' })

  const steps = new Set<string>()
  const result = await first.segment(
    { image: picture, classes },
    { onProgress: ({ step }) => steps.add(step) },
  )
  using expected = await segment(picture, classes, { model: 'words-tiny' })
  t.same(result.labels, await expected.labels.data())
  t.same(result.areas, expected.areas)
  t.same(result.colors[0], null)
  t.ok(steps.size > 0, [...steps].join(' '))

  const controller = new AbortController()
  const aborted = first.segment({ image: picture, classes }, { signal: controller.signal })
  const other = second.segment({ image: picture, classes, options: { shortSide: 96 } })
  controller.abort()
  await t.rejects(aborted, { name: 'AbortError', code: 'ERR_DECLIP_ABORTED' })
  t.equal((await other).width, result.width)

  await t.rejects(first.segment({ image: new Uint8Array(9), classes }), {
    code: 'ERR_DECLIP_IMAGE',
  })
  await t.rejects(first.segment({ image: 'a path', classes }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /^Not a request: image must be bytes/,
  })
  child.send({ window: 2, close: true } as never)
  t.equal((await first.segment({ image: picture, classes })).width, result.width)
})

t.test('LibTorch is not there at first', async t => {
  const cache = t.testdir({})
  const child = start({ DECLIP_CACHE: cache, LIBTORCH: '' })
  t.teardown(() => child.kill())
  const client = open(child, 1)
  await t.rejects(client.init({ model: 'words-tiny' }), { code: 'ERR_DECLIP_LIBTORCH' })
  // What a download would leave.
  const { dir } = findLibtorch() as Libtorch
  symlinkSync(dir, cachedLibtorch(cache, false))
  t.equal(realpathSync((await client.setup()).dir), realpathSync(dir))
  t.match(await client.init({ model: 'words-tiny' }), { family: 'clip' })
})

t.test('the utility process ends', async t => {
  const child = start()
  const client = open(child, 1)
  await client.init({ model: 'words-tiny' })
  const lost = client.segment({ image: picture, classes })
  child.kill()
  await once(child, 'exit')
  client.close('gone')
  await t.rejects(lost, { message: 'gone', code: 'CLOSED' })
})

t.test('messages that are no requests', t => {
  const image = new Uint8Array(1)
  const wrong: [unknown, RegExp][] = [
    [undefined, /^id/],
    [{ type: 'init' }, /^id/],
    [{ id: 1, type: 'run' }, /^type/],
    [{ id: 1, type: 'init', model: 5 }, /^model/],
    [{ id: 1, type: 'segment', image: [1], classes }, /^image/],
    [{ id: 1, type: 'segment', image, classes: [] }, /^classes/],
    [{ id: 1, type: 'segment', image, classes: [5] }, /^classes/],
    [{ id: 1, type: 'segment', image, classes, options: { method: {} } }, /^options\.method/],
    [{ id: 1, type: 'segment', image, classes, options: { shortSide: 0.5 } }, /^options\.short/],
  ]
  for (const [message, problem] of wrong) t.match(problemOf(message), problem)
  for (const type of ['setup', 'abort', 'init']) t.equal(problemOf({ id: 1, type }), undefined)
  t.equal(problemOf({ id: 1, type: 'segment', image, classes }), undefined)
  t.end()
})

t.test('the page lets in no script but its own, and the bridge no Node', t => {
  const html = readFileSync(join(source, 'window/index.html'), 'utf8')
  t.match(html, /default-src 'none'; script-src 'self'/)
  t.notMatch(html, /unsafe|https?:|<script>|onclick/)
  const main = readFileSync(join(source, 'main.mjs'), 'utf8')
  for (const line of ['contextIsolation: true', 'sandbox: true', 'nodeIntegration: false']) {
    t.ok(main.includes(line), line)
  }
  t.notMatch(main, /from 'declip-native'/, 'the main process loads nothing native')
  t.end()
})
