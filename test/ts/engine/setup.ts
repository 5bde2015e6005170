import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { cachedLibtorch, findLibtorch } from '../../../ts/engine/libtorch.js'
import {
  builtInSources,
  knownWheel,
  type LibtorchSource,
} from '../../../ts/engine/libtorch-sources.js'
import { libtorchPackageName } from '../../../ts/engine/platform-packages.js'
import {
  type InternalSetupOptions,
  type SetupOptions,
  type SetupPlan,
  setup,
  setupLibtorch,
} from '../../../ts/engine/setup.js'
import { DeclipError } from '../../../ts/errors.js'
import { finish } from '../../support/child.js'
import { serveFile } from '../../support/file-server.js'
import {
  ARCHIVE,
  ARCHIVE_SHA256,
  CACHED,
  FILES,
  LIBRARY,
  packageOf,
  under,
  wheelOf,
  write,
} from '../../support/libtorch.js'
import { zip } from '../../support/zip.js'

delete process.env['LIBTORCH']
for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']) {
  delete process.env[name]
  delete process.env[name.toLowerCase()]
}

const hashOf = (content: Buffer | string) => createHash('sha256').update(content).digest('hex')

const NEEDS_WHEEL = { skip: !knownWheel() && 'no wheel is known for this platform' }

/** A cache that is not there yet. */
const newCache = (t: Test) => join(t.testdir(), 'cache')

async function archiveSource(
  t: Test,
  content = ARCHIVE,
  sha256: string | undefined = hashOf(content),
): Promise<LibtorchSource> {
  const { url } = await serveFile(t, 'libtorch.zip', content)
  return { kind: 'url', file: 'libtorch.zip', url, sha256 }
}

/** A program that stands in for pip: copies a wheel into the folder after --dest. */
function pipSource(t: Test, wheel: Buffer, sha256 = hashOf(wheel)): LibtorchSource {
  const folder = join(t.testdirName, 'pip')
  write(folder, {
    'pip.cjs': `const { copyFileSync, writeFileSync } = require('node:fs')
const to = process.argv[process.argv.indexOf('--dest') + 1]
writeFileSync(require('node:path').join(__dirname, 'called.json'), JSON.stringify({
  args: process.argv.slice(2), temporary: process.env.TMPDIR, proxy: process.env.HTTPS_PROXY }))
copyFileSync(require('node:path').join(__dirname, 'torch.whl'), to + '/torch.whl')`,
  })
  writeFileSync(join(folder, 'torch.whl'), wheel)
  const file = 'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl'
  return { kind: 'pip', file, command: [process.execPath, join(folder, 'pip.cjs')], sha256 }
}

async function errorOf(call: Promise<unknown>): Promise<DeclipError> {
  return call.then(
    () => new DeclipError('ERR_DECLIP_INTERNAL', 'it did not reject'),
    error => error as DeclipError,
  )
}

const internal = (options: InternalSetupOptions) => setupLibtorch({ root: '', ...options })

t.test('what is downloaded unasked has a checksum in the code, for every platform', async t => {
  for (const [platform, arch] of [
    ['linux', 'x64'],
    ['darwin', 'arm64'],
    ['win32', 'x64'],
  ] as const) {
    const saved = [process.platform, process.arch] as const
    const become = (platform: string, arch: string) => {
      Object.defineProperty(process, 'platform', { value: platform })
      Object.defineProperty(process, 'arch', { value: arch })
    }
    try {
      become(platform, arch)
      const sources = builtInSources()
      t.same(
        sources.map(({ kind }) => kind),
        ['url', 'pip'],
      )
      for (const { sha256, file } of sources) {
        t.match(sha256, /^[\da-f]{64}$/)
        t.match(file, /^torch-2\.13\.0.*\.whl$/)
      }
      t.match(sources[0], { url: /^https:\/\/download\.pytorch\.org\/whl\/cpu\/torch-[^+]+\.whl$/ })
    } finally {
      become(...saved)
    }
  }
})

t.test('an archive: what is needed to run is unpacked, and found from then on', async t => {
  const cache = newCache(t)
  const steps = new Set<string>()
  const plans: SetupPlan[] = []
  const source = await archiveSource(t)
  const found = await internal({
    cache,
    sources: [source],
    onProgress: ({ step }) => steps.add(step),
    onPlan: plan => plans.push(plan),
  })
  t.same(found, { dir: join(cache, CACHED), origin: 'cache', sha256: ARCHIVE_SHA256 })
  t.equal(readFileSync(join(found.dir, LIBRARY), 'utf8'), 'machine code')
  t.same(
    readdirSync(found.dir, { recursive: true }).filter(name => String(name).endsWith('.h')),
    ['include/torch/headeronly/version.h'],
  )
  t.same(readdirSync(cache), [CACHED], 'no archive, lock or partial folder is left')
  t.same([...steps], ['download', 'unpack'])
  t.match(plans, [{ sha256: ARCHIVE_SHA256, dir: found.dir, failures: [] }])
  t.equal(plans.length, 1)
  const { sha256: _, ...again } = found
  t.same(await internal({ cache, sources: [] }), again, 'nothing is asked for')
})

