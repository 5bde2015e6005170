/**
 * Fixtures are tracked compressed (Brotli) where that pays; tests read them unpacked.
 *
 *   node scripts/make/fixtures.mjs          unpack what is new, beside the compressed file
 *   node scripts/make/fixtures.mjs --pack   compress again what was changed
 *
 * `name.br` is one file; `name.planes4.br` one whose numbers have four bytes each: the first of all
 * numbers, then the second of all and so on, which compresses better; `name.tar.br` a folder whose
 * files repeat each other, such as one checkpoint in several containers.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { Failure, filesUnder, root } from '../build/common.mjs'

/** Unpacks every fixture that is missing or older than its compressed form. */
export function unpackFixtures() {
  for (const packed of packedFiles()) {
    const target = targetOf(packed)
    const stamp = packed.endsWith('.tar.br') ? join(target, 'manifest.json') : target
    if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(packed).mtimeMs) continue
    const bytes = brotliDecompressSync(readFileSync(packed))
    if (packed.endsWith('.tar.br')) tar(['-xmf', '-', '-C', dirname(target)], bytes)
    else {
      writeFileSync(`${target}.part`, fromPlanes(bytes, planesOf(packed)))
      renameSync(`${target}.part`, target)
    }
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
      : toPlanes(readFileSync(target), planesOf(packed))
    const params = {
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    }
    writeFileSync(packed, brotliCompressSync(bytes, { params }))
  }
}

function packedFiles() {
  return filesUnder('test/fixtures')
    .filter(file => file.endsWith('.br'))
    .map(file => join(root, file))
}

function targetOf(packed) {
  return packed.replace(/(\.tar|\.planes\d)?\.br$/, '')
}

function planesOf(packed) {
  return Number(/\.planes(\d)\.br$/.exec(packed)?.[1] ?? 1)
}

/** Byte j of every number, for all j in turn; bytes that make up no whole number stay at the end. */
function toPlanes(bytes, size) {
  const count = Math.floor(bytes.length / size)
  const out = Buffer.from(bytes)
  for (let i = 0; i < count; i++)
    for (let j = 0; j < size; j++) out[j * count + i] = bytes[i * size + j]
  return out
}

function fromPlanes(bytes, size) {
  const count = Math.floor(bytes.length / size)
  const out = Buffer.from(bytes)
  for (let i = 0; i < count; i++)
    for (let j = 0; j < size; j++) out[i * size + j] = bytes[j * count + i]
  return out
}

function tar(args, input) {
  const { status, stdout, stderr, error } = spawnSync('tar', args, { input, maxBuffer: 2 ** 30 })
  if (status === 0) return stdout
  throw new Failure(`\`tar ${args.join(' ')}\` failed: ${error?.message ?? stderr}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { pack: { type: 'boolean' } } })
  if (values.pack) packFixtures()
  else unpackFixtures()
}
