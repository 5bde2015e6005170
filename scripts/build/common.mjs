/** What the scripts share: the repository's root, running a program, content stamps. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A failure whose message is all the reader needs: no stack is printed. */
export class Failure extends Error {}

/** Ends a script with a Failure's message; any other error is thrown on. */
export function endWith(error) {
  if (!(error instanceof Failure)) throw error
  console.error(error.message)
  process.exitCode = 1
}

/**
 * Runs a program in the repository's root with its output shown; rejects with a Failure unless it
 * exits 0. `onLine` sees each line of stdout instead of the terminal.
 */
export function run(command, args, { env, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', onLine ? 'pipe' : 'inherit', 'inherit'],
      shell: process.platform === 'win32' && command === 'npm',
    })
    if (onLine) {
      let rest = ''
      child.stdout.setEncoding('utf8').on('data', text => {
        const lines = (rest + text).split('\n')
        rest = lines.pop()
        for (const line of lines) onLine(line)
      })
      child.stdout.on('end', () => rest && onLine(rest))
    }
    child.on('error', error =>
      reject(new Failure(`${command} could not be started: ${error.message}`)),
    )
    child.on('close', (code, signal) =>
      code === 0
        ? resolve()
        : reject(
            new Failure(
              `\`${[command, ...args].join(' ')}\` failed (${signal ?? `exit code ${code}`}).`,
            ),
          ),
    )
  })
}

/** Runs and times one step of a script. */
export async function step(name, work) {
  const start = performance.now()
  console.log(`> ${name}`)
  const result = await work()
  console.log(`  ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
  return result
}

/** Every file under the given files and folders of the repository, sorted. */
export function filesUnder(...paths) {
  const found = []
  const visit = path => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false })
    if (stat?.isDirectory())
      for (const name of readdirSync(join(root, path))) visit(`${path}/${name}`)
    else if (stat) found.push(path)
  }
  for (const path of paths) visit(path)
  return found.sort()
}

/** sha256 of the names and contents of files, and of anything else that decides a step's result. */
export function fingerprint(files, ...rest) {
  const hash = createHash('sha256').update(JSON.stringify(rest))
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

/** Does `step` unless the stamp file says it was done for this fingerprint. */
export async function unlessStamped(stamp, print, step) {
  const path = join(root, stamp)
  try {
    if (readFileSync(path, 'utf8') === print) return false
  } catch {}
  await step()
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, print)
  return true
}
