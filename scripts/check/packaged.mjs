/** What tests of the packed package start from: the tarballs, and a project that has installed them. */
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fingerprint, root, run, unlessStamped } from '../build/common.mjs'
import { platformPackages } from '../build/manifest.mjs'
import { tarballOf } from '../build/pack-all.mjs'
import { platformName, SCOPE } from '../build/platforms.mjs'

const FOLDER = 'build/packaged'

/** The folder that these tests write into. */
export const packagedFolder = join(root, FOLDER)
/** A PATH of Node, npm and a shell: no compiler, CMake or Python. */
export const barePath = join(packagedFolder, 'bin')

/**
 * Packs what is not up to date and installs it into an empty project, install scripts disabled.
 * `tarballs`: paths of `main`, `addon` and `libtorch`; `project`: the folder that has them installed.
 */
export async function preparePackages() {
  await run(process.execPath, ['scripts/build/pack-all.mjs'])
  const manifests = platformPackages().map(({ manifest }) => manifest)
  const named = name => tarballOf(manifests.find(manifest => manifest.name === `${SCOPE}/${name}`))
  const tarballs = {
    main: tarballOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))),
    addon: named(platformName()),
    libtorch: named(`libtorch-${platformName()}`),
  }
  writeBarePath()
  const project = join(packagedFolder, 'project')
  const small = [tarballs.main, tarballs.addon].map(path => relative(root, path))
  const { size, mtimeMs } = statSync(tarballs.libtorch)
  await unlessStamped(`${FOLDER}/project.stamp`, fingerprint(small, size, mtimeMs), async () => {
    rmSync(project, { recursive: true, force: true })
    mkdirSync(project, { recursive: true })
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }\n')
    await npmInstall(project, Object.values(tarballs))
  })
  return { tarballs, project }
}

/** Installs packages as someone does who forbids install scripts and has no compiler. */
export function npmInstall(folder, packages) {
  const quiet = ['--no-audit', '--no-fund', '--loglevel', 'error']
  const options = ['--prefix', folder, '--ignore-scripts', '--prefer-offline', ...quiet]
  return run('npm', ['install', ...options, ...packages], { env: { PATH: pathForTests() } })
}

export function pathForTests() {
  return process.platform === 'win32' ? process.env.PATH : barePath
}

function writeBarePath() {
  if (process.platform === 'win32') return
  rmSync(barePath, { recursive: true, force: true })
  mkdirSync(barePath, { recursive: true })
  const folders = [dirname(process.execPath), ...process.env.PATH.split(delimiter)]
  for (const name of ['node', 'npm', 'npx', 'sh', 'env']) {
    const from = folders.map(folder => join(folder, name)).find(path => isFile(path))
    if (from) symlinkSync(from, join(barePath, name))
  }
}

function isFile(path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
