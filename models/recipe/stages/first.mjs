/**
 * The weights that stage `words` begins with: float16, 19 MB. They are no part of the tree but of
 * the repository's history, where they stay bit for bit.
 *
 *   node models/recipe/stages/first.mjs --work <folder>
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'

const COMMIT = 'df3d9adb079e59caddd1087f3ae76819954cd914'
export const BLOB = 'c22442b36d4e867a160561033d7e6c3feed692c9'
const SHA256 = '67a29aead70f6c040318396cd82acede6676a1b774794648af07855234570ee0'

/** Writes first.safetensors into a folder unless it is there; returns its path. */
export function firstWeights(folder, repository = root) {
  const file = join(folder, 'first.safetensors')
  if (!existsSync(file)) {
    const bytes = fromHistory(repository)
    mkdirSync(folder, { recursive: true })
    writeFileSync(`${file}.part`, bytes)
    renameSync(`${file}.part`, file)
  }
  const found = createHash('sha256').update(readFileSync(file)).digest('hex')
  if (found !== SHA256) throw new Failure(`${file} has SHA-256 ${found}; expected ${SHA256}.`)
  return file
}

function fromHistory(repository) {
  const git = (...args) => spawnSync('git', args, { cwd: repository, maxBuffer: 2 ** 26 })
  const read = () => git('cat-file', 'blob', BLOB)
  let { status, stdout } = read()
  // A shallow clone: the one commit that brought the file.
  if (status !== 0 && git('fetch', '--quiet', '--depth=1', 'origin', COMMIT).status === 0) {
    ;({ status, stdout } = read())
  }
  if (status === 0) return stdout
  throw new Failure(
    `first.safetensors is in this repository's history (commit ${COMMIT}), which is not at hand: ` +
      'take a full clone (git fetch --unshallow), or put the file into the work folder.',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { values } = parseArgs({ options: { work: { type: 'string' } } })
    if (!values.work) throw new Failure('Say where the file goes: --work <folder>.')
    console.log(firstWeights(values.work))
  } catch (error) {
    endWith(error)
  }
}
