/**
 * Builds the addon for this platform into prebuilds/<platform>-<arch>/, under the name that
 * node-gyp-build looks for. It is stripped and carries no path of this machine.
 */
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './common.mjs'

const folder = `prebuilds/${process.platform}-${process.arch}`
const libc = process.platform !== 'linux' ? '' : isMusl() ? '.musl' : '.glibc'

await run(process.execPath, ['scripts/bootstrap.mjs'])
mkdirSync(join(root, folder), { recursive: true })
await run('cmake', ['--install', 'build/Release', '--strip', '--prefix', join(root, folder)])
renameSync(
  join(root, folder, 'declip-native.node'),
  join(root, folder, `declip-native${libc}.node`),
)

/** Node knows which C library it runs on. */
function isMusl() {
  return !process.report.getReport().header.glibcVersionRuntime
}
