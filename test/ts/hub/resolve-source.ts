import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { BUNDLED_MODEL, parseHubId, resolveSource } from '../../../ts/hub/resolve-source.js'

// Any request would fail at once: nothing may be asked for what is not a hub id.
process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9'

t.test('the bundled model, even where a folder has its name', async t => {
  const dir = t.testdir({ [BUNDLED_MODEL]: {} })
  const before = process.cwd()
  process.chdir(dir)
  t.teardown(() => process.chdir(before))
  const { path, name } = await resolveSource(BUNDLED_MODEL)
  t.equal(name, BUNDLED_MODEL)
  t.match(path, /words-tiny\/model\.safetensors$/)
  t.ok(existsSync(path))
  t.strictSame(await resolveSource(`./${BUNDLED_MODEL}`), { path: `./${BUNDLED_MODEL}` })
})

t.test('paths and file URLs', async t => {
  const dir = realpathSync(t.testdir({ 'owner 1': { 'model.pt': 'x' }, owner: { model: 'x' } }))
  const file = join(dir, 'owner 1', 'model.pt')
  t.strictSame(await resolveSource(file), { path: file })
  t.strictSame(await resolveSource(pathToFileURL(file)), { path: file })
  t.strictSame(await resolveSource(pathToFileURL(file).href), { path: file })
  const before = process.cwd()
  process.chdir(dir)
  t.teardown(() => process.chdir(before))
  t.strictSame(await resolveSource('owner/model'), { path: 'owner/model' }, 'before the hub')
})

t.test('a path that does not exist is no download', async t => {
  for (const path of [
    './absent',
    '../absent/x',
    '/absent',
    '~/absent',
    'runs/epoch_3.pt',
    'x.bin',
  ]) {
    await t.rejects(
      resolveSource(path),
      { code: 'ERR_DECLIP_IO', message: /^There is no checkpoint file or folder '.*'\. Check/ },
      path,
    )
  }
  await t.rejects(resolveSource(pathToFileURL('/absent')), { code: 'ERR_DECLIP_IO' })
})

t.test('anything else names the accepted forms', async t => {
  const bad = ['', 'clip', 'a/b/c', 'https://example.com/x', 'a\0b', 'file://host/%00', 7, null, {}]
  for (const source of bad) {
    await t.rejects(
      resolveSource(source as string),
      { code: 'ERR_DECLIP_INVALID_ARG' },
      String(source),
    )
  }
  await t.rejects(resolveSource('clip'), {
    message:
      /source must be the path or file URL .*'words-tiny'.*'owner\/name', 'owner\/name@revision'.*, received 'clip'/,
  })
})

t.test('an aborted signal', async t => {
  await t.rejects(resolveSource('words-tiny', { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('parseHubId', t => {
  const id = 'openai/clip-vit-base-patch16'
  t.strictSame(parseHubId(id), { id, revision: 'main' })
  t.strictSame(parseHubId(`${id}@v1.0`), { id, revision: 'v1.0' })
  t.strictSame(parseHubId('QuanSun/EVA-CLIP/EVA02_CLIP_B_psz16_s8B.pt'), {
    id: 'QuanSun/EVA-CLIP',
    revision: 'main',
    file: 'EVA02_CLIP_B_psz16_s8B.pt',
  })
  t.strictSame(parseHubId('a/b@c/d/e.pt'), { id: 'a/b', revision: 'c', file: 'd/e.pt' })
  for (const text of [
    'clip',
    'a/b/c',
    'a/b.pt',
    '../b',
    'a/..',
    'a/b--c',
    '-a/b',
    'a/b@',
    'a/b@../x',
    'a b/c',
    'a/b/',
    'C:/b',
  ]) {
    t.equal(parseHubId(text), null, text)
  }
  t.end()
})

t.test('names of the libraries clip and open_clip lead to their weights', async t => {
  const cases: [name: string, hint: RegExp][] = [
    ['ViT-B/16', /'openai\/clip-vit-base-patch16' on Hugging Face/],
    ['ViT-B-32-quickgelu', /'openai\/clip-vit-base-patch32'/],
    ['ViT-L/14@336px', /'openai\/clip-vit-large-patch14-336'/],
    ['RN50x16', /is a ResNet, whose weights are not read/],
    ['ViT-H-14', /of which there are several weights; name their repository/],
    ['EVA02-B-16', /several weights/],
    ['ViT-B-16-SigLIP2', /'timm\/ViT-B-16-SigLIP2' on Hugging Face/],
    ['ViT-SO400M-14-SigLIP-384', /'timm\/ViT-SO400M-14-SigLIP-384'/],
    ['PE-Core-L-14-336', /'timm\/PE-Core-L-14-336'/],
  ]
  for (const [name, message] of cases) {
    await t.rejects(resolveSource(name), { code: 'ERR_DECLIP_INVALID_ARG', message }, name)
  }
})
