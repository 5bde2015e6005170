import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { segment } from '../../../ts/segment/segment.js'
import { finish, type Result } from '../../support/child.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const SCENES = join(packageRoot, 'models/scenes')
const table = join(SCENES, 'table.png')
const CLASSES = 'background; pizza; banana; coffee'
/** A small pass, for what does not depend on the quality of the labels. */
const QUICK = ['--templates', 'none', '--short-side', '96', '--window', '0']
const COMMANDS = [
  'segment',
  'encode',
  'classify',
  'eval',
  'merge',
  'detect',
  'masks',
  'export',
  'train',
  'info',
  'model',
  'download',
  'doctor',
  'setup',
]
/** Commands whose examples need the network or files of the reader's own. */
const ELSEWHERE = ['setup', 'train', 'model', 'download', 'eval', 'merge', 'masks']

const start = (args: readonly string[], cwd = packageRoot, env = {}): ChildProcess =>
  spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env } })

const declip = (args: readonly string[], cwd?: string, env?: object): Promise<Result> =>
  finish(start(args, cwd, env))

/** A shell's words, as far as the examples need them: quotes, no escapes. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')

/** The objects that --json prints. */
const reportsOf = (out: string) =>
  out
    .trim()
    .split('\n')
    .map(
      line =>
        JSON.parse(line) as {
          image: string
          error?: { code: string }
          outputs?: { mask?: string }
        },
    )

/** That a run failed with one line. */
const failed = (t: Test, { code, out, err }: Result, exit: number, line: RegExp) => {
  t.equal(code, exit, err)
  t.equal(out, '')
  t.match(err, line)
  t.equal(err.split('\n').length, 2, 'one line')
}

t.test('help', async t => {
  for (const command of COMMANDS) {
    const { code, out, err } = await declip([command, '--help'])
    t.strictSame({ code, err }, { code: 0, err: '' }, command)
    t.match(out, new RegExp(`^Usage: declip ${command} .*\n[\\s\\S]*Examples:\n`))
  }
  const { code, out } = await declip(['--help'])
  t.equal(code, 0)
  for (const command of COMMANDS) t.match(out, new RegExp(`^  ${command} `, 'm'))
  t.strictSame(await declip(['--version']), {
    code: 0,
    out: `${JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version}\n`,
    err: '',
  })
  const bare = await declip([])
  t.equal(bare.code, 2)
  t.match(bare.err, /^Usage: declip/)
})

t.test('the examples of the help run as written', async t => {
  const cwd = t.testdir()
  let count = 0
  for (const command of COMMANDS) {
    if (ELSEWHERE.includes(command)) continue
    const { out } = await declip([command, '--help'], cwd)
    for (const [, line = ''] of out.matchAll(/^ {2}\$ declip (.*)$/gm)) {
      const result = await declip(words(line), cwd)
      t.equal(result.code, 0, `declip ${line}: ${result.err}`)
      t.not(result.out, '')
      count += 1
    }
  }
  t.ok(count >= 7, `${count} examples`)
})

t.test('wrong usage', async t => {
  const cases: [args: string[], line: RegExp][] = [
    [['paint'], /unknown command 'paint'/],
    [
      ['segment', '--classes', 'a; b'],
      /Pictures are missing; name files or folders, or give --from/,
    ],
    [['segment', table, '--shard', '3/2'], /'--shard <i\/n>' argument '3\/2' is invalid/],
    [['segment', table, '--classes', 'a; b', '--skip-existing'], /--skip-existing needs/],
    [['segment', table, '--windw', '3'], /unknown option '--windw' \(Did you mean --window\?\)/],
    [
      ['segment', table, '--window', 'x'],
      /'--window <n>' argument 'x' is invalid\. Expected a whole/,
    ],
    [['segment', table, '--method', 'sam'], /Allowed choices are declip, clipself/],
    [['segment', table], /Classes are missing; give --classes/],
    [['segment', table, '--classes', 'a;;b'], /--classes, class 2: .* blank/],
    [['segment', table, '--classes', 'a; b', '--out', 'x.jpg'], /--out writes \.png files/],
    [
      ['segment', table, '--classes', 'a; b', '--logit-scale', '0', ...QUICK],
      /'--logit-scale <x>' argument '0'/,
    ],
    [['encode', table], /Give --out <file>, --json or both/],
    [['info', 'no-such-model'], /'no-such-model'/],
  ]
  for (const [args, line] of cases) {
    const result = await declip(args)
    failed(t, result, 2, line)
    t.match(result.err, /^declip: ERR_DECLIP_INVALID_ARG: /)
  }
})

