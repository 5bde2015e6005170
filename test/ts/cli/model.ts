import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { finish, type Result } from '../../support/child.js'
import { serveHub } from '../../support/hub.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const PARK = join(packageRoot, 'models/scenes/park.png')
const ID = 'someone/words'
const WEIGHTS = readFileSync(join(packageRoot, 'models/words-tiny/model.safetensors'))
const QUICK = ['--classes', 'tree; dog', '--templates', 'none', '--short-side', '96']

/** The command of a user whose settings and cache are a test's own. */
function newUser(t: Test, env: NodeJS.ProcessEnv = {}) {
  const home = t.testdir()
  const own = {
    ...process.env,
    DECLIP_MODEL: '',
    XDG_CONFIG_HOME: join(home, 'config'),
    HF_HUB_CACHE: join(home, 'cache'),
    HF_HUB_OFFLINE: '',
    HF_TOKEN: '',
    ...env,
  }
  const declip = (args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Result> =>
    finish(spawn(process.execPath, [MAIN, ...args], { cwd: home, env: { ...own, ...more } }))
  return { home, declip }
}

t.test('the bundled model is used with one line of warning', async t => {
  const { declip } = newUser(t)
  for (const args of [
    ['segment', PARK, ...QUICK],
    ['classify', PARK, '--classes', 'tree; dog'],
    ['encode', '--text', 'a dog'],
  ]) {
    const { code, out, err } = await declip([...args, '--json'])
    t.equal(code, 0, err)
    t.match(err, /^declip: warning: No model was named, .*90 things.*declip model use .*\n$/)
    t.equal(err.split('\n').length, 2, 'one line')
    t.equal(JSON.parse(out).model, 'words-tiny')
  }
  const named = await declip(['segment', PARK, ...QUICK, '--model', 'words-tiny', '--json'])
  t.strictSame([named.code, named.err], [0, ''])
  t.equal(JSON.parse(named.out).model, 'words-tiny')
  const { err } = await declip(['segment', PARK, ...QUICK], { DECLIP_MODEL: 'words-tiny' })
  t.equal(err, '')
})

t.test('a model is fetched, used by default, and removed', async t => {
  const url = await serveHub(
    t,
    ID,
    { 'open_clip_model.safetensors': WEIGHTS },
    {
      cardData: { license: 'mit' },
    },
  )
  const { home, declip } = newUser(t, { HF_ENDPOINT: url })
  const fetched = await declip(['download', ID])
  t.equal(fetched.code, 0, fetched.err)
  const size = `${(WEIGHTS.length / 1e6).toFixed(1)} MB`
  t.match(fetched.err, new RegExp(`^${ID}\\n  licence  mit\\n  size     ${size} in 1 file\\n`))
  t.match(fetched.out, new RegExp(`^${ID} is ready: .*model\\.safetensors\\n.*model use ${ID}`))
  const again = await declip(['download', ID, '--json'])
  t.equal(again.err, '', 'nothing to ask')
  t.match(JSON.parse(again.out), { id: ID, license: 'mit', missing: 0, bytes: WEIGHTS.length })

  const used = await declip(['model', 'use', ID])
  t.strictSame([used.code, used.err], [0, ''])
  t.match(used.out, /^The default model is someone\/words \(kept in .*config\.json\)/)
  const segmented = await declip(['segment', PARK, ...QUICK, '--json'])
  t.strictSame([segmented.code, segmented.err], [0, ''])
  t.equal(JSON.parse(segmented.out).model, ID)

  const { out } = await declip(['model'])
  t.match(out, /^default {2}someone\/words {2}\(by .*config\.json\)\n\n/)
  t.match(out, /^ {4}words-tiny +\d+\.\d MB {2}bundled: 90 things/m)
  t.match(out, new RegExp(`^  \\* ${ID} +${size}  .*models--someone--words$`, 'm'))
  const listed = JSON.parse((await declip(['model', 'list', '--json'])).out)
  t.match(listed, {
    default: { source: ID, from: 'setting' },
    models: [{ id: 'words-tiny' }, { id: ID, bytes: Number, usable: true }],
  })

  const removed = await declip(['model', 'remove', ID])
  t.equal(removed.code, 0, removed.err)
  t.match(removed.out, /is removed: .* less\.\nIt is still the default model/)
  t.notOk(existsSync(join(home, 'cache/models--someone--words')))
  const twice = await declip(['model', 'remove', ID])
  t.equal(twice.code, 1)
  t.match(twice.err, /ERR_DECLIP_IO: someone\/words is not in the cache/)
  t.equal((await declip(['model', 'use', 'words-tiny'])).code, 0)
  t.match((await declip(['model'])).out, /^default {2}words-tiny/)
})

t.test('of a gated model licence, size and the way to it are shown first', async t => {
  const url = await serveHub(
    t,
    ID,
    { 'open_clip_model.safetensors': WEIGHTS },
    {
      cardData: {
        license: 'other',
        license_name: 'own',
        license_link: 'https://example.com/terms',
      },
      gated: 'manual',
      refuses: [401, 'Access to model is restricted.'],
    },
  )
  const { declip } = newUser(t, { HF_ENDPOINT: url })
  const { code, err } = await declip(['download', ID])
  t.equal(code, 1)
  t.match(err, /^someone\/words\n {2}licence {2}own \(https:\/\/example\.com\/terms\)\n/)
  t.match(err, /\n {2}access +on request, asked for on the model's page; HF_TOKEN says who/)
  t.match(err, /ERR_DECLIP_NETWORK: someone\/words is gated.*set HF_TOKEN to a token.*\n$/)
})

t.test('a file becomes the default by its absolute path', async t => {
  const { declip } = newUser(t)
  const { code, out, err } = await declip([
    'model',
    'use',
    PARK.replace('scenes/park.png', 'words-tiny'),
  ])
  t.equal(code, 0, err)
  t.match(out, /models\/words-tiny \(kept/)
  const named = await declip(['model', 'use', 'words-tiny'], { DECLIP_MODEL: 'other/one' })
  t.match(named.out, /DECLIP_MODEL=other\/one stands before it/)
})

t.test('what cannot be', async t => {
  const { declip } = newUser(t, { HF_HUB_OFFLINE: '1' })
  const cases: [args: string[], code: number, line: RegExp][] = [
    [['download', 'words-tiny'], 2, /INVALID_ARG: download takes a Hugging Face id/],
    [['download', 'ViT-B/16'], 2, /INVALID_ARG: .* 'openai\/clip-vit-base-patch16'/],
    [['download', ID], 1, /NETWORK: someone\/words is not in the cache/],
    [['model', 'use', 'nothing.safetensors'], 1, /IO: There is no checkpoint/],
    [['model', 'use', PARK], 1, /WEIGHTS: /],
    [['model', 'remove', 'words-tiny'], 2, /is part of the package and stays/],
    [['model', 'remove', '../../x'], 1, /is not in the cache/],
    [['model', 'choose'], 2, /INVALID_ARG: /],
    [['segment', PARK, ...QUICK, '--model', 'ViT-B/16'], 2, /openai\/clip-vit-base-patch16/],
  ]
  for (const [args, expected, line] of cases) {
    const { code, out, err } = await declip(args)
    t.equal(code, expected, `${args.join(' ')}: ${err}`)
    t.equal(out, '')
    t.match(err, line)
    t.equal(err.split('\n').length, 2, 'one line')
  }
})
