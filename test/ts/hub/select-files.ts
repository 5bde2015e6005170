import { readFileSync } from 'node:fs'
import t from 'tap'
import type { DeclipError } from '../../../ts/errors.js'
import type { DownloadPlan } from '../../../ts/hub/download.js'
import { download } from '../../../ts/hub/download.js'
import { resolveSource } from '../../../ts/hub/resolve-source.js'
import { isTransformersConfig, needsConfig, selectFiles } from '../../../ts/hub/select-files.js'
import { serveHub } from '../../support/hub.js'

interface Folder {
  id: string
  about?: string
  files: Record<string, number>
  config?: object
  shards?: string[]
  weights: string | null
  needs: string[]
}

const { folders } = JSON.parse(readFileSync('test/fixtures/hub-folders.json', 'utf8')) as {
  folders: Folder[]
}

for (const name of Object.keys(process.env)) {
  if (/^(HF_|HUGGING_?FACE_|TRANSFORMERS_OFFLINE|(https?|no)_proxy$)/i.test(name))
    delete process.env[name]
}

/** Every file of a repository, its name for content where nothing reads it. */
function contents({ files, config, shards = [] }: Folder): Record<string, Buffer> {
  const map = { weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])) }
  const text = (name: string) => {
    if (name === 'config.json') return JSON.stringify(config).padEnd(files[name] ?? 0)
    return name.endsWith('.index.json') ? JSON.stringify(map) : name
  }
  return Object.fromEntries(Object.keys(files).map(name => [name, Buffer.from(text(name))]))
}

for (const folder of folders) {
  const { id, about, files, weights, needs } = folder
  t.test(about ? `${id}: ${about}` : id, async t => {
    const asked: string[] = []
    process.env['HF_HOME'] = t.testdir()
    process.env['HF_ENDPOINT'] = await serveHub(t, id, contents(folder), {
      sizes: files,
      onFile: name => asked.push(name),
    })
    if (weights === null) {
      const error = (await download({ id, revision: 'main' }).catch(e => e)) as DeclipError
      t.equal(error.code, 'ERR_DECLIP_WEIGHTS')
      t.match(
        error.message,
        /several weights files\. Name one as|no weights that this package reads/,
      )
      return t.strictSame(asked, [], 'nothing is fetched')
    }
    let plan: DownloadPlan | undefined
    const onPlan = (found: DownloadPlan) => {
      plan = found
      return false
    }
    await t.rejects(download({ id, revision: 'main' }, { onPlan }), { code: 'ERR_DECLIP_ABORTED' })
    t.strictSame(
      [plan?.files, plan?.bytes],
      [needs.length, needs.reduce((sum, name) => sum + (files[name] ?? 0), 0)],
      'the plan counts what is needed',
    )
    t.ok(
      asked.every(name => name === 'config.json'),
      'nothing large before the plan is agreed to',
    )
    asked.length = 0
    process.env['HF_HOME'] = t.testdir()
    process.env['HF_ENDPOINT'] = await serveHub(t, id, contents(folder), {
      onFile: name => asked.push(name),
    })
    const { path } = await resolveSource(id)
    t.strictSame(asked.toSorted(), needs.toSorted(), 'exactly what is needed is fetched, once')
    process.env['HF_HUB_OFFLINE'] = '1'
    t.teardown(() => delete process.env['HF_HUB_OFFLINE'])
    t.equal((await resolveSource(id)).path, path, 'the cache gives the same')
  })
}

t.test('a file that is named is taken, whatever else is there', t => {
  const openClip = ['open_clip_config.json', 'open_clip_model.safetensors', 'x.pt']
  t.strictSame(selectFiles(openClip, 'x.pt'), {
    files: ['open_clip_config.json', 'x.pt'],
    main: 'x.pt',
  })
  t.notOk(needsConfig(['config.json', 'model.safetensors', ...openClip], 'x.pt'))
  t.ok(needsConfig(['config.json', 'model.safetensors', ...openClip]))
  const code = 'ERR_DECLIP_WEIGHTS'
  t.throws(() => selectFiles(['a.pt', 'b.pt']), { code, message: /several.*: a\.pt, b\.pt\./ })
  t.throws(() => selectFiles(['a.pt'], 'c.pt'), { code, message: /no file 'c\.pt'.*: a\.pt\./ })
  t.throws(() => selectFiles(['tf_model.h5']), {
    code,
    message:
      /no weights that this package reads but tf_model\.h5, which is for other programs\. Files/,
  })
  t.end()
})

t.test("a config.json is transformers' by its model_type", t => {
  t.ok(isTransformersConfig('{"model_type": "clip"}'))
  for (const text of ['{"architecture": "vit"}', '', '<html>', '[]', '3']) {
    t.notOk(isTransformersConfig(text), text)
  }
  t.end()
})
