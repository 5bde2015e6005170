/**
 * Writes the tarballs of the package and of its platform packages into build/packages/, building
 * what is not up to date. `npm install` of all of them is a release.
 *
 *   node scripts/build/pack-all.mjs [--no-build]
 *
 * --no-build  packs prebuilds/ as it is: gathered from every platform, by the workflow that publishes
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackBundledModel } from './bundled-model.mjs'
import { endWith, filesUnder, fingerprint, root, run, unlessStamped } from './common.mjs'
import { platformPackages, published } from './manifest.mjs'

export const PACKAGES = join(root, 'build/packages')

/** As npm names it. */
export const tarballOf = ({ name, version }) =>
  join(PACKAGES, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)

async function packAll() {
  if (!process.argv.includes('--no-build'))
    await run(process.execPath, ['scripts/build/prebuild.mjs'])
  mkdirSync(PACKAGES, { recursive: true })
  const packages = platformPackages()
  const wanted = new Set(packages.map(({ manifest }) => tarballOf(manifest)))
  for (const name of readdirSync(PACKAGES)) {
    const path = join(PACKAGES, name)
    if (!wanted.has(path.replace(/\.stamp$/, ''))) rmSync(path)
  }
  await packMain()
  for (const { folder, manifest } of packages) {
    const tarball = tarballOf(manifest)
    if (!existsSync(tarball)) rmSync(`${tarball}.stamp`, { force: true })
    const path = folder.slice(root.length + 1)
    // not their contents: reading half a gigabyte takes longer than what it would save
    const files = filesUnder(path).map(file => {
      const { size, mtimeMs } = statSync(join(root, file))
      return [file, size, mtimeMs]
    })
    await unlessStamped(`${tarball.slice(root.length + 1)}.stamp`, fingerprint([], files), () =>
      npmPack(`./${path}`),
    )
  }
}

/**
 * From a copy, not as `npm pack` does it: package.json of the repository stays as it is, also for
 * whoever reads or commits it at this moment.
 */
async function packMain() {
  unpackBundledModel()
  const stage = 'build/package'
  rmSync(join(root, stage), { recursive: true, force: true })
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const listed = manifest.files.filter(path => !path.startsWith('!'))
  const paths = listed.map(path => path.replace(/\/?\*.*$/, ''))
  for (const path of new Set([...paths, 'README.md', 'LICENSE'])) {
    const target = join(root, stage, path)
    mkdirSync(dirname(target), { recursive: true })
    cpSync(join(root, path), target, { recursive: true, preserveTimestamps: true })
  }
  writeFileSync(join(root, stage, 'package.json'), JSON.stringify(published(manifest), null, 2))
  await npmPack(`./${stage}`)
}

function npmPack(folder) {
  const options = ['--ignore-scripts', '--pack-destination', PACKAGES, '--silent']
  return run('npm', ['pack', folder, ...options])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await packAll().catch(endWith)
