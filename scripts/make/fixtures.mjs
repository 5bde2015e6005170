/**
 * Fixtures are tracked compressed (Brotli) where that pays; tests read them unpacked.
 *
 *   node scripts/make/fixtures.mjs          unpack what is new, beside the compressed file
 *   node scripts/make/fixtures.mjs --pack   compress again what was changed
 *
 * `name.br` and `name.planesN.br` are files (scripts/build/packed.mjs), `name.tar.br` a folder whose files
 * repeat each other, such as one checkpoint in several containers. The bundled model is unpacked as well.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { unpackBundledModel } from '../build/bundled-model.mjs'
import { endWith, Failure, filesUnder, root } from '../build/common.mjs'
import { pack, unpack, unpackedName, writeWhole } from '../build/packed.mjs'

/** Unpacks every fixture that is missing or older than its compressed form. */
export function unpackFixtures() {
  for (const packed of packedFiles()) {
    const target = targetOf(packed)
    const stamp = packed.endsWith('.tar.br') ? join(target, 'manifest.json') : target
    if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(packed).mtimeMs) continue
    const bytes = unpack(readFileSync(packed), packed)
    if (packed.endsWith('.tar.br')) tar(['-xmf', '-', '-C', dirname(target)], bytes)
    else writeWhole(target, bytes)
  }
}

function packFixtures() {
  for (const packed of packedFiles()) {
    const target = targetOf(packed)
    const bytes = packed.endsWith('.tar.br')
      ? tar([
          '--sort=name',
          '--mtime=@0',
          '--owner=0',
          '--group=0',
          '-cf',
          '-',
          '-C',
          dirname(target),
          basename(target),
        ])
      : readFileSync(target)
    writeWhole(packed, pack(bytes, packed))
  }
}

function packedFiles() {
  return filesUnder('test/fixtures')
    .filter(file => file.endsWith('.br'))
    .map(file => join(root, file))
}

function targetOf(packed) {
  return unpackedName(packed).replace(/\.tar$/, '')
}

function tar(args, input) {
  const { status, stdout, stderr, error } = spawnSync('tar', args, { input, maxBuffer: 2 ** 30 })
  if (status === 0) return stdout
  throw new Failure(`\`tar ${args.join(' ')}\` failed: ${error?.message ?? stderr}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { pack: { type: 'boolean' } } })
  try {
    unpackBundledModel()
    if (values.pack) packFixtures()
    else unpackFixtures()
  } catch (error) {
    endWith(error)
  }
}
