/** Checks what `npm publish` would ship: publint's rules, the files that must and must not be in, the size. */
import { execFileSync } from 'node:child_process'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { root } from '../build/common.mjs'

const LIMIT = 20e6
const REQUIRED = [
  'LICENSE',
  'README.md',
  'dist/cli/main.js',
  'dist/index.d.mts',
  'dist/index.d.ts',
  'dist/index.js',
  'dist/index.mjs',
  'models/words-tiny/model.safetensors',
]
const FORBIDDEN = /^(test|bench|cpp|binding|scripts|build|node_modules|docs)\/|\.(tgz|ts\.map)$/

const { messages, pkg } = await publint({ pkgDir: root, strict: true })
const problems = messages.map(message => formatMessage(message, pkg))

const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
  cwd: root,
})
const [{ files, size, unpackedSize }] = JSON.parse(output)
const names = files.map(({ path }) => path)
for (const name of REQUIRED) if (!names.includes(name)) problems.push(`${name} is missing`)
for (const name of names) if (FORBIDDEN.test(name)) problems.push(`${name} does not belong in`)
if (size > LIMIT) problems.push(`the package has ${size} bytes, ${LIMIT} at most are wanted`)

console.log(`${names.length} files, ${size} bytes packed, ${unpackedSize} unpacked`)
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
