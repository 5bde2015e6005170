/** Other runtimes, bundlers and jest at the versions of tools/package.json, installed once under build/. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fingerprint, root, run, unlessStamped } from '../../../scripts/build/common.mjs'

const FOLDER = 'build/packaged/tools'
const FILES = ['package.json', 'package-lock.json']

/** Installs what is missing, from npm or its cache; what is there costs nothing. */
export async function installTools() {
  const sources = FILES.map(name => `test/packaged/tools/${name}`)
  await unlessStamped(`${FOLDER}.stamp`, fingerprint(sources), async () => {
    mkdirSync(join(root, FOLDER), { recursive: true })
    for (const name of FILES)
      copyFileSync(join(root, 'test/packaged/tools', name), join(root, FOLDER, name))
    const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await run('npm', ['ci', ...quiet, '--prefix', join(root, FOLDER)])
  })
}

/** A file of an installed tool. */
export function tool(path) {
  return join(root, FOLDER, 'node_modules', path)
}
