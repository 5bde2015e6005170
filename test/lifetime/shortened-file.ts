/** Weights that another program makes shorter while they are in use: an error, not the end of the process. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { finish } from '../support/child.js'

const SCRIPT = fileURLToPath(new URL('scripts/shortened-file.mjs', import.meta.url))

t.test('a model whose file is made shorter', async t => {
  const child = spawn(process.execPath, [SCRIPT, join(t.testdir(), 'model.safetensors')])
  const { code, out, err } = await finish(child)
  t.equal(code, 0, err)
  t.strictSame(out.trim().split('\n'), [
    'ERR_DECLIP_IO',
    'ERR_DECLIP_IO',
    'ERR_DECLIP_WEIGHTS',
    'loaded',
    'ERR_DECLIP_IO',
    'worked',
    'worked',
  ])
})
