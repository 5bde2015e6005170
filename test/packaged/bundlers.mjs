/**
 * An application bundled with every line of docs/guides/bundlers.md, and with the package inlined
 * against its advice; all from the packed package.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { installedProject, project, runIn } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'

const guide = readFileSync(join(root, 'docs/guides/bundlers.md'), 'utf8')
const INSTALLED = join(project, 'node_modules/declip-native')
const PICTURE = join(INSTALLED, 'models/scenes/park.png')
/** Prints that it was loaded, and how many classes were found or why not. */
const IMPORTING = `import { segment } from 'declip-native'
console.log('loaded')
segment(process.argv[2], ['background', 'dog'], { model: 'words-tiny', shortSide: 96 }).then(
  ({ areas }) => console.log(areas.length),
  ({ code, message }) => console.log(code, message),
)
`
const REQUIRING = IMPORTING.replace(/import (.*) from (.*)/, 'const $1 = require($2)')
const WORKS = 'loaded\n2\n'
const ADVICE =
  /^loaded\nERR_DECLIP_ADDON_NOT_FOUND declip-native was bundled.*--external:declip-native.*DECLIP_ROOT/

/** What esbuild's ES modules need for CommonJS that they hold. */
const BANNER = /--banner:js="(.*)"/.exec(guide)[1]

const PROGRAMS = {
  bun: [tool('@oven/bun-linux-x64/bin/bun')],
  esbuild: [process.execPath, tool('esbuild/bin/esbuild')],
  ncc: [process.execPath, tool('@vercel/ncc/dist/ncc/cli.js')],
  node: [process.execPath],
  rollup: [process.execPath, tool('rollup/dist/bin/rollup')],
  vite: [process.execPath, tool('vite/bin/vite.js')],
  webpack: [process.execPath, tool('webpack/bin/webpack.js')],
}
const url = path => JSON.stringify(pathToFileURL(tool(path)))
const ROLLUP_PLUGINS = ['node-resolve', 'commonjs', 'json']

/** Per bundler: the command, and the file that it reads, where `options` are those in question. */
const CONFIGURED = {
  esbuild: (options, format = 'esm', entry = 'app.mjs') => [
    'node build.mjs',
    `import { buildSync } from ${url('esbuild/lib/main.js')}
    const rest = { bundle: true, platform: 'node', format: '${format}', outfile: 'out/app.${format === 'esm' ? 'mjs' : 'cjs'}' }
    buildSync({ entryPoints: ['${entry}'], ...rest, logLevel: 'error', ${options} })`,
  ],
  rollup: (options, commonjs = '') => [
    'rollup -c build.mjs --silent',
    `${ROLLUP_PLUGINS.map((name, i) => `import plugin${i} from ${url(`@rollup/plugin-${name}/dist/es/index.js`)}`).join('\n')}
    export default { input: 'app.mjs', output: { dir: 'out', entryFileNames: '[name].mjs' }, plugins: [plugin0(), plugin1(${commonjs}), plugin2()], ${options} }`,
  ],
  Vite: options => [
    'vite build -c build.mjs',
    `const { ssr } = { ${options} }
    export default { build: { ssr: 'app.mjs', outDir: 'out' }, logLevel: 'error', ssr: { noExternal: true, ...ssr } }`,
  ],
  webpack: options => [
    'webpack -c build.mjs',
    `const output = { path: import.meta.dirname + '/out', filename: 'app.cjs' }
    export default { mode: 'none', entry: './app.mjs', output, ${options} }`,
  ],
  Bun: options => [
    'bun build.mjs',
    `await Bun.build({ entrypoints: ['app.mjs'], outdir: 'out', naming: '[name].mjs', ${options} })`,
  ],
}

await installTools()
t.jobs = availableParallelism()
const shared = installedProject(t)

