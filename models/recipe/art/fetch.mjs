/**
 * Gets the art packages of packages.mjs from npm's registry, at their exact versions, into a cache
 * folder. npm checks their integrity; no script of theirs is run.
 *
 *   node models/recipe/art/fetch.mjs [--work <folder>]
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder } from '../../../dist/engine/libtorch.js'
import { Failure, run } from '../../../scripts/build/common.mjs'
import { STYLES } from './packages.mjs'

/** Where art and sprites are kept by default: `art` in the package's cache folder. */
export const workFolder = () => join(cacheFolder(), 'art')

/** Folder of an installed package. @param {string} work @param {{ package: string }} style */
export const packageFolder = (work, style) => join(work, 'node_modules', style.package)

/**
 * Installs what is missing.
 *
 * @param {string} work
 * @returns {Promise<void>}
 */
export async function fetchArt(work) {
  const missing = STYLES.filter(style => {
    try {
      const file = join(packageFolder(work, style), 'package.json')
      return JSON.parse(readFileSync(file, 'utf8')).version !== style.version
    } catch {
      return true
    }
  })
  if (missing.length === 0) return
  console.log(`fetching ${missing.length} art packages into ${work}`)
  mkdirSync(work, { recursive: true })
  // All of them each time: without a manifest, npm prunes what is not named.
  await run('npm', [
    'install',
    ...['--prefix', work, '--no-save', '--no-package-lock'],
    ...['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'],
    ...STYLES.map(style => `${style.package}@${style.version}`),
  ])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { work: { type: 'string' } } })
  await fetchArt(values.work ?? workFolder()).catch(error => {
    if (!(error instanceof Failure)) throw error
    console.error(`${error.message}\nIs the registry that npm is configured for within reach?`)
    process.exitCode = 1
  })
}
