/** What the package promises to other tools: one copy, CommonJS all through, declarations for older targets, bundles that say what is wrong. */
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

const dist = join(root, 'dist')
const sources = readdirSync(dist, { recursive: true })
  .map(String)
  .filter(name => name.endsWith('.js'))

t.test('the package requires nothing that is an ES module', t => {
  const targets = new Set<string>()
  for (const name of sources) {
    for (const [, target = ''] of readFileSync(join(dist, name), 'utf8').matchAll(
      /\brequire\(["']([^."'][^"']*)["']\)/g,
    )) {
      targets.add(target)
    }
  }
  t.ok(targets.has('sharp') && targets.has('undici'), [...targets].join(' '))
  const script = `for (const name of ${JSON.stringify([...targets])}) require(name)`
  const run = () =>
    execFileSync(process.execPath, ['--no-experimental-require-module', '-e', script], {
      cwd: dist,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  t.doesNotThrow(run)
  t.end()
})

t.test('every file loads where ES modules cannot be required', t => {
  const script = `
    for (const name of ${JSON.stringify(sources.filter(name => name !== 'cli/main.js'))})
      require(${JSON.stringify(`${dist}/`)} + name)
    const required = require('declip-native')
    import('declip-native').then(imported =>
      console.log(Object.keys(required).filter(name => imported[name] !== required[name])))`
  const printed = execFileSync(
    process.execPath,
    ['--no-experimental-require-module', '-e', script],
    { cwd: root, encoding: 'utf8' },
  )
  t.equal(printed, '[]\n')
  t.end()
})

t.test('the declarations pass a full check with ES2020 as library', t => {
  const file = join(t.testdir(), 'use.ts')
  const declarations = ['index.js', 'index.mjs'].map(name => join(dist, name))
  const use = declarations.map((path, i) => `export * as n${i} from ${JSON.stringify(path)}`)
  ts.sys.writeFile(file, use.join('\n'))
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
    .filter(({ fileName }) => fileName.startsWith(`${dist}/`))
    .flatMap(file => program.getSemanticDiagnostics(file))
    .map(({ messageText, file }) => `${file?.fileName}: ${JSON.stringify(messageText)}`)
  t.strictSame(texts, [])
  t.end()
})

/** Bundles a call with esbuild outside the package's folder and returns what it prints. */
function bundled(t: Test, format: 'cjs' | 'esm', entry: 'require' | 'import', env = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'declip-bundle-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const picture = JSON.stringify(join(root, 'models/scenes/park.png'))
  const isImport = entry === 'import'
  const index = JSON.stringify(join(dist, isImport ? 'index.mjs' : 'index.js'))
  const load = isImport
    ? `import { segment } from ${index}`
    : `const { segment } = require(${index})`
  const file = join(folder, isImport ? 'entry.mjs' : 'entry.cjs')
  writeFileSync(
    file,
    `${load}
    console.log('loaded')
    segment(${picture}, ['background', 'dog']).then(
      ({ areas }) => console.log(areas.length),
      ({ code, message }) => console.log(code, message),
    )`,
  )
  const outfile = join(folder, format === 'esm' ? 'out.mjs' : 'out.cjs')
  buildSync({
    entryPoints: [file],
    bundle: true,
    platform: 'node',
    format,
    external: ['sharp'],
    outfile,
    logLevel: 'error',
    // In a bundle of ES modules `require` is esbuild's own, which knows no built-in modules.
    ...(format === 'esm' && { banner: { js: REQUIRE } }),
  })
  return execFileSync(process.execPath, [outfile], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}

const REQUIRE =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

for (const [format, entry] of [
  ['cjs', 'import'],
  ['esm', 'import'],
  ['cjs', 'require'],
] as const) {
  t.test(`bundled as ${format} from ${entry}`, t => {
    t.match(
      bundled(t, format, entry),
      /^loaded\nERR_DECLIP_ADDON_NOT_FOUND declip-native was bundled.*--external:declip-native/,
    )
    t.equal(bundled(t, format, entry, { DECLIP_ROOT: root }), 'loaded\n2\n')
    t.match(
      bundled(t, format, entry, { DECLIP_ROOT: tmpdir() }),
      /ERR_DECLIP_ADDON_NOT_FOUND DECLIP_ROOT is '.*', which is not the folder/,
    )
    t.end()
  })
}