const lines = [...guide.matchAll(/^\| (\w+) \| ([`–].*) \| ([`–].*) \|$/gm)]
t.equal(lines.length, 6)
for (const [, name, ...cells] of lines) {
  const [command, options] = cells.map(cell => /^`(.*)`$/.exec(cell)?.[1])
  if (command) works(`${name}, by a command`, command)
  if (options) works(`${name}, by its configuration`, ...CONFIGURED[name](options))
}

const sharp = `external: ['sharp']`
inlined({
  'esbuild, ES module': CONFIGURED.esbuild(`${sharp}, banner: { js: ${JSON.stringify(BANNER)} }`),
  'esbuild, CommonJS': CONFIGURED.esbuild(sharp, 'cjs', 'app.cjs'),
  'esbuild, CommonJS made of ES modules': CONFIGURED.esbuild(sharp, 'cjs'),
  rollup: CONFIGURED.rollup(sharp, `{ ignore: ['node:sqlite'] }`),
  Vite: CONFIGURED.Vite(`ssr: { ${sharp} }`),
  webpack: CONFIGURED.webpack(`target: 'node', externals: { sharp: 'commonjs sharp' }`),
  ncc: ['ncc build app.mjs -e sharp -o out'],
  Bun: CONFIGURED.Bun(`target: 'node', ${sharp}`),
})

/** What the guide says, in a folder of the shared project. */
function works(name, command, configuration) {
  test(t, name, command, async t => {
    const folder = join(shared, name.replace(/\W+/g, '-'))
    const bundle = await build(t, folder, command, configuration)
    t.equal(await run(bundle), WORKS)
  })
}

/**
 * Against what the guide says: where the package is not installed, the bundle says so, and DECLIP_ROOT
 * helps. Built and run away from this repository, which is a folder of the package too.
 */
function inlined(bundlers) {
  t.test('inlined', { buffered: true }, async t => {
    const folder = mkdtempSync(join(tmpdir(), 'declip-bundles-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    // LibTorch's package is half a gigabyte, and no bundler would look at it
    cpSync(project, folder, { recursive: true, filter: path => !path.endsWith('@declip-native') })
    const bundles = {}
    for (const [name, [command, configuration]] of Object.entries(bundlers))
      test(t, name, command, async t => {
        bundles[name] = await build(
          t,
          join(folder, name.replace(/\W+/g, '-')),
          command,
          configuration,
        )
      })
    await t.test('moved away', async () =>
      rmSync(join(folder, 'node_modules/declip-native'), { recursive: true }),
    )
    for (const [name, bundle] of Object.entries(bundles))
      t.test(`${name} runs`, { buffered: true }, async t => {
        t.match(await run(bundle), ADVICE)
        t.equal(await run(bundle, { DECLIP_ROOT: INSTALLED }), WORKS)
      })
  })
}

function test(t, name, command, body) {
  const [program] = PROGRAMS[command.split(' ')[0]]
  const skip = !existsSync(program) && `no ${program}`
  t.test(name, { skip, buffered: true }, body)
}

/** Bundles the application in a folder; returns the path of what came out. */
async function build(t, folder, command, configuration) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'app.mjs'), IMPORTING)
  writeFileSync(join(folder, 'app.cjs'), REQUIRING)
  if (configuration) writeFileSync(join(folder, 'build.mjs'), configuration)
  const [name, ...args] = command.split(' ')
  const [program, ...first] = PROGRAMS[name]
  const env = { HOME: folder, NODE_PATH: tool('') }
  const ended = await runIn(folder, program, [...first, ...args], { env })
  t.equal(ended.code, 0, ended.stdout + ended.stderr)
  const [file] = readdirSync(join(folder, 'out')).filter(name =>
    /^(app|index)\.[cm]?js$/.test(name),
  )
  return join(folder, 'out', file)
}

/** What a bundle prints. */
async function run(bundle, env = {}) {
  const { stdout, stderr } = await runIn(dirname(bundle), process.execPath, [bundle, PICTURE], {
    env,
  })
  return stdout + stderr
}
