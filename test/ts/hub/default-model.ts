import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import {
  BUNDLED_MODEL_WARNING,
  defaultModel,
  keepDefaultModel,
  settingsFile,
  sourceOrDefault,
} from '../../../ts/hub/default-model.js'

/** A user without settings and without DECLIP_MODEL. */
function newUser(t: Test): string {
  const saved = { ...process.env }
  t.teardown(() => {
    process.env = saved
  })
  delete process.env['DECLIP_MODEL']
  process.env['XDG_CONFIG_HOME'] = t.testdir()
  return settingsFile()
}

t.test('the variable, else the setting, else the bundled model', async t => {
  const path = newUser(t)
  t.strictSame(await defaultModel(), { source: 'words-tiny', from: 'bundled' })
  await keepDefaultModel('someone/clip')
  t.strictSame(await defaultModel(), { source: 'someone/clip', from: 'setting' })
  process.env['DECLIP_MODEL'] = 'other/clip'
  t.strictSame(await defaultModel(), { source: 'other/clip', from: 'environment' })
  process.env['DECLIP_MODEL'] = ''
  t.strictSame(await defaultModel(), { source: 'someone/clip', from: 'setting' })
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), { model: 'someone/clip' })
})

t.test('other settings are kept, the file is replaced as a whole', async t => {
  const path = newUser(t)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '{"later": 1, "model": "a/b"}')
  const { ino } = statSync(path)
  await keepDefaultModel('c/d')
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), { later: 1, model: 'c/d' })
  t.not(statSync(path).ino, ino)
})

t.test('settings that are damaged are named, with what writes them anew', async t => {
  const path = newUser(t)
  mkdirSync(dirname(path), { recursive: true })
  for (const text of ['', '{', '[1', '7', 'null', '{"model": 7}', '{"model": ""}']) {
    writeFileSync(path, text)
    await t.rejects(
      defaultModel(),
      { code: 'ERR_DECLIP_INVALID_ARG', message: /config\.json are damaged: .* writes them anew/ },
      text,
    )
  }
  await keepDefaultModel('a/b')
  t.match(await defaultModel(), { source: 'a/b' })
})

t.test('settings that cannot be written', async t => {
  const path = newUser(t)
  mkdirSync(dirname(dirname(path)), { recursive: true })
  writeFileSync(dirname(path), 'a file where the folder would be')
  t.match(await defaultModel(), { from: 'bundled' })
  await t.rejects(keepDefaultModel('a/b'), { code: 'ERR_DECLIP_IO' })
})

t.test('a default that is gone is named with what names it', async t => {
  newUser(t)
  await keepDefaultModel('/nowhere/clip.pt')
  await t.rejects(sourceOrDefault(undefined), {
    code: 'ERR_DECLIP_IO',
    message: /^The default model '\/nowhere\/clip\.pt', which .*config\.json names, is not there/,
  })
  process.env['DECLIP_MODEL'] = 'gone.safetensors'
  await t.rejects(sourceOrDefault(undefined), { message: /which DECLIP_MODEL names, is not there/ })
  process.env['DECLIP_MODEL'] = 'someone/clip'
  t.equal(await sourceOrDefault(undefined), 'someone/clip', 'is fetched when it is loaded')
})

t.test('where settings are kept', async t => {
  newUser(t)
  const { platform } = process
  t.teardown(() => Object.defineProperty(process, 'platform', { value: platform }))
  const on = (value: string) => {
    Object.defineProperty(process, 'platform', { value })
    return settingsFile()
  }
  process.env['XDG_CONFIG_HOME'] = ''
  process.env['APPDATA'] = '/roaming'
  t.equal(on('linux'), join(homedir(), '.config/declip/config.json'))
  t.equal(on('darwin'), join(homedir(), 'Library/Application Support/declip/config.json'))
  t.equal(on('win32'), join('/roaming', 'declip/config.json'))
})

t.test('the bundled model is warned about once, unless it was named', async t => {
  newUser(t)
  const warned: (Error & { code?: string })[] = []
  const listen = (warning: Error) => warned.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  t.equal(await sourceOrDefault('words-tiny'), 'words-tiny')
  process.env['DECLIP_MODEL'] = 'words-tiny'
  t.equal(await sourceOrDefault(undefined), 'words-tiny')
  await new Promise(setImmediate)
  t.strictSame(warned, [])
  process.env['DECLIP_MODEL'] = ''
  for (let i = 0; i < 3; i++) t.equal(await sourceOrDefault(undefined), 'words-tiny')
  await new Promise(setImmediate)
  t.equal(warned.length, 1)
  t.match(warned[0], { name: 'DeclipWarning', code: BUNDLED_MODEL_WARNING })
  const message = warned[0]?.message
  t.match(message, /90 things in drawn art/)
  t.match(message, /declip info words-tiny/)
  t.match(message, /declip model use openai\/clip-vit-base-patch16/)
  t.match(message, /DECLIP_MODEL=words-tiny/)
})
