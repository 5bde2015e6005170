import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { circles, ROOMS, readImports, upwardImports } from '../../scripts/check/imports.mjs'

const files = readImports()

t.test('every file of ts/ is in a room that the order knows', async t => {
  const top = [...files].filter(([, { room }]) => room === '').map(([path]) => path)
  t.same(top, ['errors.ts', 'index.ts'])
  const rooms = new Set([...files.values()].map(({ room }) => room))
  rooms.delete('')
  t.same([...rooms].sort(), [...ROOMS].sort())
})

t.test('a room imports only rooms before it', async t => {
  t.same(upwardImports(files), [])
})

t.test('no file imports itself by way of others, types included', async t => {
  t.same(circles(files), [])
})

t.test('what the reader sees', async t => {
  const folder = t.testdir()
  for (const [path, text] of Object.entries({
    'index.ts': "export { a } from './base/a.js'\n",
    'base/a.ts': "import type { B } from '../image/b.js'\nexport const a: B = 1\n",
    'image/b.ts':
      "export type B = import('../text/c.js').C\nexport const load = () => import('node:fs')\n",
    'text/c.ts': "import '../base/a.js'\nexport type C = 1\n",
    'text/alone.ts': 'export {}\n',
  })) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const made = readImports(folder)
  t.same(made.get('image/b.ts'), { room: 'image', lines: 2, imports: ['text/c.ts'] })
  t.same(circles(made), [['base/a.ts', 'image/b.ts', 'text/c.ts']])
  t.same(upwardImports(made), ['base/a.ts -> image/b.ts', 'image/b.ts -> text/c.ts'])
})
