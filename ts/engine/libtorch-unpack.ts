/** Takes what is needed out of LibTorch's own archive, a PyTorch wheel or a platform package, and checks every byte. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import { type ReadEntry, Unpack } from 'tar'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import type { CallOptions } from '../base/call.js'
import { otherRelease, VERSION_HEADER } from './libtorch.js'
import { platformName } from './platform-packages.js'

/** @internal */
export interface UnpackOptions extends Pick<CallOptions, 'signal' | 'onProgress'> {
  /** Also what a build from source needs. Default false: what is needed to run. */
  headers?: boolean | undefined
  /** Told how many bytes will be written before any is; may reject. */
  onSize?: ((bytes: number) => Promise<void>) | undefined
}

/** Libraries for Python, for TorchScript back ends and for PyTorch's own tests. */
const UNUSED = /^lib\/lib(torch_python|shm\w*|aoti_custom_ops|backend_with_compiler|\w+_test)\b/

/** The libraries that a program loads, where it was found out which those are. */
const LOADED: Readonly<Record<string, RegExp>> = {
  'linux-x64': /^lib\/lib(c10|torch_cpu|gomp[\w-]*)\.so[\d.]*$/,
}

/** Whether a file of a LibTorch folder is needed. */
function isNeeded(path: string, headers: boolean): boolean {
  if (path.startsWith('include/')) return headers || path === VERSION_HEADER
  const loaded = headers ? undefined : LOADED[platformName()]
  return path.startsWith('lib/') && (loaded ? loaded.test(path) : !UNUSED.test(path))
}

/** Where a file of an archive or wheel belongs in a LibTorch folder, or null if it is not needed. */
function placeOf(name: string, headers: boolean): string | null {
  if (name.endsWith('/')) return null
  const path = /^(?:lib)?torch\/(.+)$/.exec(name)?.[1]
  if (path) return isNeeded(path, headers) ? path : null
  return /^[^/]+\.dist-info\/(licenses\/.+)$/.exec(name)?.[1] ?? null
}

/**
 * Unpacks an archive, of whichever kind its first bytes are, into a new folder.
 *
 * @throws Error that says what is wrong with the archive; the folder then is not whole
 * @internal
 */
export async function unpackLibtorch(
  archive: string,
  target: string,
  options: UnpackOptions,
): Promise<void> {
  const start = await firstBytes(archive)
  if (start.startsWith('504b')) await unpackZip(archive, target, options)
  else if (start.startsWith('1f8b')) await unpackPackage(archive, target, options)
  else throw new Error('it is neither a zip archive, a wheel, nor an npm package (.tgz)')
}

async function firstBytes(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.subarray(0, bytesRead).toString('hex')
  } finally {
    await file.close()
  }
}

async function unpackZip(
  archive: string,
  target: string,
  { headers = false, signal, onProgress, onSize }: UnpackOptions,
): Promise<void> {
  const zip = await openPromise(archive, { lazyEntries: true, autoClose: false })
  try {
    const wanted = new Map<string, Entry>()
    let [record, version]: [Entry | undefined, Entry | string | undefined] = [undefined, undefined]
    for await (const entry of zip.eachEntry()) {
      const { fileName } = entry
      const place = placeOf(fileName, headers)
      if (place) wanted.set(place, entry)
      else if (fileName.endsWith('.dist-info/RECORD')) record = entry
      else if (fileName === 'libtorch/build-version') version = entry
      version = /^torch-([^-/]+)\.dist-info\//.exec(fileName)?.[1] ?? version
    }
    if (wanted.size === 0) throw new Error('the archive holds no LibTorch')
    requireRelease(typeof version === 'object' ? await textOf(zip, version) : version)
    const digests = record ? readRecord(await textOf(zip, record)) : null
    const total = [...wanted.values()].reduce((sum, entry) => sum + entry.uncompressedSize, 0)
    await onSize?.(total)
    let done = 0
    const onBytes = (bytes: number) => {
      done += bytes
      onProgress?.({ step: 'unpack', done, total })
    }
    for (const [place, entry] of wanted) {
      const digest = digests?.get(entry.fileName)
      if (digests && !digest) throw new Error(`${entry.fileName} is not in the wheel's RECORD`)
      await extract(zip, entry, join(target, place), { digest, signal, onBytes })
    }
  } finally {
    zip.close()
  }
}

async function textOf(zip: ZipFile, entry: Entry): Promise<string> {
  return text(await zip.openReadStreamPromise(entry))
}

/** @throws Error where an archive says that it is another release */
function requireRelease(version: string | undefined): void {
  const misfit = otherRelease(version?.trim() ?? null)
  if (misfit) throw new Error(`it ${misfit}`)
}

/** A wheel's own list: path, `sha256=` and the digest in URL-safe base64 (PEP 376, PEP 427). */
function readRecord(list: string): Map<string, string> {
  const digests = new Map<string, string>()
  for (const line of list.split(/\r?\n/)) {
    const [, path, digest] = /^"?([^"]+?)"?,sha256=([\w-]+),\d+$/.exec(line) ?? []
    if (path && digest) digests.set(path, digest)
  }
  return digests
}

interface ExtractOptions {
  digest: string | undefined
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
}

async function extract(
  zip: ZipFile,
  entry: Entry,
  path: string,
  { digest, signal, onBytes }: ExtractOptions,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const hash = createHash('sha256')
  let crc = 0
  const check = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      if (digest) hash.update(chunk)
      else crc = crc32(chunk, crc)
      onBytes(chunk.length)
      callback(null, chunk)
    },
  })
  const source = await zip.openReadStreamPromise(entry)
  await pipeline(source, check, createWriteStream(path), signal ? { signal } : {})
  const whole = digest ? hash.digest('base64url') === digest : crc === entry.crc32
  if (!whole) throw new Error(`${entry.fileName} in the archive is damaged`)
}

/** An npm package: gzip checks its bytes, package.json says the release. Links and devices are left out. */
async function unpackPackage(
  archive: string,
  target: string,
  { headers = false, signal, onProgress, onSize }: UnpackOptions,
): Promise<void> {
  const { size: total } = await stat(archive)
  await onSize?.(await sizeInGzip(archive, total))
  await mkdir(target, { recursive: true })
  const unpack = new Unpack({
    cwd: target,
    strip: 1,
    strict: true,
    preserveOwner: false,
    filter: (name, entry) => {
      const path = name.replace(/^[^/]+\//, '')
      const own = path === 'package.json' || /^(licenses\/.|(license|notice)[^/]*$)/i.test(path)
      return (entry as ReadEntry).type === 'File' && (own || isNeeded(path, headers))
    },
  })
  const file = createReadStream(archive, signal ? { signal } : {})
  let done = 0
  file.on('data', chunk => {
    done += chunk.length
    onProgress?.({ step: 'unpack', done, total })
  })
  await new Promise<void>((resolve, reject) => {
    file.on('error', reject)
    unpack.on('error', reject).on('close', resolve)
    file.pipe(unpack)
  }).finally(() => file.destroy())
  const own = join(target, 'package.json')
  const text = await readFile(own, 'utf8').catch(() => '{}')
  requireRelease((JSON.parse(text) as { version?: string }).version)
  await rm(own, { force: true })
}

/** What the last four bytes of a gzip file say that it unpacks to, in bytes, modulo 4 GiB (RFC 1952). */
async function sizeInGzip(path: string, length: number): Promise<number> {
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, Math.max(0, length - 4))
    return buffer.readUInt32LE()
  } finally {
    await file.close()
  }
}