t.test('failures', async t => {
  const dir = t.testdir({ 'broken.png': 'not a picture', 'broken.safetensors': 'no weights' })
  const classes = ['--classes', CLASSES]
  failed(t, await declip(['segment', 'absent.png', ...classes]), 1, /ERR_DECLIP_IO: .*absent\.png/)
  failed(
    t,
    await declip(['segment', join(dir, 'broken.png'), ...classes]),
    1,
    /ERR_DECLIP_IMAGE: .*broken\.png/,
  )
  const broken = join(dir, 'broken.safetensors')
  failed(t, await declip(['info', broken]), 1, /ERR_DECLIP_WEIGHTS: .*broken\.safetensors/)
  const offline = { HF_HUB_OFFLINE: '1', HF_HOME: dir }
  failed(t, await declip(['info', 'a/b'], dir, offline), 1, /ERR_DECLIP_NETWORK: a\/b is not in/)
  const cuda = await declip(['segment', table, ...classes, '--device', 'cuda:77'])
  failed(t, cuda, 1, /ERR_DECLIP_DEVICE: /)
  const { err } = await declip(['info', broken, '--verbose'])
  t.match(err, /^declip: ERR_DECLIP_WEIGHTS: .*\n[\s\S]*\n {4}at /, 'the stack')
})

t.test('segment: what is printed and written is what the API gives', async t => {
  const dir = t.testdir()
  const [out, overlay, logits] = ['m.png', 'deep/o.png', 'l.safetensors'].map(n =>
    join(dir, n),
  ) as [string, string, string]
  const args = ['--out', out, '--overlay', overlay, '--logits', logits, '--json', ...QUICK]
  const result = await declip(['segment', table, '--classes', CLASSES, ...args])
  t.equal(result.code, 0, result.err)
  t.equal(result.err, '', 'no progress bar in a pipe')
  const report = JSON.parse(result.out)
  using expected = await segment(table, CLASSES.split('; '), {
    templates: 'none',
    shortSide: 96,
    window: 0,
    logits: true,
  })
  const { classes, areas, width, height } = expected
  t.match(report, {
    image: table,
    classes,
    areas,
    size: { width, height },
    device: 'cpu',
    dtype: 'float32',
    outputs: { mask: out, overlay, logits },
  })
  for (const [name, ms] of Object.entries(report.timings)) {
    t.ok(typeof ms === 'number' && ms >= 0, `${name} ${ms}`)
  }
  const mask = readFileSync(out)
  t.ok(mask.equals(await expected.toPNG()))
  const { info } = await sharp(overlay).raw().toBuffer({ resolveWithObject: true })
  t.equal(info.width, width)
  const header = readFileSync(logits).subarray(
    8,
    8 + Number(readFileSync(logits).readBigUInt64LE()),
  )
  t.match(JSON.parse(header.toString()), {
    logits: { dtype: 'F32', shape: [classes.length, height, width] },
  })
})

t.test('segment: options reach the engine', async t => {
  const areas = async (...args: string[]) => {
    const classes = args.includes('--classes-file') ? [] : ['--classes', CLASSES]
    const { out, err } = await declip(['segment', table, ...classes, '--json', ...QUICK, ...args])
    t.equal(err, '', args.join(' '))
    return JSON.parse(out).areas as number[]
  }
  const plain = await areas()
  t.notSame(await areas('--short-side', '128'), plain)
  t.notSame(await areas('--background', 'none', '--prob-threshold', '0.9'), plain)
  t.same(await areas('--threads', '1'), plain)
  const file = join(t.testdir({ 'classes.txt': CLASSES.split('; ').join('\n') }), 'classes.txt')
  t.same(await areas('--classes-file', file), plain)
})

