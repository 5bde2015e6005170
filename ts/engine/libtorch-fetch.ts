/** Brings an archive of LibTorch onto this disk, and checks it. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CallOptions } from '../base/call.js'
import { ioError } from '../base/files.js'
import { DigestError, fetchFile, isDiskError, requireSha256, sha256Of } from '../base/http-file.js'
import { CPU_INDEX, type LibtorchSource } from './libtorch-sources.js'

/** An archive on this disk. @internal */
export interface Archive {
  path: string
  sha256: string
  /** Removes what was downloaded for it. */
  remove(): Promise<void>
}

interface FetchOptions extends Pick<CallOptions, 'signal' | 'onProgress'> {
  /** Folder for what is downloaded. */
  folder: string
}

/**
 * The archive of a source. What arrived of a transfer that broke off stays for the next call.
 *
 * @throws Error that says why it cannot be had, or that it is not what its checksum says
 * @internal
 */
export async function fetchArchive(
  source: LibtorchSource,
  options: FetchOptions,
): Promise<Archive> {
  if (source.kind === 'url') return overHttp(source, options)
  if (source.kind === 'pip') return byPip(source, options)
  const { path } = source
  try {
    return { path, sha256: await checked(path, source, options), remove: async () => {} }
  } catch (error) {
    throw isDiskError(error) ? ioError('read', path, error) : error
  }
}

async function checked(
  path: string,
  { sha256 }: LibtorchSource,
  { signal }: FetchOptions,
): Promise<string> {
  const actual = await sha256Of(path, signal)
  if (sha256) requireSha256(actual, sha256)
  return actual
}

async function overHttp(
  source: LibtorchSource & { kind: 'url' },
  options: FetchOptions,
): Promise<Archive> {
  const { folder, signal, onProgress } = options
  const { url, headers } = withoutLogin(source.url)
  const path = join(folder, `${source.file || 'libtorch'}.part`)
  const remove = () => rm(path, { force: true })
  try {
    await fetchFile(url, path, {
      headers,
      signal,
      size: source.bytes,
      // Without a network the next source is tried soon.
      connectTimeout: 5000,
      onBytes: (done, total) => onProgress?.({ step: 'download', done, total }),
    })
    return { path, sha256: await checked(path, source, options), remove }
  } catch (error) {
    if (error instanceof DigestError || isDiskError(error)) await remove()
    throw error
  }
}

/** fetch() takes no user and password in a URL. */
function withoutLogin(text: string): { url: string; headers: Record<string, string> } {
  const url = new URL(text)
  const { username, password } = url
  if (!username && !password) return { url: text, headers: {} }
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  url.username = url.password = ''
  const authorization = `Basic ${Buffer.from(login).toString('base64')}`
  return { url: url.href, headers: { authorization } }
}

/** How often pip's file is looked at, in ms. */
const LOOK_EVERY = 500

/** Honours the user's pip configuration: mirrors, logins, proxies, find-links. */
async function byPip(
  source: LibtorchSource & { kind: 'pip' },
  options: FetchOptions,
): Promise<Archive> {
  const { signal, onProgress } = options
  const folder = join(options.folder, `pip-${process.pid}.part`)
  const remove = () => rm(folder, { recursive: true, force: true })
  const temporary = join(folder, 'temporary')
  await mkdir(temporary, { recursive: true })
  const look = setInterval(async () => {
    const done = await sizeUnder(folder)
    if (done > 0) onProgress?.({ step: 'download', done, total: source.bytes ?? 0 })
  }, LOOK_EVERY)
  try {
    const [python, ...pip] = source.command
    await run(python, [...pip, ...pipArguments(source.file, folder)], { temporary, signal })
    const wheel = (await readdir(folder)).find(name => name.endsWith('.whl'))
    if (!wheel) throw new Error('pip saved no wheel')
    const path = join(folder, wheel)
    return { path, sha256: await checked(path, source, options), remove }
  } catch (error) {
    await remove()
    throw error
  } finally {
    clearInterval(look)
  }
}

/** Asks for exactly one wheel, whichever Python runs pip. */
function pipArguments(file: string, folder: string): string[] {
  const [, version = '', python = '', abi = '', platform = ''] = file
    .replace(/\.whl$/, '')
    .split('-')
  const tags = ['--implementation', 'cp', '--python-version', python.replace(/^cp3/, '3.')]
  return [
    ...['download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
    ...['--progress-bar', 'off', '--retries', '1', '--extra-index-url', CPU_INDEX],
    ...[...tags, '--abi', abi, '--platform', platform, '--dest', folder],
    `torch==${version}`,
  ]
}

/** pip keeps what it downloads in its temporary folder until it is whole. */
async function run(
  python: string,
  args: readonly string[],
  { temporary, signal }: { temporary: string; signal: AbortSignal | undefined },
): Promise<void> {
  const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary }
  try {
    await promisify(execFile)(python, args, {
      env,
      maxBuffer: 2 ** 26,
      ...(signal ? { signal } : {}),
    })
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT') throw new Error(`${python} is not installed`)
    if (/No space left on device/.test(stderr ?? '')) {
      throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC', syscall: 'pip' })
    }
    const lines = (stderr ?? '').split('\n').filter(line => line.startsWith('ERROR'))
    throw new Error(lines.at(-1)?.replace(/^ERROR:\s*/, '') || (error as Error).message)
  }
}

async function sizeUnder(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const sizes = names.map(name =>
    stat(join(folder, name)).then(
      found => (found.isFile() ? found.size : 0),
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
