// The example of a server, from the packed package: its load test, small.
import { cpSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { installedProject, runIn } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'

const example = join(root, 'examples/server')
const LIBRARIES = ['fastify', 'prom-client']

t.test('the libraries are those of the tests', async t => {
  const read = folder => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const [{ dependencies }, tools] = [read(example), read(join(root, 'test/packaged/tools'))]
  for (const name of LIBRARIES) t.equal(dependencies[name], tools.dependencies[name], name)
})

t.test('the load test', async t => {
  await installTools()
  const folder = installedProject(t)
  cpSync(example, join(folder, 'server'), { recursive: true })
  for (const name of LIBRARIES) symlinkSync(tool(name), join(folder, 'node_modules', name))
  const args = ['server/load-test.mjs', '--quick']
  const { code, stdout, stderr } = await runIn(folder, process.execPath, args, {
    env: { DECLIP_THREADS: '2' },
  })
  t.comment(stdout)
  t.equal(code, 0, stderr)
  for (const part of ['saturation', 'uploads', 'clients left', '422, 422, 422', 'exit code 0'])
    t.match(stdout, part)
})