t.test('segment: pictures that cannot be used do not end the others', async t => {
  const dir = t.testdir({ in: { 'b.png': 'broken', 'd.bmp': 'BM' }, out: {} })
  const pixel = { width: 1, height: 1, channels: 3 as const, background: '#123' }
  await sharp({ create: pixel }).png().toFile(join(dir, 'in/a.png'))
  const inputs = ['cost $$5.png', 'z.png'].map(name => join(dir, 'in', name))
  for (const input of inputs) copyFileSync(table, input)
  const given = [join(dir, 'in'), join(dir, 'none.png'), 'https://example.org/x.png']
  const own = ['--templates', 'none', '--short-side', 'none', '--window', '0']
  const args = ['--classes', CLASSES, '--out', join(dir, 'out'), '--json', ...own]
  const { code, out, err } = await declip(['segment', ...given, ...args])
  t.equal(code, 1)
  const reports = reportsOf(out)
  t.strictSame(
    reports.map(({ image, error }) => [image, error?.code]),
    [
      [given[1], 'ERR_DECLIP_IO'],
      [given[2], 'ERR_DECLIP_INVALID_ARG'],
      [join(dir, 'in/a.png'), 'ERR_DECLIP_INVALID_ARG'],
      [join(dir, 'in/b.png'), 'ERR_DECLIP_IMAGE'],
      ...inputs.map(input => [input, undefined]),
    ],
  )
  t.strictSame(readdirSync(join(dir, 'out')), ['cost $$5.png', 'z.png'])
  const lines = err.trim().split('\n')
  t.match(lines, [
    /warning: .*in: 1 file \(1 \.bmp\) passed over/,
    /ERR_DECLIP_IO: Cannot read .*none\.png/,
    /ERR_DECLIP_INVALID_ARG: .*nothing is downloaded here/,
    /in\/a\.png: The picture would be/,
    /Cannot decode .*in\/b\.png: it is text/,
    /^declip: 6 pictures: 2 done, 4 failed in /,
    /ERR_DECLIP_IMAGE: 4 of 6 pictures were left out/,
  ])
  t.equal(lines.length, 7, err)
})

t.test('classify goes on after a picture that cannot be used', async t => {
  const broken = join(t.testdir({ 'broken.png': 'broken' }), 'broken.png')
  const { code, out, err } = await declip([
    'classify',
    broken,
    table,
    'no.png',
    '--classes',
    CLASSES,
  ])
  t.equal(code, 1)
  t.match(out, /^.*table\.png\n/)
  t.match(err, /no\.png.*\n.*broken\.png.*\n.*1 done, 2 failed.*\n.*2 of 3 pictures were left out/)
})

t.test('a picture on standard input', async t => {
  const dir = t.testdir()
  const pipe = (args: string[], input: Buffer) => {
    const child = start(args)
    child.stdin?.end(input)
    return finish(child)
  }
  const args = ['--classes', CLASSES, '--out', `${dir}/`, '--json', ...QUICK]
  const { code, out, err } = await pipe(['segment', '-', ...args], readFileSync(table))
  t.equal(code, 0, err)
  const { areas } = JSON.parse((await declip(['segment', table, ...args])).out)
  t.match(JSON.parse(out), { image: 'stdin', areas })
  t.strictSame(readdirSync(dir), ['stdin.png', 'table.png'])
  const empty = await pipe(['segment', '-', '--classes', CLASSES], Buffer.alloc(0))
  failed(t, empty, 1, /ERR_DECLIP_IMAGE: .*it is empty/)
  const encoded = await pipe(['encode', '-', '--json'], readFileSync(table))
  t.equal(encoded.code, 0, encoded.err)
})

t.test('segment: several pictures, one of them broken', async t => {
  const dir = t.testdir({ in: { 'b.png': 'broken' } })
  copyFileSync(table, join(dir, 'in/a.png'))
  copyFileSync(join(SCENES, 'desk.png'), join(dir, 'in/c.png'))
  const args = ['--classes', 'background; pizza; laptop', '--out', join(dir, 'out'), '--json']
  const { code, out, err } = await declip(['segment', join(dir, 'in'), ...args, ...QUICK])
  t.equal(code, 1)
  t.strictSame(
    reportsOf(out).map(({ image, outputs }) => [image, outputs?.mask]),
    [
      [join(dir, 'in/a.png'), join(dir, 'out/a.png')],
      [join(dir, 'in/b.png'), undefined],
      [join(dir, 'in/c.png'), join(dir, 'out/c.png')],
    ],
  )
  t.strictSame(readdirSync(join(dir, 'out')), ['a.png', 'c.png'])
  const lines = err.trim().split('\n')
  t.equal(lines.length, 3, err)
  t.match(lines[0], /ERR_DECLIP_IMAGE: .*b\.png/)
  t.match(lines[1], /^declip: 3 pictures: 2 done, 1 failed in .* pictures\/s\)$/)
  t.match(lines[2], /ERR_DECLIP_IMAGE: 1 of 3 pictures were left out/)
})

