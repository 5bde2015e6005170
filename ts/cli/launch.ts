import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { WARNING, warnOnce } from '../base/warn.js'
import { DeclipError, ERROR_CODES, type ErrorCode } from '../errors.js'
import type { TrainProgress } from '../train/types.js'

/** How long the others may take to end by themselves once one has failed, in milliseconds. */
const GRACE = 10_000

/** In the environment of the processes that {@link launch} starts. */
const LAUNCHED = 'DECLIP_LAUNCHED'

/** How one of the processes ended. */
interface End {
  readonly rank: number
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

/** What to start. */
export interface LaunchOptions {
  readonly processes: number
  /** Of node: the script and its arguments. */
  readonly args: readonly string[]
  /** Asks all to stop. */
  readonly signal: AbortSignal
  /** What rank 0 tells. */
  readonly onProgress: (progress: TrainProgress) => void
  /** A line of rank 0's stdout. */
  readonly print: (line: string) => void
}

/**
 * Starts processes of this program on this machine and waits for all. The first one that fails ends the
 * others.
 *
 * They are in process groups of their own, so that a Ctrl-C reaches each once, from here; they end
 * when this process is gone.
 *
 * @throws DeclipError the error of the process that failed first by itself
 */
export async function launch(options: LaunchOptions): Promise<void> {
  const { processes, args, signal, onProgress, print } = options
  const port = await freePort()
  const children = Array.from({ length: processes }, (_, rank) => {
    const env = {
      ...process.env,
      RANK: `${rank}`,
      LOCAL_RANK: `${rank}`,
      WORLD_SIZE: `${processes}`,
      LOCAL_WORLD_SIZE: `${processes}`,
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: `${port}`,
      [LAUNCHED]: '1',
    }
    return spawn(process.execPath, [...process.execArgv, ...args], {
      env,
      detached: true,
      stdio: ['ignore', rank === 0 ? 'pipe' : 'ignore', 'pipe', 'ipc'],
    })
  })
  const first = children[0] as ChildProcess
  for (const { stderr } of children) if (stderr) passWarningsOn(stderr)
  first.on('message', message => onProgress(message as TrainProgress))
  const printed = first.stdout ? text(first.stdout) : Promise.resolve('')
  const all = (name: NodeJS.Signals) => {
    for (const child of children) if (child.exitCode === null) child.kill(name)
  }
  const stop = () => all('SIGINT')
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()

  const failed: End[] = []
  let last: NodeJS.Timeout | undefined
  await Promise.all(
    children.map(async (child, rank) => {
      const end = await endOf(child, rank)
      if (end.code === 0) return
      failed.push(end)
      // A rank that waits for this one ends with an error; one that computes is killed after GRACE.
      last ??= setTimeout(() => all('SIGKILL'), GRACE)
    }),
  )
  clearTimeout(last)
  signal.removeEventListener('abort', stop)
  for (const line of (await printed).split('\n')) if (line !== '') print(line)
  if (failed.length > 0) throw reasonOf(failed, processes)
}

/** Whether this process was started by {@link launch}: then it ends with the one that did. */
export function isLaunched(): boolean {
  return process.env[LAUNCHED] === '1' && process.send !== undefined
}

/** Tells the launcher. */
export function tellLauncher(progress: TrainProgress): void {
  if (process.connected) process.send?.(progress)
}

/** Arguments without `name value` and `name=value`. */
export function withoutOption(args: readonly string[], name: string): string[] {
  return args.filter(
    (arg, i) => arg !== name && args[i - 1] !== name && !arg.startsWith(`${name}=`),
  )
}

/** Emits the warnings of another of these processes here; the same of several ones once. */
function passWarningsOn(stderr: Readable): void {
  createInterface(stderr).on('line', line => {
    if (line.startsWith(WARNING)) warnOnce(line.slice(WARNING.length))
  })
}

async function endOf(child: ChildProcess, rank: number): Promise<End> {
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    // Of a process that says a lot the end is what matters.
    stderr = (stderr + part).slice(-65_536)
  })
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return { rank, code, signal, stderr }
  } catch (error) {
    return { rank, code: 1, signal: null, stderr: `could not be started: ${error}` }
  }
}

/** The error of the first process that did not fail because of another. */
function reasonOf(failed: readonly End[], processes: number): DeclipError {
  const errors = failed.map(end => errorOf(end, processes))
  const own = errors.find(({ code }) => code !== 'ERR_DECLIP_PEER')
  return own ?? (errors[0] as DeclipError)
}

function errorOf({ rank, code, signal, stderr }: End, processes: number): DeclipError {
  const lines = stderr.split('\n')
  for (const line of lines) {
    const [, name, message] = /^declip: (ERR_DECLIP_\w+): (.*)$/.exec(line) ?? []
    if (ERROR_CODES.includes(name as ErrorCode))
      return new DeclipError(name as ErrorCode, message as string)
  }
  const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`
  const said = stderr.trim() ? ` It said: ${stderr.trim()}` : ''
  return new DeclipError(
    'ERR_DECLIP_INTERNAL',
    `Process ${rank} of ${processes} ${how}, so the others were stopped. Go on with --resume.${said}`,
  )
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
