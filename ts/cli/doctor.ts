import type { Command } from 'commander'
import { type DoctorCheck, doctor } from '../engine/doctor.js'
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
      const checks = await doctor()
      const ok = checks.every(({ state }) => state !== 'failed')
      run.print(flags.json ? JSON.stringify({ ok, checks }) : describeChecks(checks))
      if (!ok) process.exitCode = 1
    })
}

const SIGNS: Readonly<Record<DoctorCheck['state'], string>> = {
  ok: 'ok  ',
  note: 'note',
  failed: 'FAIL',
  skipped: '-   ',
}

/** Aligned lines; below what is not as it should be what to do. */
export function describeChecks(checks: readonly DoctorCheck[]): string {
  const rows = checks.flatMap(({ name, state, detail, fix }) => {
    const found: [string, string] = [`${SIGNS[state]}  ${name}`, detail]
    return fix === undefined ? [found] : [found, ['', oneLine(fix)] as [string, string]]
  })
  return table(rows)
}
