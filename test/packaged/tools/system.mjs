/** Programs of the system that tests run and npm does not have. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * The path of a program, undefined where there is none. A check on CI, which runs as root on a machine that
 * is thrown away, installs the Debian package that has it; nobody else's machine is changed.
 */
export function systemProgram(name, debianPackage = name) {
  const found = find(name)
  if (found || !process.env.CI || process.getuid?.() !== 0 || !find('apt-get')) return found
  const apt = (...args) =>
    spawnSync('apt-get', args, {
      stdio: 'ignore',
      timeout: 120_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  apt('update', '-qq')
  apt('install', '-qq', '--yes', '--no-install-recommends', debianPackage)
  return find(name)
}

/** What a test that is skipped for want of a program says. */
export function missing(name, debianPackage = name) {
  return `${name} is not installed (apt-get install ${debianPackage})`
}

function find(name) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map(folder => join(folder, name)).find(path => existsSync(path))
}
