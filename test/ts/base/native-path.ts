import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nativePath } from '../../../ts/base/native-path.js'

t.test('paths outside archives stay as they are', t => {
  const folder = t.testdir({
    'model.asar': 'a file',
    'plain.asar': { 'model.pt': '' },
    'x.asarish': { y: '' },
  })
  for (const path of [
    'model.safetensors',
    '/nowhere/app.asar',
    '/nowhere/app.asar/model.pt',
    join(folder, 'model.asar'),
    join(folder, 'plain.asar/model.pt'),
    join(folder, 'x.asarish/y'),
  ]) {
    t.equal(nativePath(path), path)
  }
  t.notOk('noAsar' in process)
  t.end()
})

t.test('what lies beside the archive is taken from there', t => {
  const folder = t.testdir({ 'app.asar': 'an archive' })
  const unpacked = join(folder, 'app.asar.unpacked/models')
  mkdirSync(unpacked, { recursive: true })
  writeFileSync(join(unpacked, 'a b.pt'), '')
  t.equal(nativePath(join(folder, 'app.asar/models/a b.pt')), join(unpacked, 'a b.pt'))
  t.equal(nativePath(join(folder, 'app.asar/models')), unpacked, 'a folder too')
  const other = join(folder, 'app.asar/models/none.pt')
  t.equal(nativePath(other), other, 'what is nowhere is for others to say')
  t.end()
})

t.test('an archive inside a folder that is called like one', t => {
  const folder = t.testdir({ 'a.asar': { 'b.asar': 'an archive', 'b.asar.unpacked': { x: '' } } })
  t.equal(nativePath(join(folder, 'a.asar/b.asar/x')), join(folder, 'a.asar/b.asar.unpacked/x'))
  t.end()
})
