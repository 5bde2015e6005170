/** How a process ends while the native part is busy, idle or has work queued. */
import { spawn } from 'node:child_process'
import t from 'tap'
import { plainEnv, script } from '../support/calls.js'

interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

function run(file: string, ...args: string[]): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script(file), ...args], { env: plainEnv() })
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', chunk => {
      output.stdout += chunk
    })
    child.stderr.on('data', chunk => {
      output.stderr += chunk
    })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...output }))
  })
}

const quiet: [way: string, code: number, stdout: string][] = [
  ['exit during a call', 7, 'ready\n'],
  ['exit with queued calls', 8, 'ready\n'],
  ['exit in a progress callback', 9, 'ready\n'],
  ['exit while models load', 10, 'ready\n'],
  ['exit while a worker segments', 11, 'ready\n'],
  ['a call in an exit listener', 12, 'ready\nERR_DECLIP_DISPOSED\n'],
  ['nothing pending', 0, 'ready\n'],
  ['handles that nobody disposed', 0, 'ready\n'],
  ['a call that nobody awaits', 0, 'ready\nfinished 3\n'],
  ['an aborted call', 0, 'ready\nERR_DECLIP_ABORTED\n'],
]
for (const [way, code, stdout] of quiet) {
  t.test(way, async t => {
    t.same(await run('exit.mjs', way), { code, signal: null, stdout, stderr: '' })
  })
}

t.test('uncaught exception during a call', async t => {
  const ending = await run('exit.mjs', 'uncaught exception during a call')
  t.match(ending, { code: 1, signal: null, stderr: /Error: on purpose/ })
})

t.test('a signal from outside', async t => {
  const ending = await run('exit.mjs', 'a signal from outside')
  t.match(ending, { code: null, signal: 'SIGTERM', stderr: /^$/ })
})

t.test('`import` and `require` in one process', async t => {
  t.same(await run('modules.cjs'), { code: 0, signal: null, stdout: 'same\n', stderr: '' })
})
