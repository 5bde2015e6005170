import { PassThrough } from 'node:stream'
import { CommanderError, InvalidArgumentError } from 'commander'
import t from 'tap'
import {
  device,
  errorLine,
  ProgressBar,
  readClasses,
  readTemplates,
  real,
  shareTable,
  side,
  table,
  whole,
} from '../../../ts/cli/shared.js'
import { DeclipError } from '../../../ts/errors.js'

t.test('parsers take what they say and nothing else', t => {
  t.equal(whole(1)('28'), 28)
  t.equal(real(0, 1)('0.25'), 0.25)
  t.equal(real(0)('1e3'), 1000)
  t.equal(side('none'), 0)
  t.equal(side('0'), 0)
  t.equal(side('336'), 336)
  for (const name of ['auto', 'cpu', 'cuda', 'cuda:1'] as const) t.equal(device(name), name)
  const wrong: [parse: (text: string) => unknown, texts: string[]][] = [
    [whole(1), ['0', '-1', '1.5', '', ' ', '0x10', '1e3', 'NaN', '99999999999999999999']],
    [real(0, 1), ['-0.1', '1.1', '', ' ', 'NaN', 'Infinity', 'x', '0,5']],
    [side, ['-1', 'half', '']],
    [device, ['gpu', 'cuda:', 'cuda:x', '', 'CPU']],
  ]
  for (const [parse, texts] of wrong) {
    for (const text of texts) t.throws(() => parse(text), InvalidArgumentError, `'${text}'`)
  }
  t.throws(() => real(0, 1)('2'), { message: 'Expected a number from 0 to 1.' })
  t.end()
})

t.test('classes', async t => {
  const file = t.testdir({ 'classes.txt': 'background\ncat, feline\n' })
  const classesFile = `${file}/classes.txt`
  t.strictSame(await readClasses({ classes: 'cat,feline; sofa;' }), [['cat', 'feline'], ['sofa']])
  t.strictSame(await readClasses({ classesFile }), [['background'], ['cat', 'feline']])
  t.strictSame(await readClasses({ classesFile, separator: 'semicolon' }), [
    ['background'],
    ['cat, feline'],
  ])
  const code = 'ERR_DECLIP_INVALID_ARG'
  await t.rejects(readClasses({}), { code, message: /Classes are missing; give --classes/ })
  await t.rejects(readClasses({ classes: 'a', classesFile: 'b' }), { code, message: /exclude/ })
  await t.rejects(readClasses({ classes: 'a;;b' }), { code })
  await t.rejects(readClasses({ classes: 'a; b', separator: 'comma' }), { code, message: /needs/ })
  await t.rejects(readClasses({ classesFile: 'absent.txt' }), { code: 'ERR_DECLIP_IO' })
})

t.test('templates', async t => {
  const dir = t.testdir({ 'prompts.txt': 'a photo of a {}.\r\n\nart of {}\n' })
  t.equal(await readTemplates(undefined), undefined)
  t.equal(await readTemplates('vild'), 'vild')
  t.strictSame(await readTemplates(`${dir}/prompts.txt`), ['a photo of a {}.', 'art of {}'])
  await t.rejects(readTemplates('toString'), { code: 'ERR_DECLIP_IO' })
})

t.test('an error is one line', t => {
  const lines =
    'LibTorch was not found. Tried:\n  - LIBTORCH: not set\n  - /x: no such folder\nRun it.'
  t.equal(
    errorLine(new DeclipError('ERR_DECLIP_LIBTORCH', lines)),
    'declip: ERR_DECLIP_LIBTORCH: LibTorch was not found. Tried: LIBTORCH: not set; /x: no such folder. Run it.',
  )
  const unknown = "error: unknown option '--x'\n(Did you mean --y?)"
  t.equal(
    errorLine(new CommanderError(1, 'commander.unknownOption', unknown)),
    "declip: ERR_DECLIP_INVALID_ARG: unknown option '--x' (Did you mean --y?) See 'declip --help'.",
  )
  t.equal(errorLine(new TypeError('x is no y')), 'declip: ERR_DECLIP_INTERNAL: x is no y')
  t.equal(errorLine('text'), 'declip: ERR_DECLIP_INTERNAL: text')
  t.end()
})

t.test('tables', t => {
  t.equal(
    table([
      ['a', '1'],
      ['long', ''],
    ]),
    '  a     1\n  long',
  )
  t.equal(
    shareTable(['cat', 'sofa', 'sky', 'dust'], [0.25, 0.7499, 0, 0.0001], 0.0005),
    `  sofa   75.0 %  ${'█'.repeat(18)}\n  cat    25.0 %  ${'█'.repeat(6)}`,
  )
  t.equal(shareTable(['cat'], [1]), `  cat  100.0 %  ${'█'.repeat(24)}`)
  t.end()
})

t.test('the progress bar is drawn on a terminal only', t => {
  const draw = (isTTY: boolean) => {
    const stream = Object.assign(new PassThrough(), {
      isTTY,
      columns: 80,
      rows: 24,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    })
    const bar = new ProgressBar(stream as unknown as NodeJS.WriteStream)
    bar.update({ step: 'encode', done: 0, total: 4 })
    bar.update({ step: 'encode', done: 4, total: 4 })
    bar.update({ step: 'pixels', done: 1, total: 0 })
    bar.updatePictures(0, 4, 0)
    bar.updatePictures(1, 4, 2)
    bar.clear()
    bar.clear()
    return String(stream.read() ?? '')
  }
  t.equal(draw(false), '')
  t.match(draw(true), /encode /)
  t.match(draw(true), /1 of 4 pictures .* 25% 0\.5 pictures\/s, 6\.0 s left/)
  t.end()
})

t.test('long work is told of in lines where there is no terminal', async t => {
  const stream = new PassThrough() as unknown as NodeJS.WriteStream
  const bar = new ProgressBar(stream, 5)
  bar.update({ step: 'encode', done: 0, total: 4 })
  t.equal(stream.read(), null)
  await new Promise(resolve => setTimeout(resolve, 10))
  bar.update({ step: 'encode', done: 3, total: 4 })
  bar.update({ step: 'encode', done: 4, total: 4 })
  bar.clear()
  t.equal(String(stream.read()), 'declip: encode 75 %\n')
})

t.test('many pictures are told of at every tenth where there is no terminal', t => {
  const stream = new PassThrough() as unknown as NodeJS.WriteStream
  const bar = new ProgressBar(stream)
  for (let done = 1; done <= 40; done++) bar.updatePictures(done, 40, done)
  const lines = String(stream.read()).split('\n')
  t.equal(lines[0], 'declip: 12 of 40 pictures (30 %), 1.0 pictures/s, 28.0 s left')
  t.equal(lines[6], 'declip: 36 of 40 pictures (90 %), 1.0 pictures/s, 4.0 s left')
  t.equal(lines.length, 8, 'nothing in the first ten seconds and at the end')
  t.end()
})
