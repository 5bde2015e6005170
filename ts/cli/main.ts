#!/usr/bin/env node
import { inspect } from 'node:util'
import { CommanderError } from 'commander'
import { WARNING } from '../base/warn.js'
import { DeclipError } from '../errors.js'
import { createProgram } from './program.js'
import { errorLine, ProgressBar } from './shared.js'

/** Exit codes of a shell for a process that a signal ended: 128 + its number. */
const STOPPED = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 } as const

const controller = new AbortController()
const progress = new ProgressBar()
let stoppedBy: keyof typeof STOPPED | undefined

function stop(signal: keyof typeof STOPPED): void {
  // The second time, without waiting for the work to notice.
  if (stoppedBy) {
    progress.clear()
    process.exit(STOPPED[stoppedBy])
  }
  stoppedBy = signal
  process.exitCode = STOPPED[signal]
  controller.abort(new Error(signal))
}

process.on('SIGINT', stop)
process.on('SIGTERM', stop)
// A file that grows over the limit (ulimit -f) is an error of that write, not the end of the process.
process.on('SIGXFSZ', () => {})
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') fail(error)
    else if (!stoppedBy) stop('SIGPIPE')
  })
}
process.removeAllListeners('warning')
process.on('warning', ({ name, message }) => {
  if (name !== 'DeclipWarning') return
  progress.clear()
  process.stderr.write(`${WARNING}${message}\n`)
})
process.on('uncaughtException', error => {
  fail(error)
  process.exit()
})

const program = createProgram({
  signal: controller.signal,
  progress,
  print: line => {
    // Elsewhere than on the terminal that has the bar.
    if (process.stdout.isTTY) progress.clear()
    process.stdout.write(`${line}\n`)
  },
  tell: line => {
    progress.clear()
    if (stoppedBy !== 'SIGPIPE') process.stderr.write(`declip: ${line}\n`)
  },
  complain,
})
program
  .parseAsync()
  .catch(fail)
  .finally(() => progress.clear())

function fail(error: unknown): void {
  progress.clear()
  process.exitCode = exitCode(error)
  if (error instanceof CommanderError && error.exitCode === 0) return
  // commander has printed the help of a command line without a command.
  if (error instanceof CommanderError && error.code === 'commander.help') return
  if (stoppedBy === 'SIGPIPE') return
  complain(error)
}

function complain(error: unknown): void {
  progress.clear()
  process.stderr.write(`${errorLine(error)}\n`)
  if (program.opts()['verbose'] && !(error instanceof CommanderError)) {
    process.stderr.write(`${inspect(error)}\n`)
  }
}

function exitCode(error: unknown): number {
  if (stoppedBy) return STOPPED[stoppedBy]
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return error instanceof DeclipError && error.code === 'ERR_DECLIP_INVALID_ARG' ? 2 : 1
}
