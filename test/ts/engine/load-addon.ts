import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as threads from 'node:worker_threads'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { findLibtorch } from '../../../ts/engine/libtorch.js'
import { addonPath, loadAddon } from '../../../ts/engine/load-addon.js'
import { addonPackageName, libtorchPackageName } from '../../../ts/engine/platform-packages.js'
import { DeclipError } from '../../../ts/errors.js'

const moduleFile = join(packageRoot, 'dist/engine/load-addon.js')
const built = addonPath()

/** What a fresh process prints. */
function print(code: string, env: NodeJS.ProcessEnv = {}, type = 'module'): string {
  return execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  }).trim()
}

const caught = (error: unknown) =>
  error instanceof DeclipError ? { code: error.code, message: error.message } : error

function errorOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return caught(error)
  }
}

/** Sets a variable for the rest of a test. */
function setEnv(t: Test, name: string, value: string): void {
  const before = process.env[name]
  process.env[name] = value
  t.teardown(() => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
}

t.test('every place that was looked at is in the error', async t => {
  const root = t.testdir()
  const error = errorOf(() => addonPath(root))
  t.match(error, { code: 'ERR_DECLIP_ADDON_NOT_FOUND' })
  for (const place of ['build/Release', 'build/Debug']) {
    t.match(error, { message: join(root, place) })
  }
  t.match(error, { message: `${addonPackageName()}: is not installed` })
  t.match(error, { message: 'npm run build' })
})

t.test('DECLIP_ADDON names the file', async t => {
  setEnv(t, 'DECLIP_ADDON', built)
  t.equal(addonPath(t.testdir()), built)
  setEnv(t, 'DECLIP_ADDON', join(t.testdirName, 'nothing.node'))
  t.match(
    errorOf(() => addonPath()),
    { code: 'ERR_DECLIP_ADDON_NOT_FOUND', message: /nothing\.node/ },
  )
})

t.test('a file that is no addon', async t => {
  const file = join(t.testdir({ 'broken.node': 'not machine code' }), 'broken.node')
  const code = `import { loadAddon } from ${JSON.stringify(moduleFile)}
    try { loadAddon() } catch (error) { console.log(error.code, error.message) }`
  t.match(print(code, { DECLIP_ADDON: file }), /^ERR_DECLIP_ADDON_NOT_FOUND .*broken\.node: /s)
})

t.test('the platform package is taken where nothing was built', async t => {
  const root = t.testdir({
    app: { 'package.json': JSON.stringify({ name: 'declip-native', version: '1.2.3' }) },
    node_modules: {
      [addonPackageName()]: { 'package.json': JSON.stringify({ version: '1.2.3' }) },
    },
  })
  const app = join(root, 'app')
  const file = join(root, 'node_modules', addonPackageName(), 'declip-native.node')
  t.match(
    errorOf(() => addonPath(app)),
    { code: 'ERR_DECLIP_ADDON_NOT_FOUND', message: `${file}: no such file` },
  )
  copyFileSync(built, file)
  t.equal(addonPath(app), file)
  const local = join(app, 'build/Release/declip-native.node')
  mkdirSync(join(local, '..'), { recursive: true })
  writeFileSync(local, '')
  t.equal(addonPath(app), local)
})

t.test('`import` and `require` load it, and importing alone does not', async t => {
  const use = 'console.log(loadAddon().runtime().libtorch)'
  t.match(print(`import { loadAddon } from ${JSON.stringify(moduleFile)}; ${use}`), /^2\.13\./)
  t.match(
    print(`const { loadAddon } = require(${JSON.stringify(moduleFile)}); ${use}`, {}, 'commonjs'),
    /^2\.13\./,
  )
  const maps = `import { readFileSync } from 'node:fs'
    await import(${JSON.stringify(join(packageRoot, 'dist/index.mjs'))})
    console.log(readFileSync('/proc/self/maps', 'utf8').includes('libtorch_cpu'))`
  if (process.platform === 'linux') t.equal(print(maps), 'false')
  t.equal(
    print(`await import(${JSON.stringify(moduleFile)}); console.log('fine')`, {
      DECLIP_ADDON: '/none',
    }),
    'fine',
  )
})

t.test(
  'LibTorch comes from the folder that is named',
  { skip: process.platform !== 'linux' && 'reads /proc' },
  async t => {
    const dir = findLibtorch()?.dir ?? ''
    const code = `import { readFileSync } from 'node:fs'
    import { loadAddon } from ${JSON.stringify(moduleFile)}
    loadAddon()
    const line = readFileSync('/proc/self/maps', 'utf8').split('\\n').find(line => line.includes('libtorch_cpu'))
    console.log(line.split(/\\s+/)[5])`
    t.equal(print(code, { LIBTORCH: dir }), join(dir, 'lib/libtorch_cpu.so'))
  },
)

t.test('two workers and the main thread', async t => {
  t.match(loadAddon().runtime().libtorch, /^2\.13\./)
  const code = `import(${JSON.stringify(moduleFile)}).then(({ loadAddon }) =>
    require('node:worker_threads').parentPort.postMessage(loadAddon().runtime().libtorch))`
  const answers = await Promise.all(
    [1, 2].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new threads.Worker(code, { eval: true, execArgv: [] })
          worker.once('message', resolve).once('error', reject)
        }),
    ),
  )
  for (const answer of answers) t.match(answer, /^2\.13\./)
})

