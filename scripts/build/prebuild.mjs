/**
 * Builds the addon for this platform into prebuilds/<platform>-<arch>/, under the name that
 * node-gyp-build looks for, stripped. LibTorch is not part of it: it is provided once per machine.
 */
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import prebuildify from 'prebuildify'
import { root, run } from './common.mjs'

await run(process.execPath, ['scripts/build/bootstrap.mjs', '--levels', 'all'])
await promisify(prebuildify)({
  cwd: root,
  napi: true,
  strip: true,
  tagLibc: true,
  targets: [{ runtime: 'node', target: process.versions.node }],
  // prebuildify would compile by node-gyp; the build above is what it shall package
  nodeGyp: join(root, 'scripts/build/prebuild-shim.sh'),
})
// it moved the addon away from the local build, which goes on to be used
const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`)
const addon = readdirSync(folder).find(name => name.endsWith('.node'))
copyFileSync(join(folder, addon), join(root, 'build/Release/declip-native.node'))
