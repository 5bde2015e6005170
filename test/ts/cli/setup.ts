import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { describePlan, tenths } from '../../../ts/cli/setup.js'
import { finish } from '../../support/child.js'
import { ARCHIVE, ARCHIVE_SHA256, CACHED, LIBRARY } from '../../support/libtorch.js'

const declip = (args: string[], env: NodeJS.ProcessEnv) => {
  const { LIBTORCH: _, ...rest } = process.env
  const all = { ...rest, NODE_OPTIONS: '', ...env }
  const command = [join(packageRoot, 'dist/cli/main.js'), ...args]
  return finish(spawn(process.execPath, command, { env: all, stdio: 'pipe' }))
}

t.test('the plan names source, sizes and place', t => {
  const plan = { from: 'https://a/b.whl', dir: '/c', sha256: undefined, failures: [] }
  t.match(
    describePlan({ ...plan, bytes: 191_794_682, unpacked: 436_316_825 }),
    /^LibTorch [\d.]+ from https:\/\/a\/b\.whl \(191\.8 MB\) into \/c, 436\.3 MB$/,
  )
  t.match(describePlan({ ...plan, bytes: undefined, unpacked: undefined }), /b\.whl into \/c$/)
  t.end()
})

t.test('progress is a line at each tenth of a step', t => {
  const lines: string[] = []
  const report = tenths(line => lines.push(line))
  report({ step: 'wait', done: 0, total: 0 })
  for (let done = 0; done <= 1000; done += 1) report({ step: 'download', done, total: 1000 })
  t.equal(lines.length, 12)
  t.match(lines[0], 'another process')
  t.match(lines[2], /^download 10 % of /)
  t.end()
})

t.test('from an archive: what will be done, how far it is, what its digest was', async t => {
  const from = join(t.testdir(), 'own.zip')
  writeFileSync(from, ARCHIVE)
  const DECLIP_CACHE = join(t.testdirName, 'cache')
  const { code, out, err } = await declip(['setup', '--from', from], { DECLIP_CACHE })
  t.equal(code, 0, err)
  t.match(err, `from ${from}`)
  t.match(err, /^declip: unpack 100 % of /m)
  t.match(out, `is ready: ${join(DECLIP_CACHE, CACHED)} (cache)`)
  t.match(out, `${ARCHIVE_SHA256}, compared with nothing`)
  const again = await declip(['setup', '--from', from], { DECLIP_CACHE })
  t.match(again.out, '--from was not used')

  const cache = join(t.testdirName, 'other')
  const flags = ['--from', from, '--cache', cache, '--sha256', ARCHIVE_SHA256]
  const checked = await declip(['setup', ...flags], { DECLIP_CACHE: '/none' })
  t.match(checked.out, `${ARCHIVE_SHA256}, as expected`)
  t.match(checked.out, `Set DECLIP_CACHE=${cache}`)
  t.ok(existsSync(join(cache, CACHED, LIBRARY)))
  const wrong = ['--from', from, '--cache', join(cache, 'x'), '--sha256', '0'.repeat(64)]
  const refused = await declip(['setup', ...wrong], { DECLIP_CACHE: '/none' })
  t.equal(refused.code, 1)
  t.match(refused.err, /^declip: ERR_DECLIP_LIBTORCH: .*sha256 is \w+, not 0+/m)
})

t.test('the first run of a command without LibTorch is one paragraph', async t => {
  const picture = join(packageRoot, 'models/scenes/park.png')
  const args = ['segment', picture, '--classes', 'tree; dog']
  const { code, out, err } = await declip(args, { DECLIP_CACHE: t.testdir() })
  t.equal(code, 1)
  t.equal(out, '')
  const lines = err
    .trim()
    .split('\n')
    .filter(line => !/bundled model/.test(line))
  t.equal(lines.length, 1, err)
  t.match(
    lines[0],
    /^declip: ERR_DECLIP_LIBTORCH: .*`npx declip setup`.*`await setup\(\)`.*npm install/,
  )
  t.ok((lines[0] ?? '').length < 400)
})