t.test('with headers for a build, in a folder of its own', async t => {
  const cache = newCache(t)
  const sources = [await archiveSource(t)]
  const { dir } = await internal({ cache, sources, headers: true })
  t.equal(dir, cachedLibtorch(cache, true))
  t.ok(existsSync(join(dir, 'include/ATen/ATen.h')))
  t.equal((await internal({ cache, sources: [] })).dir, dir, 'it also runs')
})

t.test('a source that fails is followed by the next, which is told why', async t => {
  const cache = newCache(t)
  const wheel = wheelOf({ ...under('torch'), 'torch/nn/__init__.py': 'pass' })
  const sources = [await archiveSource(t, ARCHIVE, '0'.repeat(64)), pipSource(t, wheel)]
  const plans: SetupPlan[] = []
  process.env['HTTPS_PROXY'] = 'http://127.0.0.1:9'
  process.env['NO_PROXY'] = '127.0.0.1'
  t.teardown(() => {
    delete process.env['HTTPS_PROXY']
    delete process.env['NO_PROXY']
  })
  const { dir } = await internal({ cache, sources, onPlan: plan => plans.push(plan) })
  t.equal(readFileSync(join(dir, LIBRARY), 'utf8'), 'machine code')
  t.equal(readFileSync(join(dir, 'licenses/LICENSE'), 'utf8'), 'BSD')
  t.notOk(existsSync(join(dir, 'nn')))
  t.same(readdirSync(cache), [CACHED])
  t.match(plans[1]?.failures, [/libtorch\.zip: .*sha256 is .*not 0+/])
  const called = JSON.parse(readFileSync(join(t.testdirName, 'pip/called.json'), 'utf8'))
  t.match(called.args.join(' '), /--python-version 3\.11 .*--abi cp311 .*manylinux_2_28_x86_64 /)
  t.match(called.args.join(' '), /torch==2\.13\.0\+cpu$/)
  t.ok(called.temporary.startsWith(cache), 'pip has no other place for its files')
  t.equal(called.proxy, 'http://127.0.0.1:9')
})

t.test(
  'from: a zip, a wheel, an npm package; by path, folder, URL and mirror',
  NEEDS_WHEEL,
  async t => {
    const known = knownWheel() ?? { file: '', sha256: '' }
    const wheel = wheelOf(under('torch'))
    const name = libtorchPackageName()
    const files = {
      ...FILES,
      LICENSE: 'BSD',
      'package.json': JSON.stringify({ version: '2.13.0' }),
    }
    const tgz = await packageOf(t, files)
    const folder = t.testdir()
    writeFileSync(join(folder, 'own.zip'), ARCHIVE)
    writeFileSync(join(folder, 'own.whl'), wheel)
    writeFileSync(join(folder, 'own.tgz'), tgz)
    writeFileSync(join(folder, known.file), wheel)
    const paths: string[] = []
    const { url } = await serveFile(t, 'mirror/', wheel, request => {
      paths.push(`${request.headers.authorization ?? ''} ${request.url}`)
      return false
    })
    const cases: [string, SetupOptions, Buffer][] = [
      ['zip', { from: join(folder, 'own.zip') }, ARCHIVE],
      ['wheel', { from: join(folder, 'own.whl') }, wheel],
      [name, { from: new URL(`file://${folder}/own.tgz`) }, tgz],
      ['folder', { from: folder, sha256: hashOf(wheel).toUpperCase() }, wheel],
      ['URL', { from: url.replace('mirror/', 'a%2Bb.whl') }, wheel],
      ['mirror', { from: url, sha256: hashOf(wheel) }, wheel],
      ['login', { from: url.replace('//', '//user:p%40ss@'), sha256: hashOf(wheel) }, wheel],
    ]
    for (const [kind, options, content] of cases) {
      await t.test(kind, async t => {
        const cache = newCache(t)
        const found = await internal({ cache, ...options })
        t.equal(found.sha256, hashOf(content))
        t.equal(readFileSync(join(found.dir, LIBRARY), 'utf8'), 'machine code')
        t.notOk(existsSync(join(found.dir, 'include/ATen')))
        t.notOk(existsSync(join(found.dir, 'package.json')))
        t.same(readdirSync(cache), [CACHED])
      })
    }
    t.ok(existsSync(join(folder, 'own.zip')), 'the archive stays')
    const encoded = known.file.replace('+', '%2B')
    t.same(paths, [
      ' /a%2Bb.whl',
      ` /mirror/${encoded}`,
      `Basic ${btoa('user:p@ss')} /mirror/${encoded}`,
    ])
  },
)

