import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { packagePath } from '../base/package-files.js'
import { addBank } from './bank.js'
import { addClassify } from './classify.js'
import { addDetect } from './detect.js'
import { addDoctor } from './doctor.js'
import { addDownload } from './download.js'
import { addEncode } from './encode.js'
import { addEval } from './eval.js'
import { addExport } from './export.js'
import { addInfo } from './info.js'
import { addMasks } from './masks.js'
import { addMerge } from './merge.js'
import { addModel } from './model.js'
import { addSegment } from './segment.js'
import { addSetup } from './setup.js'
import { examplePicture, examples, type Run } from './shared.js'
import { addTrain } from './train.js'

const EXIT_CODES = `

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
Errors are one line on stderr: code, cause, way out.`

/** The command line `declip`. Errors of usage are thrown, not printed. */
export function createProgram(run: Run): Command {
  const program = new Command('declip')
    .description('Finds the things you name in a picture, pixel by pixel.')
    .version(version())
    .option('--verbose', 'print the stack and cause of an error')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      examples(
        `declip segment ${examplePicture('table.png')} --classes "background; pizza; coffee" --overlay overlay.png`,
        'declip help segment',
      ) + EXIT_CODES,
    )
  addSegment(program, run)
  addEncode(program, run)
  addClassify(program, run)
  addEval(program, run)
  addMerge(program, run)
  addDetect(program, run)
  addMasks(program, run)
  addBank(program, run)
  addExport(program, run)
  addTrain(program, run)
  addInfo(program, run)
  addModel(program, run)
  addDownload(program, run)
  addDoctor(program, run)
  addSetup(program, run)
  return program
}

function version(): string {
  const text = readFileSync(packagePath('package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
