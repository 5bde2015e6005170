/** What tests share that start other processes. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** How a process ended, and what it wrote. */
export interface Result {
  code: number | null
  out: string
  err: string
}

/** Waits for a process whose output is piped. */
export async function finish(child: ChildProcess): Promise<Result> {
  let [out, err] = ['', '']
  child.stdout?.on('data', chunk => {
    out += chunk
  })
  child.stderr?.on('data', chunk => {
    err += chunk
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}
