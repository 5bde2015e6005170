/**
 * Publishes the tarballs of build/packages/ with provenance, the main package last, so that no
 * installation of it misses what it depends on. What the registry has already is left out, so that a
 * run that broke off can be run again, and LibTorch's packages outlive a release.
 *
 *   node scripts/build/publish.mjs [--dry-run]
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { endWith, root, run } from './common.mjs'
import { platformPackages } from './manifest.mjs'
import { tarballOf } from './pack-all.mjs'

try {
  const main = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const tag = main.version.includes('-') ? 'next' : 'latest'
  for (const manifest of [...platformPackages().map(({ manifest }) => manifest), main]) {
    const name = `${manifest.name}@${manifest.version}`
    if (isPublished(name)) {
      console.log(`${name} is published already`)
      continue
    }
    const options = ['--provenance', '--access', 'public', '--tag', tag, ...process.argv.slice(2)]
    await run('npm', ['publish', tarballOf(manifest), ...options])
  }
} catch (error) {
  endWith(error)
}

function isPublished(name) {
  const { status, stdout } = spawnSync('npm', ['view', name, 'version'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  return status === 0 && stdout.trim() !== ''
}
