import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { finish, type Result } from '../../support/child.js'

const SMALL = ['--short-side', '64', '--window', '0']
const dir = t.testdir({ photos: { 'broken.png': 'x' }, masks: {} })
for (const name of ['park', 'table', 'street']) {
  const from = join(packageRoot, 'models/scenes', name)
  const size = [112, 84] as const
  await sharp(`${from}.png`)
    .resize(...size)
    .toFile(join(dir, 'photos', `${name}.png`))
  await sharp(`${from}-labels.png`)
    .resize(...size, { kernel: 'nearest' })
    .toColourspace('b-w')
    .toFile(join(dir, 'masks', `${name}.png`))
}
const [photos, masks, out] = [join(dir, 'photos'), join(dir, 'masks'), join(dir, 'photos.bank')]

const declip = (...args: string[]): Promise<Result> =>
  finish(spawn(process.execPath, [join(packageRoot, 'dist/cli/main.js'), ...args]))

t.test('a bank is built, described and asked', async t => {
  const build = ['bank', 'build', photos, '--masks', masks, '--out', out, ...SMALL]
  const stopped = await declip(...build)
  t.equal(stopped.code, 1)
  t.match(stopped.err, /ERR_DECLIP_IMAGE.*broken\.png/)
  const first = await declip(...build, '--keep-going', '--json')
  t.equal(first.code, 0, first.err)
  t.match(first.err, /broken\.png/)
  const report = JSON.parse(first.out)
  t.match(report, { bank: out, pictures: 3, unfinished: 0, failed: ['broken'] })
  t.ok(report.regions >= 12)

  const info = await declip('bank', 'info', out, '--check')
  t.equal(info.code, 0, info.err)
  t.match(info.out, /pictures +3\n/)
  t.match(info.out, new RegExp(`regions +${report.regions}\n`))
  t.match(info.out, /keys +\d+ numbers a region, by .*words-tiny.*\n *values +\d+ numbers/)
  const { failed: _, ...described } = report
  const json = await declip('bank', 'info', out, '--json')
  t.same(JSON.parse(json.out), described)

  const areas = async (...flags: string[]) => {
    const args = ['--classes', 'background; car; bus; dog', '--masks', masks, ...SMALL, '--json']
    const { code, out, err } = await declip(
      'segment',
      join(photos, 'street.png'),
      ...args,
      ...flags,
    )
    t.equal(code, 0, err)
    return JSON.parse(out).areas
  }
  const without = await areas('--refine', 'vote')
  t.same(await areas('--refine', 'vote', '--bank', out, '--bank-share', '0'), without)
  const one = ['--bank-share', '1', '--bank-neighbours', '1']
  t.notSame(await areas('--refine', 'vote', '--bank', out, ...one), without)
})

t.test('what cannot be is said', async t => {
  const cases: [args: string[], code: number, line: RegExp][] = [
    [['build', photos, '--masks', masks], 2, /--out/],
    [['build', photos, '--out', out], 2, /--masks/],
    [['build', photos, '--masks', masks, '--out', out, '--bank', out], 2, /--out names what/],
    [['info', join(dir, 'gone.bank')], 1, /ERR_DECLIP_IO.*gone\.bank/],
    [['info', join(dir, 'bad.bank')], 1, /ERR_DECLIP_WEIGHTS.*bad\.bank/],
  ]
  writeFileSync(join(dir, 'bad.bank'), 'not a bank')
  for (const [args, code, line] of cases) {
    const refused = await declip('bank', ...args)
    t.equal(refused.code, code, refused.err)
    t.match(refused.err, line)
  }
})
