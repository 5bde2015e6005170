import type { Command } from 'commander'
import { type Check, runDoctor } from '../engine/doctor.js'
import { examples, oneLine, type Run, table } from './shared.js'

/** Adds `declip doctor`. */
export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .summary('check what declip needs on this machine')
    .description('Checks what declip needs on this machine; exits with 1 if something is missing.')
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples('declip doctor'))
    .action(async (flags: { json?: boolean }) => {
      const checks = await runDoctor()
      const ok = checks.every(check => check.ok)
      run.print(flags.json ? JSON.stringify({ ok, checks }) : describeChecks(checks))
      if (!ok) process.exitCode = 1
    })
}

/** Aligned lines; below a failed check what to do. */
export function describeChecks(checks: readonly Check[]): string {
  const rows = checks.flatMap(({ name, ok, detail, fix }) => {
    const found: [string, string] = [`${ok ? 'ok' : '--'}  ${name}`, detail]
    return fix === undefined ? [found] : [found, ['', oneLine(fix)] as [string, string]]
  })
  return table(rows)
}