t.test('a tree of pictures: outputs keep its folders, a list and parts give the same', async t => {
  const dir = t.testdir({ in: { sub: { deep: {} }, masks: {}, 'notes.HEIC': '' } })
  const places = ['a.png', 'sub/a.png', 'sub/deep/b.png']
  for (const place of places) copyFileSync(table, join(dir, 'in', place))
  const own = ['--classes', CLASSES, ...QUICK]
  const masks = (folder: string) => readdirSync(join(dir, folder), { recursive: true }).sort()
  const into = (folder: string) => ['--recursive', '--out', join(dir, folder), ...own]

  const whole = await declip(['segment', join(dir, 'in'), ...into('in/masks')])
  t.equal(whole.code, 0, whole.err)
  t.match(whole.err, /in: 1 file \(1 \.heic\) passed over; .*\ndeclip: 3 pictures: 3 done/)
  const expected = masks('in/masks')
  t.strictSame(expected, ['sub', 'sub/deep', ...places].map(path => join(path)).sort())

  // The outputs of the first run are below the folder too, and are no pictures of the second.
  const again = await declip(['segment', join(dir, 'in'), ...into('in/masks'), '--skip-existing'])
  t.strictSame([again.code, again.out], [0, ''])
  t.match(again.err, /3 pictures: 0 done, 3 skipped/)

  const child = start(['segment', '--from', '-', ...into('listed')], join(dir, 'in'))
  child.stdin?.end(places.join('\0'))
  t.equal((await finish(child)).code, 0)
  t.strictSame(masks('listed'), expected)

  let done = 0
  for (const part of ['1/2', '2/2']) {
    const pattern = join(dir, 'in/{a.png,sub/**/*.png}')
    const { code, out } = await declip([
      'segment',
      pattern,
      ...into('parts'),
      '--shard',
      part,
      '--json',
    ])
    t.equal(code, 0)
    done += reportsOf(out).length
  }
  t.equal(done, 3)
  t.strictSame(masks('parts'), expected)

  const flat = await declip(['segment', join(dir, 'in'), join(dir, 'in/sub'), '--out', dir, ...own])
  t.equal(flat.code, 2, flat.err)
  t.match(flat.err, /which is the --out of .*--recursive keeps folders apart/)
})

t.test('segment: text for people', async t => {
  const { code, out, err } = await declip(['segment', table, '--classes', CLASSES, ...QUICK])
  t.equal(code, 0, err)
  const [title = '', ...rows] = out.trimEnd().split('\n')
  t.match(title, /table\.png {2}384 x 288, \d+ ms$/)
  const percents = rows.map(row => Number(/^ {2}[a-z]+ +([\d.]+) %/.exec(row)?.[1]))
  t.ok(percents.length > 0 && percents.every((p, i) => p <= (percents[i - 1] ?? 100)), out)
})

/** Enough work to be interrupted in the middle. */
function manyPictures(dir: string): string[] {
  const images: string[] = []
  for (const name of ['table', 'park', 'desk', 'music', 'street', 'night']) {
    for (const copy of [1, 2, 3, 4, 5, 6]) {
      const image = join(dir, `${name}-${copy}.png`)
      copyFileSync(join(SCENES, `${name}.png`), image)
      images.push(image)
    }
  }
  return images
}

