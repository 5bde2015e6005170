/** Takes what the addon needs out of a LibTorch archive or a PyTorch wheel, and checks every byte. */
import { createHash, type Hash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import type { CallOptions } from '../base/call.js'

/** Libraries for Python, for TorchScript back ends and for PyTorch's own tests. */
const UNUSED = /^lib\/lib(torch_python|shm\w*|aoti_custom_ops|backend_with_compiler|\w+_test)\b/

/** Where a file of the archive belongs in a LibTorch folder, or null if it is not needed. */
function placeOf(name: string): string | null {
  const path = /^(?:lib)?torch\/((?:lib|include)\/.+)$/.exec(name)?.[1]
  if (path) return UNUSED.test(path) || name.endsWith('/') ? null : path
  const license = /^[^/]+\.dist-info\/(licenses\/.+[^/])$/.exec(name)?.[1]
  return license ?? null
}

/** @internal */
export async function unpackLibtorch(
  archive: string,
  target: string,
  { signal, onProgress }: CallOptions,
): Promise<void> {
  const zip = await openPromise(archive, { lazyEntries: true, autoClose: false })
  try {
    const wanted = new Map<string, Entry>()
    let record: Entry | undefined
    for await (const entry of zip.eachEntry()) {
      const place = placeOf(entry.fileName)
      if (place) wanted.set(place, entry)
      else if (entry.fileName.endsWith('.dist-info/RECORD')) record = entry
    }
    if (wanted.size === 0) throw new Error('the archive holds no LibTorch')
    const digests = record ? await readRecord(zip, record) : null
    const total = [...wanted.values()].reduce((sum, entry) => sum + entry.uncompressedSize, 0)
    let done = 0
    for (const [place, entry] of wanted) {
      const digest = digests?.get(entry.fileName)
      if (digests && !digest) throw new Error(`${entry.fileName} is not in the wheel's RECORD`)
      await extract(zip, entry, join(target, place), digest, signal)
      done += entry.uncompressedSize
      onProgress?.({ step: 'unpack', done, total })
    }
  } finally {
    zip.close()
  }
}

/** A wheel's own list: path, `sha256=` and the digest in URL-safe base64 (PEP 376, PEP 427). */
async function readRecord(zip: ZipFile, entry: Entry): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (const line of (await text(await zip.openReadStreamPromise(entry))).split(/\r?\n/)) {
    const [, path, digest] = /^"?([^"]+?)"?,sha256=([\w-]+),\d+$/.exec(line) ?? []
    if (path && digest) digests.set(path, digest)
  }
  return digests
}

async function extract(
  zip: ZipFile,
  entry: Entry,
  path: string,
  digest: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const hash: Hash = createHash('sha256')
  let crc = 0
  const check = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      if (digest) hash.update(chunk)
      else crc = crc32(chunk, crc)
      callback(null, chunk)
    },
  })
  const source = await zip.openReadStreamPromise(entry)
  await pipeline(source, check, createWriteStream(path), signal ? { signal } : {})
  const whole = digest ? hash.digest('base64url') === digest : crc === entry.crc32
  if (!whole) throw new Error(`${entry.fileName} in the archive is damaged`)
}
