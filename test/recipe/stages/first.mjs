/** The weights that the recipe starts from are those that it started from. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BLOB, firstWeights } from '../../../models/recipe/stages/first.mjs'

const git = (folder, ...args) => spawnSync('git', args, { cwd: folder })
const atHand = git('.', 'cat-file', '-e', BLOB).status === 0

t.test(
  'taken from the history once, checked each time',
  { skip: atHand ? false : 'this checkout has no history' },
  async t => {
    const folder = t.testdir()
    const file = firstWeights(folder)
    t.equal(statSync(file).size, 19_423_298)
    const { mtimeMs } = statSync(file)
    firstWeights(folder)
    t.equal(statSync(file).mtimeMs, mtimeMs)
    writeFileSync(file, 'something else')
    t.throws(() => firstWeights(folder), { message: /SHA-256 .*; expected 67a29aea/ })
  },
)

t.test('without history it says where the file is', async t => {
  const folder = t.testdir()
  git(folder, 'init', '--quiet')
  t.throws(() => firstWeights(folder, folder), { message: /history .*git fetch --unshallow/ })
  t.notOk(existsSync(join(folder, 'first.safetensors')))
})
