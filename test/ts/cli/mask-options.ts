import { Command } from 'commander'
import t from 'tap'
import {
  addGeneratorOptions,
  addMaskModelOptions,
  generatorOptions,
  maskModelOf,
} from '../../../ts/cli/mask-options.js'

function parsed(add: (command: Command) => Command, ...args: string[]): Record<string, unknown> {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} })
  return add(command).parse(args, { from: 'user' }).opts()
}

t.test('flags of a generator are its options', async t => {
  const flags = parsed(
    addGeneratorOptions,
    ...['--preset', 'corrclip-8', '--points-per-side', '4', '--crop-layers', '1'],
    ...['--pred-iou-threshold', '0.5', '--no-multimask'],
  )
  t.same(generatorOptions(flags), {
    preset: 'corrclip-8',
    pointsPerSide: 4,
    cropLayers: 1,
    predIouThreshold: 0.5,
    multimask: false,
  })
  t.same(generatorOptions({}), {})
  t.throws(() => parsed(addGeneratorOptions, '--points-per-side', '0'), /Expected a whole number/)
  t.throws(() => parsed(addGeneratorOptions, '--preset', 'x'), /Allowed choices/)
})

t.test('a SAM that makes masks for other commands', async t => {
  const flags = (...args: string[]) => parsed(addMaskModelOptions, ...args)
  t.equal(maskModelOf(flags()), undefined)
  const maker = maskModelOf(
    flags('--mask-model', 'sam.pth', '--mask-preset', 'corrclip-8', '--points-per-side', '5'),
  )
  t.match(maker, {
    kind: 'sam',
    settings: { model: 'sam.pth', pointsPerSide: 5, multimask: false },
  })
  const needs = { code: 'ERR_DECLIP_INVALID_ARG', message: /needs --mask-model/ }
  t.throws(() => maskModelOf(flags('--points-per-side', '5')), needs)
  t.throws(() => maskModelOf(flags('--mask-preset', 'sam')), needs)
})
