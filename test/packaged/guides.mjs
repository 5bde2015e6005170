/**
 * What the guides show is checked as far as that needs no files of the reader's: scripts and
 * configurations parse, scripts import what there is, commands and their options exist.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { transformSync } from 'esbuild'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { project } from './support.mjs'

const installed = join(project, 'node_modules/declip-native')
const require = createRequire(join(installed, 'package.json'))
const exported = Object.keys(require('./dist/index.js'))
const program = require('./dist/cli/program.js').createProgram({})
const scripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts)

const guides = readdirSync(join(installed, 'docs/guides')).map(name => `docs/guides/${name}`)
for (const name of ['README.md', ...guides]) {
  t.test(name, async t => {
    const text = readFileSync(join(installed, name), 'utf8')
    for (const [, language, block] of text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
      if (/^(js|ts|jsx|tsx)$/.test(language)) checkScript(t, block, language)
      if (language === 'json') t.doesNotThrow(() => JSON.parse(block), block)
      if (language === 'sh') for (const line of commands(block)) checkCommand(t, line)
    }
    // commands in running text, which may leave out what they work on
    for (const [, line] of text.matchAll(/`((?:npx )?declip [^`]*)`/g)) checkCommand(t, line)
    t.pass('read')
  })
}

function checkScript(t, block, loader) {
  t.doesNotThrow(() => transformSync(block, { loader, format: 'esm', logLevel: 'silent' }), block)
  for (const [, names] of block.matchAll(/import \{([^}]*)\} from 'declip-native'/g)) {
    const values = names
      .split(',')
      .map(name => name.trim())
      .filter(name => name && !/^type /.test(name))
    for (const name of values) t.ok(exported.includes(name), `${name} is exported`)
  }
}

/** The lines of a shell block, with those that a backslash continues in one, without comments. */
function commands(block) {
  return block
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .map(line => line.replace(/\s+#\s.*$/, ''))
}

/** Looks at every `declip …` and `npm run …` of a line. */
function checkCommand(t, line) {
  const script = /\bnpm run ([\w:]+)/.exec(line)?.[1]
  if (script) t.ok(scripts.includes(script), line)
  const found = /(?:^|\s)declip(\s.*)?$/.exec(line)
  if (!found) return
  const words = [...(found[1] ?? '').matchAll(/"[^"]*"|\S+/g)].map(([word]) => word)
  let command = program
  for (const word of words) {
    if (command === program && ['help', '...'].includes(word)) return
    if (/^-./.test(word)) {
      const flag = word.replace(/=.*/, '')
      const options = [...command.options, ...program.options, { short: '-h', long: '--help' }]
      t.ok(
        options.some(({ short, long }) => flag === short || flag === long),
        `${flag} of '${line}'`,
      )
      continue
    }
    const next = command.commands.find(each => each.name() === word)
    if (command === program) t.ok(next, `the command of '${line}'`)
    command = next ?? command
  }
}
