import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../ts/base/package-files.js'
import { finish } from '../support/child.js'

const bench = (...args: string[]) =>
  finish(spawn(process.execPath, [join(packageRoot, 'bench/index.mjs'), ...args]))

t.test('help says what can be run, before anything is built', async t => {
  const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  t.equal(scripts.bench, 'node bench/index.mjs')
  const [help, list] = [await bench('--help'), await bench('--list')]
  t.strictSame([help.code, help.err, list.code], [0, '', 0])
  t.match(help.out, /Examples\n/)
  const shown = help.out.slice(help.out.indexOf('\nCases\n'))
  for (const line of list.out.trim().split('\n')) {
    const [, group, name = ''] = /^([^/]+)\/(\S+)/.exec(line) ?? []
    t.ok(shown.includes(`${group}/`) && shown.includes(name), line)
  }
})

t.test('wrong usage is one line', async t => {
  t.match(await bench('--nosuch'), { code: 2, err: /^Unknown option '--nosuch'; --help lists/ })
  t.match(await bench('nothing'), { code: 1, err: /No case matches 'nothing'/ })
})
