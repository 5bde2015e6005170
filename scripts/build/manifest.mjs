/**
 * What package.json must say when it is published and must not say in the repository, written by
 * `npm pack` itself: `--pack` before, which unpacks the bundled model too, `--restore` after.
 *
 * The platform packages are optional dependencies. In the repository they cannot be: package-lock.json
 * would need their checksums before they are published, and without an entry `npm ci` refuses. So
 * those that lie in prebuilds/ are added when the package is packed. Registries read package.json
 * again after `--restore`, so only tarballs may be published (`prepublishOnly`).
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addonSources } from './addon-sources.mjs'
import { unpackBundledModel } from './bundled-model.mjs'
import { endWith, Failure, root } from './common.mjs'
import { platformName, SCOPE } from './platforms.mjs'

const MANIFEST = join(root, 'package.json')
const KEPT = join(root, 'build/package.json.kept')

/** Where the source lies, known to the workflow that publishes; nothing elsewhere. */
export function repositoryFields() {
  const { GITHUB_SERVER_URL: server = 'https://github.com', GITHUB_REPOSITORY: name } = process.env
  if (!name) return {}
  return {
    repository: { type: 'git', url: `git+${server}/${name}.git` },
    homepage: `${server}/${name}#readme`,
    bugs: { url: `${server}/${name}/issues` },
  }
}

/** The platform packages in prebuilds/: `{ folder, manifest }`. */
export function platformPackages() {
  const folder = join(root, 'prebuilds')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .filter(name => existsSync(join(folder, name, 'package.json')))
    .map(name => ({
      folder: join(folder, name),
      manifest: JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')),
    }))
}

/** package.json as it is published. */
export function published(manifest) {
  const packages = platformPackages()
  const addons = packages.filter(({ manifest }) => manifest.declip?.sources)
  const sources = addonSources()
  for (const {
    manifest: { name, version, declip },
  } of addons) {
    if (version !== manifest.version || declip.sources !== sources)
      throw new Failure(`${name} was built from other sources. Run \`npm run prebuild\` again.`)
  }
  if (!addons.some(({ manifest: { name } }) => name === `${SCOPE}/${platformName()}`))
    throw new Failure('The package has no prebuilt addon. Run `npm run prebuild` first.')
  const optionalDependencies = Object.fromEntries(
    packages.map(({ manifest: { name, version } }) => [name, version]),
  )
  const { scripts, devDependencies, ...rest } = manifest
  return { ...rest, ...repositoryFields(), optionalDependencies }
}

/** In one step, so that whoever reads the file meanwhile finds it whole. */
function replaceManifest(text) {
  writeFileSync(`${MANIFEST}.part`, text)
  renameSync(`${MANIFEST}.part`, MANIFEST)
}

function restoreManifest() {
  if (!existsSync(KEPT)) return
  // only the changed one: a run that was killed may lie long back
  if (JSON.parse(readFileSync(MANIFEST, 'utf8')).optionalDependencies)
    replaceManifest(readFileSync(KEPT, 'utf8'))
  rmSync(KEPT)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    if (process.argv.includes('--refuse'))
      throw new Failure(
        'Only tarballs are published: `npm run pack:all`, docs/guides/publishing.md.',
      )
    restoreManifest() // what an earlier run that was killed has left
    if (process.argv.includes('--pack')) {
      unpackBundledModel()
      const text = readFileSync(MANIFEST, 'utf8')
      const changed = published(JSON.parse(text))
      mkdirSync(dirname(KEPT), { recursive: true })
      writeFileSync(KEPT, text)
      replaceManifest(`${JSON.stringify(changed, null, 2)}\n`)
    }
  } catch (error) {
    endWith(error)
  }
}