t.test('Ctrl-C ends the run and leaves whole files only', async t => {
  const dir = t.testdir({ in: {} })
  const images = manyPictures(join(dir, 'in'))
  const out = join(dir, 'out')
  const args = ['--classes', CLASSES, ...QUICK, '--out', out, '--json']
  const child = start(['segment', ...images, ...args])
  const result = finish(child)
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  child.kill('SIGINT')
  const { code, err, out: printed } = await result
  t.equal(code, 130, err)
  t.match(
    err,
    /^declip: 36 pictures: \d+ done, \d+ not reached in .*; --skip-existing goes on with the rest\ndeclip: ERR_DECLIP_ABORTED: .*\n$/,
  )
  const files = readdirSync(out)
  t.ok(files.length > 0 && files.length < images.length, `${files.length} files`)
  for (const file of files) {
    t.match(file, /^[a-z]+-\d\.png$/)
    t.ok(await sharp(join(out, file)).stats(), file)
  }
  const first = reportsOf(printed).map(({ image }) => image)
  t.strictSame(first.map(image => basename(image)).sort(), files, 'each was reported')

  const rest = await declip(['segment', ...images, ...args, '--skip-existing'])
  t.equal(rest.code, 0, rest.err)
  const second = reportsOf(rest.out).map(({ image }) => image)
  t.strictSame([...first, ...second].sort(), [...images].sort(), 'the rest and nothing else')
  t.equal(readdirSync(out).length, images.length)
})

t.test('a reader that goes away ends the run quietly', async t => {
  const dir = t.testdir({ in: {} })
  const images = manyPictures(join(dir, 'in'))
  const args = ['--classes', CLASSES, '--templates', 'none', '--json']
  const child = start(['segment', ...images, ...args])
  child.stdout?.once('data', () => child.stdout?.destroy())
  const { code, err } = await finish(child)
  t.strictSame({ code, err }, { code: 141, err: '' })
})

t.test('encode', async t => {
  const text = await declip(['encode', '--text', 'a pizza', 'a cat', '--json'])
  t.equal(text.code, 0, text.err)
  const { shape, dtype, data } = JSON.parse(text.out) as {
    shape: [number, number]
    dtype: string
    data: number[]
  }
  t.strictSame([shape.length, shape[0], dtype, data.length], [2, 2, 'float32', 2 * shape[1]])
  for (const row of [data.slice(0, shape[1]), data.slice(shape[1])]) {
    t.ok(Math.abs(Math.hypot(...row) - 1) < 1e-5, 'length 1')
  }
  const out = join(t.testdir(), 'f.safetensors')
  const dense = await declip(['encode', table, '--dense', '--mode', 'csa', '--out', out])
  t.equal(dense.code, 0, dense.err)
  t.match(dense.out, new RegExp(`features \\[1, ${shape[1]}, \\d+, \\d+\\] written to`))
  t.ok(existsSync(out))

  const two = [table, join(SCENES, 'music.png')]
  const folder = join(t.testdir(), 'features')
  const several = await declip(['encode', ...two, '--out', folder, '--json'])
  t.equal(several.code, 0, several.err)
  t.match(
    reportsOf(several.out),
    two.map(image => ({ image, shape: [1, shape[1]] })),
  )
  t.strictSame(readdirSync(folder), ['music.safetensors', 'table.safetensors'])
  const again = await declip(['encode', ...two, '--out', folder, '--skip-existing'])
  t.match(again, { code: 0, out: '', err: /2 pictures: 0 done, 2 skipped/ })
})

t.test('classify', async t => {
  const args = ['--classes', 'pizza; anchor; guitar; snowman', '--top', '3', '--json']
  const { code, out, err } = await declip(['classify', table, join(SCENES, 'music.png'), ...args])
  t.equal(code, 0, err)
  const reports = out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  t.strictSame(
    reports.map(({ classes }) => classes[0].name),
    ['pizza', 'guitar'],
  )
  for (const { classes } of reports) {
    const probabilities = classes.map((guess: { probability: number }) => guess.probability)
    t.equal(probabilities.length, 3)
    t.ok(probabilities.reduce((a: number, b: number) => a + b) <= 1 + 1e-9)
  }
})

t.test('info', async t => {
  const { out, err } = await declip(['info', 'words-tiny', '--json'])
  t.equal(err, '')
  const info = JSON.parse(out)
  t.match(info, { family: 'clip', vision: { layers: Number }, text: { vocab: 49408 } })
  t.equal(info.words.length, 90)
  t.match((await declip(['info', 'words-tiny'])).out, /^ {2}90 words +dog, cat, lion/m)
})

t.test('doctor', async t => {
  const { code, out, err } = await declip(['doctor', '--json'])
  t.equal(code, 0, err)
  t.ok(JSON.parse(out))
})
