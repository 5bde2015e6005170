/** What the package promises to other tools: CommonJS all through, declarations for older targets, bundles that say what is wrong. */
import { execFileSync } from 'node:child_process'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { packageRoot as root } from '../../ts/base/package-files.js'

const cjs = join(root, 'dist/cjs')
const sources = readdirSync(cjs, { recursive: true })
  .map(String)
  .filter(name => name.endsWith('.js'))

t.test('the CommonJS half requires nothing that is an ES module', t => {
  const targets = new Set<string>()
  for (const name of sources) {
    for (const [, target = ''] of readFileSync(join(cjs, name), 'utf8').matchAll(
      /\brequire\(["']([^."'][^"']*)["']\)/g,
    )) {
      targets.add(target)
    }
  }
  t.ok(targets.has('sharp') && targets.has('undici'), [...targets].join(' '))
  const script = `for (const name of ${JSON.stringify([...targets])}) require(name)`
  const run = () =>
    execFileSync(process.execPath, ['--no-experimental-require-module', '-e', script], {
      cwd: cjs,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  t.doesNotThrow(run)
  t.end()
})

t.test('the whole CommonJS half loads where ES modules cannot be required', t => {
  const script = `
    for (const name of ${JSON.stringify(sources.filter(name => name !== 'cli/main.js'))})
      require(${JSON.stringify(`${cjs}/`)} + name)
    const { segment, loadModel } = require('declip-native')
    console.log(typeof segment, typeof loadModel)`
  const printed = execFileSync(
    process.execPath,
    ['--no-experimental-require-module', '-e', script],
    { cwd: root, encoding: 'utf8' },
  )
  t.equal(printed, 'function function\n')
  t.end()
})

t.test('the declarations pass a full check with ES2020 as library', t => {
  const file = join(t.testdir(), 'use.ts')
  const declarations = join(root, 'dist/esm/index.d.ts')
  ts.sys.writeFile(file, `export * from ${JSON.stringify(declarations.replace('.d.ts', '.js'))}\n`)
  const program = ts.createProgram([file], {
    lib: ['lib.es2020.d.ts'],
    target: ts.ScriptTarget.ES2020,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [
      createRequire(import.meta.url)
        .resolve('@types/node/package.json')
        .replace(/.package\.json$/, ''),
    ],
    strict: true,
    noEmit: true,
  })
  const texts = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.includes('/dist/esm/'))
    .flatMap(file => program.getSemanticDiagnostics(file))
    .map(({ messageText, file }) => `${file?.fileName}: ${JSON.stringify(messageText)}`)
  t.strictSame(texts, [])
  t.end()
})

/** Bundles a call with esbuild outside the package's folder and returns what it prints. */
function bundled(t: Test, format: 'cjs' | 'esm', half: 'cjs' | 'esm', env = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'declip-bundle-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const index = JSON.stringify(join(root, 'dist', half, 'index.js'))
  const picture = JSON.stringify(join(root, 'models/scenes/park.png'))
  const entry = join(folder, half === 'esm' ? 'entry.mjs' : 'entry.cjs')
  const load =
    half === 'esm' ? `import { segment } from ${index}` : `const { segment } = require(${index})`
  writeFileSync(
    entry,
    `${load}
    console.log('loaded')
    segment(${picture}, ['background', 'dog']).then(
      ({ areas }) => console.log(areas.length),
      ({ code, message }) => console.log(code, message),
    )`,
  )
  const outfile = join(folder, format === 'esm' ? 'out.mjs' : 'out.cjs')
  buildSync({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format,
    external: ['sharp'],
    outfile,
    logLevel: 'error',
    // CommonJS from import.meta: esbuild says that it is empty there, which is the case in test.
    logOverride: { 'empty-import-meta': 'silent' },
  })
  return execFileSync(process.execPath, [outfile], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}

for (const [format, half] of [
  ['cjs', 'esm'],
  ['esm', 'esm'],
  ['cjs', 'cjs'],
] as const) {
  t.test(`bundled as ${format} from the ${half} half`, t => {
    t.match(
      bundled(t, format, half),
      /^loaded\nERR_DECLIP_ADDON_NOT_FOUND declip-native was bundled.*--external:declip-native/,
    )
    t.equal(bundled(t, format, half, { DECLIP_ROOT: root }), 'loaded\n2\n')
    t.match(
      bundled(t, format, half, { DECLIP_ROOT: tmpdir() }),
      /ERR_DECLIP_ADDON_NOT_FOUND DECLIP_ROOT is '.*', which is not the folder/,
    )
    t.end()
  })
}
