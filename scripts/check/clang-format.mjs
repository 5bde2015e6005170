import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from '../build/common.mjs'

/** Releases differ in what they print, so exactly this one is used. */
const VERSION = '23.1.1'

/** Path of the pinned clang-format, installed by pip below node_modules; null where pip cannot. */
export async function clangFormat() {
  const folder = join(root, 'node_modules/.cache', `clang-format-${VERSION}`)
  const name = process.platform === 'win32' ? 'clang-format.exe' : 'clang-format'
  const program = join(folder, 'clang_format/data/bin', name)
  if (existsSync(program)) return program
  const python = process.platform === 'win32' ? 'py' : 'python3'
  const quiet = ['-qq', '--no-deps', '--disable-pip-version-check', '--retries', '1']
  const args = ['-m', 'pip', 'install', ...quiet, '--target', folder, `clang-format==${VERSION}`]
  try {
    await run(python, args)
    return program
  } catch (error) {
    console.log(`# SKIP clang-format ${VERSION} could not be installed: ${error.message}`)
    return null
  }
}
