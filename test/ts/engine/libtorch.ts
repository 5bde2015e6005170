import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import {
  CUDA_LIBTORCH_VERSION,
  findLibtorch,
  isCudaLibtorch,
  LIBTORCH_VERSION,
  libraries,
  resolveLibtorch,
} from '../../../ts/engine/libtorch.js'
import type { LibtorchSource } from '../../../ts/engine/libtorch-sources.js'
import { DeclipError } from '../../../ts/errors.js'
import { serveFile } from '../../support/file-server.js'
import { zip } from '../../support/zip.js'

delete process.env['LIBTORCH']

const library = `lib/${basename(libraries({ dir: '', origin: 'cache' })[1] ?? '')}`
const header = (version: string) => {
  const [major, minor, patch] = version.split('.')
  return `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`
}
const HEADER = 'include/torch/headeronly/version.h'
const FILES = { [library]: 'machine code', [HEADER]: header(LIBTORCH_VERSION) }
const name = `libtorch-${LIBTORCH_VERSION}-cpu-${process.platform}-${process.arch}`

function under(root: string, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${root}/${path}`, text]))
}

function folderOf(t: Test, files: Readonly<Record<string, string>> = FILES): string {
  const folder = t.testdir()
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const archive = zip({
  ...under('libtorch', FILES),
  'libtorch/lib/libtorch_python.so': 'for Python',
  'libtorch/lib/libtorchbind_test.so': 'for tests',
  'libtorch/bin/protoc': 'a program',
})

async function archiveSource(t: Test, content = archive, sha256?: string): Promise<LibtorchSource> {
  const { url } = await serveFile(t, 'libtorch.zip', content)
  return { kind: 'archive', name: 'archive', url, sha256 }
}

/** A program that stands in for pip: copies a wheel into the folder after --dest. */
function wheelSource(
  t: Test,
  wheel: Buffer,
  sha256: Readonly<Record<string, string>> = {},
): LibtorchSource {
  const folder = t.testdir({
    'torch.whl': wheel,
    'pip.cjs': `const { copyFileSync } = require('node:fs')
const to = process.argv[process.argv.indexOf('--dest') + 1]
copyFileSync(require('node:path').join(__dirname, 'torch.whl'), to + '/torch.whl')`,
  })
  const pip = [process.execPath, join(folder, 'pip.cjs')] as const
  return { kind: 'wheel', name: 'wheel', pip, requirement: 'torch', sha256 }
}

function wheelOf(files: Readonly<Record<string, string>>, record = files): Buffer {
  const lines = Object.entries(record).map(([path, text]) => {
    return `${path},sha256=${createHash('sha256').update(text).digest('base64url')},${text.length}`
  })
  return zip({
    ...files,
    'torch-2.13.0.dist-info/licenses/LICENSE': 'BSD',
    'torch-2.13.0.dist-info/RECORD': `${lines.join('\r\n')}\r\ntorch-2.13.0.dist-info/licenses/LICENSE,sha256=${createHash('sha256').update('BSD').digest('base64url')},3\r\n`,
  })
}

const fails = (pattern: RegExp) => (error: unknown) =>
  error instanceof DeclipError &&
  error.code === 'ERR_DECLIP_LIBTORCH' &&
  pattern.test(error.message)

async function rejectsWith(t: Test, call: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  t.ok(fails(pattern)(error), `${pattern}: ${error}`)
}

t.test('a folder that is named is used, or refused with the reason', async t => {
  const good = folderOf(t)
  t.same(findLibtorch({ dir: good }), { dir: good, origin: 'explicit' })
  t.same(await resolveLibtorch({ dir: good }), { dir: good, origin: 'explicit' })
  process.env['LIBTORCH'] = good
  t.teardown(() => delete process.env['LIBTORCH'])
  t.same(findLibtorch(), { dir: good, origin: 'explicit' })
  process.env['LIBTORCH'] = join(good, 'nowhere')
  await rejectsWith(
    t,
    resolveLibtorch({ download: true, sources: [] }),
    /LIBTORCH: .*nowhere: no such folder/,
  )
})

t.test('another release is refused, libraries alone are accepted', async t => {
  const old = folderOf(t, { ...FILES, [HEADER]: header('2.4.1') })
  await rejectsWith(t, resolveLibtorch({ dir: old }), /is LibTorch 2\.4\.1, 2\.13 is needed/)
  await t.test('without headers', async t => {
    const bare = folderOf(t, { [library]: 'machine code' })
    t.equal(findLibtorch({ dir: bare })?.dir, bare)
  })
  await t.test('without libraries', async t => {
    const empty = folderOf(t, { [HEADER]: header(LIBTORCH_VERSION) })
    await rejectsWith(t, resolveLibtorch({ dir: empty }), /has no lib/)
  })
})

t.test('a CUDA build has a release and libraries of its own', async t => {
  const cuda = library.replace('torch_cpu', 'torch_cuda')
  const files = { ...FILES, [cuda]: 'machine code' }
  const dir = folderOf(t, { ...files, [HEADER]: header(CUDA_LIBTORCH_VERSION) })
  t.ok(isCudaLibtorch(dir))
  t.equal(findLibtorch({ dir })?.dir, dir)
  t.same(
    libraries({ dir, origin: 'explicit' }).map(path => basename(path).replace(/^lib|\.\w+$/g, '')),
    ['c10', 'torch_cpu', 'c10_cuda', 'torch_cuda'],
  )
  t.notOk(isCudaLibtorch(folderOf(t)))
  const old = folderOf(t, { ...files, [HEADER]: header(LIBTORCH_VERSION) })
  await rejectsWith(t, resolveLibtorch({ dir: old }), /is LibTorch 2\.13\.0, 2\.14 is needed/)
})

t.test('beside the addon, then in the cache', async t => {
  const root = t.testdir()
  const cache = join(root, 'cache')
  const addon = join(root, 'app/declip-native.node')
  t.equal(findLibtorch({ cache, addon }), null)
  mkdirSync(join(cache, name, 'lib'), { recursive: true })
  writeFileSync(join(cache, name, library), 'machine code')
  t.same(findLibtorch({ cache, addon }), { dir: join(cache, name), origin: 'cache' })
  mkdirSync(join(root, 'app/libtorch/lib'), { recursive: true })
  writeFileSync(join(root, 'app/libtorch', library), 'machine code')
  t.same(findLibtorch({ cache, addon }), {
    dir: join(root, 'app/libtorch'),
    origin: 'beside the addon',
  })
})

t.test('nothing is downloaded without being asked', async t => {
  const { url, ranges } = await serveFile(t, 'libtorch.zip', archive)
  const sources: LibtorchSource[] = [{ kind: 'archive', name: 'archive', url }]
  const cache = t.testdir()
  await rejectsWith(t, resolveLibtorch({ cache, sources }), /npx declip setup/)
  t.same(ranges, [], 'no request')
  t.same(readdirSync(cache), [], 'no file')
})

t.test('archive: unpacked without what is not needed, and found from then on', async t => {
  const cache = join(t.testdir(), 'cache')
  const steps = new Set<string>()
  const sources = [
    await archiveSource(t, archive, createHash('sha256').update(archive).digest('hex')),
  ]
  const found = await resolveLibtorch({
    cache,
    sources,
    download: true,
    onProgress: ({ step }) => steps.add(step),
  })
  t.same(found, { dir: join(cache, name), origin: 'download' })
  t.equal(readFileSync(join(found.dir, library), 'utf8'), 'machine code')
  t.same(readdirSync(join(found.dir, 'lib')), [basename(library)])
  t.same(readdirSync(found.dir).sort(), ['include', 'lib'])
  t.same(readdirSync(cache), [name], 'no archive, lock or partial folder is left')
  t.same([...steps], ['download', 'unpack'])
  t.same(await resolveLibtorch({ cache, sources: [], download: true }), {
    ...found,
    origin: 'cache',
  })
})

t.test('a source that fails is followed by the next', async t => {
  const wheel = wheelSource(
    t,
    wheelOf({ ...under('torch', FILES), 'torch/nn/__init__.py': 'pass' }),
  )
  const cache = join(t.testdirName, 'cache')
  const sources = [await archiveSource(t, archive, '0'.repeat(64)), wheel]
  const { dir } = await resolveLibtorch({ cache, sources, download: true })
  t.equal(readFileSync(join(dir, library), 'utf8'), 'machine code')
  t.equal(readFileSync(join(dir, 'licenses/LICENSE'), 'utf8'), 'BSD')
  t.notOk(existsSync(join(dir, 'nn')))
  t.same(readdirSync(cache), [name])
})

t.test('damage is found and leaves no folder that looks whole', async t => {
  const broken = Buffer.from(archive)
  broken.write('machine c0de', broken.indexOf('machine code'))
  const files = under('torch', FILES)
  const cases: Record<string, [(t: Test) => Promise<LibtorchSource> | LibtorchSource, RegExp]> = {
    'wrong digest': [t => archiveSource(t, archive, '0'.repeat(64)), /sha256 is \w+, not 0+/],
    'changed byte': [
      t => archiveSource(t, broken),
      /libtorch_cpu.* is damaged|torch_cpu.* is damaged/,
    ],
    'cut short': [
      t => archiveSource(t, archive.subarray(0, 200)),
      /end of central directory|End of central/i,
    ],
    'not a LibTorch': [t => archiveSource(t, zip({ 'a/b': 'c' })), /holds no LibTorch/],
    'no libraries': [t => archiveSource(t, zip({ 'libtorch/lib/x': 'c' })), /has no lib/],
    'outside the folder': [
      t => archiveSource(t, zip({ 'libtorch/lib/../../../x': 'c' })),
      /invalid relative path/,
    ],
    'wheel against its RECORD': [
      t => wheelSource(t, wheelOf(files, { ...files, [`torch/${library}`]: 'other' })),
      /is damaged/,
    ],
    'not in the RECORD': [t => wheelSource(t, wheelOf(files, {})), /is not in the wheel's RECORD/],
    'wheel digest': [
      t => wheelSource(t, wheelOf(files), { 'torch.whl': '0'.repeat(64) }),
      /sha256 is \w+, not 0+/,
    ],
    'no pip': [
      () => ({
        kind: 'wheel',
        name: 'wheel',
        pip: ['no-such-python'],
        requirement: 'torch',
        sha256: {},
      }),
      /no-such-python is not installed/,
    ],
  }
  for (const [title, [makeSource, pattern]] of Object.entries(cases)) {
    await t.test(title, async t => {
      const source = await makeSource(t)
      const cache = join(t.testdirName, 'cache')
      mkdirSync(cache, { recursive: true })
      t.teardown(() => t.testdir())
      await rejectsWith(t, resolveLibtorch({ cache, sources: [source], download: true }), pattern)
      t.same(readdirSync(cache), [])
    })
  }
})

t.test('the error lists every attempt and the way out', async t => {
  const cache = t.testdir()
  const sources: LibtorchSource[] = [
    { kind: 'archive', name: 'first', url: 'http://127.0.0.1:1/x.zip' },
    { kind: 'wheel', name: 'second', pip: ['no-such-python'], requirement: 'torch', sha256: {} },
  ]
  const error = await resolveLibtorch({ cache, sources, download: true }).catch(e => e)
  for (const part of [
    'LIBTORCH: not set',
    join(cache, name),
    'first: ',
    'second: ',
    'npx declip setup',
  ]) {
    t.match(error.message, part)
  }
})

t.test('two at a time download once', async t => {
  const { url, ranges } = await serveFile(t, 'libtorch.zip', archive)
  const sources: LibtorchSource[] = [{ kind: 'archive', name: 'archive', url }]
  const options = { cache: t.testdir(), sources, download: true }
  const found = await Promise.all([resolveLibtorch(options), resolveLibtorch(options)])
  t.equal(found[0].dir, found[1].dir)
  t.equal(ranges.length, 1)
})

t.test('the lock of a process that is gone is taken over', async t => {
  const cache = t.testdir({ [`${name}.lock`]: `999999999 ${hostname()}` })
  const sources = [await archiveSource(t)]
  const { dir } = await resolveLibtorch({ cache, sources, download: true })
  t.ok(existsSync(join(dir, library)))
})

t.test('an aborted download says so and leaves only what can be resumed', async t => {
  const cache = join(t.testdir(), 'cache')
  const controller = new AbortController()
  const reason = new Error('enough')
  const call = resolveLibtorch({
    cache,
    sources: [await archiveSource(t), await archiveSource(t)],
    download: true,
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  })
  await t.rejects(call, { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause: reason })
  t.notOk(readdirSync(cache).some(file => !file.endsWith('.part') && !file.endsWith('.zip')))
})