t.test('where threads are forbidden, LibTorch is loaded on this one', async t => {
  class Worker {
    constructor() {
      throw Object.assign(new Error('no worker threads'), { code: 'ERR_ACCESS_DENIED' })
    }
  }
  const { prepareAddon } = await t.mockImport<typeof import('../../../ts/engine/load-addon.js')>(
    '../../../ts/engine/load-addon.js',
    { 'node:worker_threads': { ...threads, Worker } },
  )
  t.type((await prepareAddon()).loadModel, 'function')
})

t.test('DECLIP_PRELOAD chooses the thread that loads LibTorch, as Electron does', async t => {
  let workers = 0
  class Worker {
    constructor() {
      workers += 1
      throw new Error('no worker threads')
    }
  }
  const prepare = async () => {
    const { prepareAddon } = await t.mockImport<typeof import('../../../ts/engine/load-addon.js')>(
      '../../../ts/engine/load-addon.js',
      { 'node:worker_threads': { ...threads, Worker } },
    )
    return prepareAddon()
  }
  await prepare()
  t.equal(workers, 1)
  setEnv(t, 'DECLIP_PRELOAD', 'here')
  t.type((await prepare()).loadModel, 'function')
  t.equal(workers, 1)
  setEnv(t, 'DECLIP_PRELOAD', '')
  Object.defineProperty(process.versions, 'electron', { value: '40.0.0', configurable: true })
  t.teardown(() => Reflect.deleteProperty(process.versions, 'electron'))
  await prepare()
  t.equal(workers, 1)
  setEnv(t, 'DECLIP_PRELOAD', 'worker')
  await prepare()
  t.equal(workers, 2)
  setEnv(t, 'DECLIP_PRELOAD', 'there')
  await t.rejects(prepare(), { code: 'ERR_DECLIP_INVALID_ARG', message: "'here' or 'worker'" })
})

t.test('without LibTorch the error is short, and one call later it may be there', async t => {
  const cache = join(t.testdir(), 'cache')
  const code = `import { prepareAddon } from ${JSON.stringify(moduleFile)}
    await prepareAddon().catch(({ code, message, cause }) => console.log(code, message.length < 400, cause, message))
    process.env.LIBTORCH = ${JSON.stringify(findLibtorch()?.dir)}
    console.log((await prepareAddon()).runtime().libtorch)`
  const printed = print(code, { DECLIP_CACHE: cache, LIBTORCH: '' })
  t.match(
    printed,
    /^ERR_DECLIP_LIBTORCH true undefined LibTorch 2\.13\.0, which computes, is not on/,
  )
  for (const way of ['npx declip setup', 'await setup()', libtorchPackageName()]) {
    t.match(printed, way)
  }
  t.match(printed, /\n2\.13\./)
})

const [major = 0] = process.versions.node.split('.').map(Number)

const onlyPosix = process.platform === 'win32' && 'runs env'

t.test('Node may forbid worker threads', { skip: onlyPosix }, t => {
  const flag = major < 22 ? '--experimental-permission' : '--permission'
  const code = `require(${JSON.stringify(moduleFile)}).prepareAddon().then(addon => console.log(addon.runtime().libtorch))`
  const command = [process.execPath, flag, '--allow-fs-read=*', '--allow-addons', '-e', code]
  // What tap loads into every process that it knows of is forbidden there.
  const options = { encoding: 'utf8', stdio: 'pipe' } as const
  t.match(execFileSync('env', ['-u', 'NODE_OPTIONS', ...command], options), /^2\.13\./)
  t.end()
})
