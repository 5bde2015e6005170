/** Where LibTorch is downloaded from, and how each source is brought to disk. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { CallOptions } from '../base/call.js'
import { checkSha256, fetchFile } from '../base/http-file.js'
import { unpackLibtorch } from './libtorch-unpack.js'

/** One place to download from. @internal */
export type LibtorchSource =
  | {
      kind: 'archive'
      name: string
      url: string
      /** Where it is not known, the archive's own checksums and HTTPS must do. */
      sha256?: string | undefined
    }
  | {
      kind: 'wheel'
      name: string
      /** The pip command, such as ['python3', '-m', 'pip']. */
      pip: readonly [string, ...string[]]
      requirement: string
      /** By file name; a wheel that is not listed is checked against its own list of checksums. */
      sha256: Readonly<Record<string, string>>
    }

interface FetchOptions extends CallOptions {
  /** Folder for downloads. */
  cache: string
}

const ARCHIVES: Readonly<Record<string, (version: string) => string>> = {
  'linux-x64': version => `libtorch-shared-with-deps-${version}%2Bcpu.zip`,
  'darwin-arm64': version => `libtorch-macos-arm64-${version}.zip`,
  'win32-x64': version => `libtorch-win-shared-with-deps-${version}%2Bcpu.zip`,
}

const WHEELS: Readonly<Record<string, string>> = {
  'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl':
    '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
}

/** PyTorch's own index of CPU wheels: the general index serves CUDA builds on Linux. */
const CPU_INDEX = 'https://download.pytorch.org/whl/cpu'

/** The official archive where there is one, then the CPU wheel through the user's own pip. @internal */
export function officialSources(version: string): LibtorchSource[] {
  const sources: LibtorchSource[] = []
  const archive = ARCHIVES[`${process.platform}-${process.arch}`]
  if (archive) {
    const url = `https://download.pytorch.org/libtorch/cpu/${archive(version)}`
    sources.push({ kind: 'archive', name: `official archive ${url}`, url })
  }
  const mac = process.platform === 'darwin'
  const requirement = mac ? `torch==${version}` : `torch==${version}+cpu`
  sources.push({
    kind: 'wheel',
    name: `PyTorch wheel (pip download ${requirement})`,
    pip: process.platform === 'win32' ? ['py', '-m', 'pip'] : ['python3', '-m', 'pip'],
    requirement,
    sha256: WHEELS,
  })
  return sources
}

/** Downloads a source and unpacks it into `target`; leaves no other file behind once it worked. @internal */
export async function fetchSource(
  source: LibtorchSource,
  target: string,
  options: FetchOptions,
): Promise<void> {
  if (source.kind === 'archive') {
    const file = join(options.cache, decodeURIComponent(basename(new URL(source.url).pathname)))
    await fetchArchive(source, file, options)
    await unpackLibtorch(file, target, options).finally(() => rm(file, { force: true }))
    return
  }
  const folder = `${target}.wheel`
  try {
    await mkdir(folder, { recursive: true })
    const file = await pipDownload(source, folder, options)
    const sha256 = source.sha256[basename(file)]
    if (sha256) await checkSha256(file, sha256)
    await unpackLibtorch(file, target, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What has arrived stays in `file`.part, where the next call goes on. */
async function fetchArchive(
  { url, sha256 }: LibtorchSource & { kind: 'archive' },
  file: string,
  { signal, onProgress }: FetchOptions,
): Promise<void> {
  const part = `${file}.part`
  await mkdir(dirname(file), { recursive: true })
  await fetchFile(url, part, {
    signal,
    // Without a network the next source is tried soon.
    connectTimeout: 5000,
    ...(sha256 === undefined ? {} : { digest: { algorithm: 'sha256', expected: sha256 } }),
    onBytes: (done, total) => onProgress?.({ step: 'download', done, total }),
  })
  await rename(part, file)
}

/** Honours the user's pip configuration: mirrors, proxies, find-links. */
async function pipDownload(
  source: LibtorchSource & { kind: 'wheel' },
  folder: string,
  { signal, onProgress }: FetchOptions,
): Promise<string> {
  onProgress?.({ step: 'pip', done: 0, total: 0 })
  const [python, ...pip] = source.pip
  const index = ['--extra-index-url', CPU_INDEX, '--retries', '1']
  const options = ['--no-deps', '--only-binary=:all:', '--disable-pip-version-check']
  const args = [...pip, 'download', ...options, ...index, '--dest', folder, source.requirement]
  try {
    await promisify(execFile)(python, args, { maxBuffer: 2 ** 26, ...(signal ? { signal } : {}) })
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT') throw new Error(`${python} is not installed`)
    const lines = (stderr ?? '').split('\n').filter(line => line.startsWith('ERROR'))
    throw new Error(lines.at(-1)?.replace(/^ERROR:\s*/, '') || (error as Error).message)
  }
  const wheel = (await readdir(folder)).find(name => name.endsWith('.whl'))
  if (!wheel) throw new Error('pip saved no wheel')
  return join(folder, wheel)
}
