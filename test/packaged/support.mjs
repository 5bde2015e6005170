/** For tests of the packed package: projects that have it installed, and programs run in them. */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packagedFolder, pathForTests, preparePackages } from '../../scripts/check/packaged.mjs'

t.setTimeout(600_000) // where this file is run alone it packs first

/**
 * `tarballs`: paths of `main`, `addon` and `libtorch`; `project`: a folder with all three installed
 * by npm, which is shared and must not be changed below node_modules. `npm test` has prepared them.
 */
export const { tarballs, project } = process.env.DECLIP_PACKED
  ? JSON.parse(process.env.DECLIP_PACKED)
  : await preparePackages()

/** A new folder on the disk of the shared project, removed at the end of test `t`. */
export function emptyFolder(t, name = 'project') {
  const parent = mkdtempSync(join(packagedFolder, 'tmp-'))
  chmodSync(parent, 0o755)
  const folder = join(parent, name)
  mkdirSync(folder, { recursive: true })
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  return folder
}

/** A project of one's own with the packages installed; its files are hard links to the shared one's. */
export function installedProject(t, name) {
  const folder = emptyFolder(t, name)
  linkFolder(project, folder)
  return folder
}

/** Every file of a folder again, as hard links. */
export function linkFolder(from, to) {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) linkFolder(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else linkSync(source, target)
  }
}

/**
 * Runs a program in a folder and resolves to `{ code, stdout, stderr }`. Its environment is `env` and
 * a PATH of Node, npm and a shell: no home, no compiler, nothing of the tests' own.
 */
export function runIn(
  folder,
  command,
  args,
  { env = {}, input = '', timeout = 300_000, ...rest } = {},
) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: folder,
      env: { PATH: pathForTests(), DECLIP_THREADS: '1', ...env },
      timeout,
      killSignal: 'SIGKILL',
      ...rest,
    })
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'])
      child[name].setEncoding('utf8').on('data', text => {
        texts[name] += text
      })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code: code ?? signal, ...texts }))
    child.stdin.on('error', () => {}) // a program may end without reading it
    child.stdin.end(input)
  })
}

/** As {@link runIn}, of Node; rejects unless it exits 0. Returns what was printed. */
export async function runNode(folder, args, options) {
  const { code, stdout, stderr } = await runIn(folder, process.execPath, args, options)
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`)
  return stdout
}
