/** The addon of an installed platform package in place of one that is compiled. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { addonSources } from './addon-sources.mjs'
import { root } from './common.mjs'
import { platformName, SCOPE } from './platforms.mjs'

/**
 * Name and version of the platform package whose addon was built from this clone's sources, or
 * undefined. A local build, which the package would come second to, is then removed.
 */
export function takePrebuilt() {
  const name = `${SCOPE}/${platformName()}`
  let path
  try {
    path = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)
  } catch {
    return undefined
  }
  const { version, declip } = JSON.parse(readFileSync(path, 'utf8'))
  if (declip?.sources !== addonSources()) {
    console.log(`${name} ${version} was built from other sources than these: they are compiled.`)
    return undefined
  }
  for (const build of ['build/Release', 'build/Debug']) {
    const addon = join(root, build, 'declip-native.node')
    if (!existsSync(addon)) continue
    for (const file of ['declip_node.stamp', 'declip_node+declip_core_tests.stamp'])
      rmSync(join(root, build, file), { force: true })
    rmSync(addon)
    console.log(`  ${build}/declip-native.node is removed; --from-source builds it again`)
  }
  return `${name} ${version}`
}
