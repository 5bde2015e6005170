/** One process at a time, by a file that names its holder. */
import { open, readFile, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { aborted } from '../errors.js'

/** How often a lock is tried, in ms. */
const EVERY = 200

/**
 * Runs `work` while no other process does. `onWait` is called once where another one is at it.
 *
 * @throws DeclipError ERR_DECLIP_ABORTED while it waits; the file system's error where the lock
 * cannot be written
 */
export async function withLock<T>(
  path: string,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait?: (() => void) | undefined },
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; !(await take(path)); attempt += 1) {
    if (signal?.aborted) throw aborted(signal)
    if (await isAbandoned(path)) await rm(path, { force: true })
    else {
      if (attempt === 1) onWait?.()
      await setTimeout(EVERY)
    }
  }
  try {
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}

async function take(path: string): Promise<boolean> {
  try {
    const lock = await open(path, 'wx')
    await lock.writeFile(`${process.pid} ${hostname()}`)
    await lock.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** True if the process that holds a lock is gone; on another machine, if it has held it for an hour. */
async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  )
  const [pid, host] = text.split(' ')
  // Created but not yet written, or left so by a crash.
  if (!pid || !host) return age > 10_000
  if (host !== hostname()) return age > 3_600_000
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
