import { Command } from 'commander'
import t from 'tap'
import { fieldOptions, flagOf } from '../../../ts/cli/field-options.js'
import { addSegment } from '../../../ts/cli/segment.js'
import {
  DENSE_FIELDS,
  PIPELINE_FIELDS,
  POSTPROCESS_FIELDS,
  PROMPT_FIELDS,
} from '../../../ts/methods/fields.js'

t.test('a flag has the words and the check of its option', async t => {
  t.equal(flagOf('probThreshold'), '--prob-threshold')
  const [threshold] = fieldOptions('probThreshold', POSTPROCESS_FIELDS.probThreshold)
  t.equal(threshold?.flags, '--prob-threshold <x>')
  t.equal(threshold?.description, 'pixels whose best probability is lower become background')
  t.equal(threshold?.parseArg?.('0.25', undefined as never), 0.25)
  for (const text of ['1.1', '-1', 'x', '', ' ', 'NaN', 'Infinity']) {
    t.throws(() => threshold?.parseArg?.(text, undefined as never), {
      message: 'Expected a number from 0 to 1.',
    })
  }
  const [window] = fieldOptions('window', PIPELINE_FIELDS.window)
  t.equal(window?.flags, '--window <n>')
  t.throws(
    () => window?.parseArg?.('1.5', undefined as never),
    /Expected a whole number, 0 to 65535/,
  )
  const closing = fieldOptions('closing', POSTPROCESS_FIELDS.closing).map(({ flags }) => flags)
  t.same(closing, ['--closing', '--no-closing'])
})

t.test('`declip segment` has a flag for every option of the pipeline', async t => {
  const program = new Command()
  addSegment(program, {} as never)
  const flags = program.commands[0]?.options.map(({ long }) => long)
  const fields = { ...PIPELINE_FIELDS, ...POSTPROCESS_FIELDS, ...PROMPT_FIELDS }
  const names = Object.keys(fields).filter(name => name !== 'probabilities')
  for (const name of [...names, 'mode', 'denseMode', 'method', 'dataset']) {
    t.ok(flags?.includes(flagOf(name)), flagOf(name))
  }
  const mode = program.commands[0]?.options.find(({ long }) => long === '--mode')
  t.equal(mode?.description, DENSE_FIELDS.mode.text)
})
