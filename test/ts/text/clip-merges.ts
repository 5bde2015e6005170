import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { CLIP_MERGES_FILE, CLIP_SYMBOLS, clipMerges } from '../../../ts/text/clip-merges.js'
import { symbolNames } from '../../support/symbols.js'

t.test("CLIP's merges, line by line", async t => {
  const { pairs, joined } = clipMerges()
  const names = symbolNames(pairs)
  t.equal(names.length, CLIP_SYMBOLS)
  t.equal(new Set(names).size, CLIP_SYMBOLS)
  t.equal(names.indexOf('cat</w>'), 2368)
  t.strictSame([...joined], [...names.keys()].slice(512))
  const lines = Array.from(
    joined,
    (_, rank) => `${names[pairs[2 * rank] as number]} ${names[pairs[2 * rank + 1] as number]}\n`,
  )
  // Of the first 48,895 lines of OpenAI's bpe_simple_vocab_16e6.txt, the first of which is its version.
  t.equal(
    createHash('sha256')
      .update(`#version: 0.2\n${lines.join('')}`)
      .digest('hex'),
    '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a',
  )
})

t.test('bytes come by what their names print', async t => {
  const { bytes } = clipMerges()
  const byteOf = (character: string) => character.charCodeAt(0)
  t.equal(bytes[byteOf('!')], 0)
  t.equal(bytes[byteOf('a')], 64)
  t.equal(bytes[256 + byteOf('!')], 256)
  t.equal(bytes[0], 188)
  t.equal(new Set(bytes).size, 512)
})

t.test('a missing or damaged file of the package is named', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'damaged'))
  writeFileSync(join(folder, 'damaged', CLIP_MERGES_FILE), new Uint8Array(4 * 48894))
  for (const [name, reason] of [
    ['missing', 'ENOENT'],
    ['damaged', 'checksum'],
  ] as const) {
    const { clipMerges } = await t.mockImport<typeof import('../../../ts/text/clip-merges.js')>(
      '../../../ts/text/clip-merges.js',
      {
        '../../../ts/base/package-files.js': {
          packagePath: (...parts: string[]) => join(folder, name, basename(join(...parts))),
        },
      },
    )
    const error = t.throws(clipMerges, {
      code: 'ERR_DECLIP_IO',
      message: /clip-merges\.bin.*Install declip-native again/,
    }) as Error
    t.match(error.message, reason)
  }
})