t.test('from: an archive of a known name has to be that archive', NEEDS_WHEEL, async t => {
  const known = knownWheel() ?? { file: '', sha256: '' }
  const folder = t.testdir({ [known.file]: wheelOf(under('torch')) })
  const cache = join(folder, 'cache')
  for (const from of [folder, join(folder, known.file)]) {
    t.match(await errorOf(internal({ cache, from })), {
      code: 'ERR_DECLIP_LIBTORCH',
      message: new RegExp(`sha256 is .*not ${known.sha256}`),
    })
  }
  t.same(readdirSync(cache), [])
})

t.test('wrong arguments', async t => {
  const cases: [unknown, RegExp][] = [
    [5, /options must be an object/],
    [{ from: '' }, /from must be a path, or/],
    [{ from: 5 }, /from must be a path, or/],
    [{ from: 'ftp://x/y.zip' }, /from must be .*http/],
    [{ from: 'x.zip', sha256: 'abc' }, /sha256 must be 64 hexadecimal digits/],
    [{ sha256: '0'.repeat(64) }, /together with from/],
    [{ cache: '' }, /cache must be/],
    [{ onPlan: true }, /onPlan must be a function/],
    [{ signal: {} }, /signal must be/],
  ]
  for (const [options, message] of cases) {
    const call = setup(options as SetupOptions)
    t.match(await errorOf(call), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
})

t.test('damage is found and leaves no folder that looks whole', async t => {
  const broken = Buffer.from(ARCHIVE)
  broken.write('machine c0de', broken.indexOf('machine code'))
  const files = under('torch')
  const other = { 'package.json': JSON.stringify({ version: '2.4.1' }) }
  const tgz = await packageOf(t, { ...FILES, ...other })
  const cases: Record<string, [(t: Test) => Promise<LibtorchSource> | LibtorchSource, RegExp]> = {
    'wrong digest': [t => archiveSource(t, ARCHIVE, '0'.repeat(64)), /sha256 is \w+, not 0+/],
    'changed byte': [t => archiveSource(t, broken), /torch_cpu.* is damaged/],
    'cut short': [t => archiveSource(t, ARCHIVE.subarray(0, 200)), /end of central directory/i],
    'another kind': [t => archiveSource(t, Buffer.from('%PDF-1.4')), /neither a zip archive/],
    'not a LibTorch': [t => archiveSource(t, zip({ 'a/b': 'c' })), /holds no LibTorch/],
    'no libraries': [
      t => archiveSource(t, zip({ 'libtorch/include/torch/headeronly/version.h': 'c' })),
      /has no lib/,
    ],
    'outside the folder': [
      t => archiveSource(t, zip({ 'libtorch/lib/../../../x': 'c' })),
      /invalid relative path/,
    ],
    'another release': [
      t => archiveSource(t, wheelOf(files, files, '2.4.1')),
      /is LibTorch 2\.4\.1\+cpu, 2\.13 is needed/,
    ],
    'package of another release': [t => archiveSource(t, tgz), /is LibTorch 2\.4\.1, 2\.13/],
    'package cut short': [t => archiveSource(t, tgz.subarray(0, 90)), /unexpected end|truncated/i],
    'wheel against its RECORD': [
      t => archiveSource(t, wheelOf(files, { ...files, [`torch/${LIBRARY}`]: 'other' })),
      /is damaged/,
    ],
    'not in the RECORD': [
      t => archiveSource(t, wheelOf(files, {})),
      /is not in the wheel's RECORD/,
    ],
    'wheel of pip': [t => pipSource(t, wheelOf(files), '0'.repeat(64)), /sha256 is \w+, not 0+/],
    'no pip': [
      () => ({ kind: 'pip', file: 'torch-1-2-3-4.whl', command: ['no-such-python'], sha256: '' }),
      /no-such-python is not installed/,
    ],
  }
  for (const [title, [makeSource, pattern]] of Object.entries(cases)) {
    await t.test(title, async t => {
      const cache = newCache(t)
      const error = await errorOf(internal({ cache, sources: [await makeSource(t)] }))
      t.equal(error.code, 'ERR_DECLIP_LIBTORCH')
      t.match(error.message, pattern)
      t.same(readdirSync(cache), [])
    })
  }
})

t.test('the error says why each source failed, and advises something else', async t => {
  const cache = newCache(t)
  const gone = { file: 'x.zip', sha256: ARCHIVE_SHA256 }
  const sources: LibtorchSource[] = [
    { kind: 'url', url: 'http://127.0.0.1:1/x.zip', ...gone },
    { kind: 'pip', command: ['no-such-python'], ...gone },
  ]
  const { code, message } = await errorOf(internal({ cache, sources }))
  t.equal(code, 'ERR_DECLIP_LIBTORCH')
  for (const part of [
    '127.0.0.1:1/x.zip: ',
    'x.zip by no-such-python: ',
    'HTTPS_PROXY',
    '--from',
  ]) {
    t.match(message, part)
  }
  t.match(message, libtorchPackageName())
  t.notMatch(message, 'npx declip setup', 'which is what has just failed')
  t.notMatch(
    (await errorOf(internal({ cache, from: 'http://127.0.0.1:1/x.zip' }))).message,
    /--from/,
  )
  t.match(await errorOf(internal({ cache, sources: [] })), {
    code: 'ERR_DECLIP_LIBTORCH',
    message: /No download .* whose checksum is known/,
  })
})

t.test('nothing is downloaded that was refused', async t => {
  const { url, ranges } = await serveFile(t, 'libtorch.zip', ARCHIVE)
  const source = { kind: 'url', file: 'libtorch.zip', url, sha256: ARCHIVE_SHA256 } as const
  const cache = newCache(t)
  const call = internal({ cache, sources: [source], onPlan: async () => false })
  t.match(await errorOf(call), { code: 'ERR_DECLIP_ABORTED', message: /onPlan refused/ })
  t.same(ranges, [], 'no request')
})

t.test('two at a time download once, and the second says that it waits', async t => {
  const { url, ranges } = await serveFile(t, 'libtorch.zip', ARCHIVE)
  const sources = [{ kind: 'url', file: 'libtorch.zip', url, sha256: ARCHIVE_SHA256 } as const]
  const steps: string[] = []
  const onProgress = ({ step }: { step: string }) => steps.push(step)
  const options = { cache: newCache(t), sources, onProgress }
  const found = await Promise.all([internal(options), internal(options)])
  t.equal(found[0].dir, found[1].dir)
  t.equal(ranges.length, 1)
  t.ok(steps.includes('wait'))
})

t.test('two processes at once', async t => {
  const file = join(t.testdir({ 'own.zip': ARCHIVE }), 'own.zip')
  const cache = join(t.testdirName, 'cache')
  const code = `require(${JSON.stringify(join(packageRoot, 'dist/engine/setup.js'))})
    .setupLibtorch({ cache: ${JSON.stringify(cache)}, from: ${JSON.stringify(file)}, root: '' })
    .then(({ dir, sha256 }) => console.log(dir, sha256 !== undefined))`
  const env = { ...process.env, NODE_OPTIONS: '' }
  const start = () => finish(spawn(process.execPath, ['-e', code], { env }))
  const results = await Promise.all([start(), start(), start()])
  const dir = join(cache, CACHED)
  t.same(results.map(({ out, err }) => out + err).sort(), [
    `${dir} false\n`,
    `${dir} false\n`,
    `${dir} true\n`,
  ])
  t.same(readdirSync(cache), [CACHED])
})

t.test('what a process that was killed left is taken over', async t => {
  const cache = t.testdir({
    [`${CACHED}.lock`]: `999999999 ${hostname()}`,
    [`${CACHED}.999999999.part`]: { lib: {} },
    [CACHED]: { lib: {} },
  })
  const sources = [await archiveSource(t)]
  const { dir } = await internal({ cache, sources })
  t.ok(existsSync(join(dir, LIBRARY)))
  t.same(readdirSync(cache), [CACHED])
})

t.test('an aborted download says so and leaves only what can be resumed', async t => {
  const reason = new Error('enough')
  for (const step of ['download', 'unpack']) {
    await t.test(step, async t => {
      const cache = newCache(t)
      const controller = new AbortController()
      const call = internal({
        cache,
        sources: [await archiveSource(t), await archiveSource(t)],
        signal: controller.signal,
        onProgress: progress => progress.step === step && controller.abort(reason),
      })
      const error = await errorOf(call)
      t.match(error, { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause: reason })
      const left = step === 'download' ? ['libtorch.zip.part'] : []
      t.same(readdirSync(cache), left)
    })
  }
  const signal = AbortSignal.abort(reason)
  const cache = newCache(t)
  t.match(await errorOf(setup({ cache, signal })), { code: 'ERR_DECLIP_ABORTED' })
  t.notOk(existsSync(cache))
})

t.test('a cache that cannot be made or written is an error of the disk', async t => {
  const folder = t.testdir({ file: 'not a folder', 'own.zip': ARCHIVE })
  const from = join(folder, 'own.zip')
  const error = await errorOf(internal({ cache: join(folder, 'file/cache'), from }))
  t.match(error, { code: 'ERR_DECLIP_IO', message: /file\/cache: ENOTDIR.*DECLIP_CACHE/ })
  t.match(await errorOf(internal({ cache: join(folder, 'file'), from })), {
    code: 'ERR_DECLIP_IO',
    message: /EEXIST/,
  })
  t.match(await errorOf(internal({ cache: newCache(t), from: join(folder, 'none.zip') })), {
    code: 'ERR_DECLIP_IO',
    message: /Cannot read .*none\.zip: there is no such file/,
  })
})

t.test(
  'a disk that is too small is told before and during the work, with what is needed',
  async t => {
    const mock = async (modules: Record<string, unknown>) => {
      const fs = await import('node:fs/promises')
      return t.mockImport<typeof import('../../../ts/engine/setup.js')>(
        '../../../ts/engine/setup.js',
        { 'node:fs/promises': { ...fs, ...modules } },
      )
    }
    const small = await mock({ statfs: async () => ({ bavail: 1, bsize: 1000 }) })
    const cache = newCache(t)
    const sized = { ...(await archiveSource(t)), bytes: 10e6, unpacked: 90e6 }
    t.match(await errorOf(small.setupLibtorch({ cache, sources: [sized], root: '' })), {
      code: 'ERR_DECLIP_IO',
      message: /needs 100\.0 MB in .*cache.*Make room/,
    })
    const full = await mock({
      statfs: async () => ({ bavail: 1e9, bsize: 1000 }),
      rename: async () => {
        throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', syscall: 'rename' })
      },
    })
    const readOnly = await mock({
      mkdir: async () => {
        throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', syscall: 'mkdir' })
      },
    })
    t.match(await errorOf(readOnly.setupLibtorch({ cache, sources: [sized], root: '' })), {
      code: 'ERR_DECLIP_IO',
      message: /the folder cannot be made there/,
    })
    const sources = [await archiveSource(t)]
    t.match(await errorOf(full.setupLibtorch({ cache, sources, root: '' })), {
      code: 'ERR_DECLIP_IO',
      message: /needs 0\.0 MB in/,
    })
    t.same(readdirSync(cache), [])
  },
)

t.test(
  'a read-only cache that holds LibTorch is left as it is',
  { skip: process.getuid?.() === 0 && 'root may write everywhere; see the next test' },
  async t => {
    const cache = t.testdir()
    write(join(cache, CACHED))
    chmodSync(cache, 0o555)
    t.teardown(() => chmodSync(cache, 0o755))
    t.equal((await internal({ cache, sources: [] })).dir, join(cache, CACHED))
  },
)

t.test('where LibTorch is there, nothing is written', async t => {
  const cache = t.testdir()
  write(join(cache, CACHED))
  const before = statSync(cache).mtimeMs
  mkdirSync(join(cache, '..'), { recursive: true })
  const from = '/no/such/archive.zip'
  t.same(await internal({ cache, from }), { dir: join(cache, CACHED), origin: 'cache' })
  t.equal(statSync(cache).mtimeMs, before)
})

t.test('the proxies of the environment are used', async t => {
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end(ARCHIVE)
  })
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) delete process.env[name]
  })
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  Object.assign(process.env, { HTTP_PROXY: address, HTTPS_PROXY: address })
  const { dir } = await internal({ cache: newCache(t), from: 'http://mirror.invalid/x.zip' })
  t.ok(existsSync(join(dir, LIBRARY)))
  const [source] = builtInSources()
  if (source) {
    const { message } = await errorOf(internal({ cache: newCache(t), sources: [source] }))
    t.match(message, `through the proxy ${address}`)
  }
  t.same(asked, [
    'GET http://mirror.invalid/x.zip',
    ...(source ? ['CONNECT download.pytorch.org:443'] : []),
  ])
})

t.test('this process then looks into the cache that was given', async t => {
  const cache = newCache(t)
  const { dir } = await internal({ cache, sources: [await archiveSource(t)] })
  t.equal(findLibtorch({ root: '' })?.dir, dir)
})
