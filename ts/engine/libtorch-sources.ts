/** Archives that LibTorch is taken from. Those that nobody named must have a checksum that stands here. */
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ioError } from '../base/files.js'
import { DeclipError, invalid } from '../errors.js'
import { LIBTORCH_VERSION } from './libtorch.js'
import { platformName } from './platform-packages.js'

/** An archive, and how it is had. @internal */
export type LibtorchSource = {
  /** File name of the archive. */
  file: string
  /** What the archive must hash to; undefined where its user takes it as it is. */
  sha256: string | undefined
  /** Size of the archive in bytes, where it is known before. */
  bytes?: number | undefined
  /** What the libraries take on disk in bytes, where it is known before. */
  unpacked?: number | undefined
} & (
  | { kind: 'file'; path: string }
  | { kind: 'url'; url: string }
  /** `command` is the user's pip, such as ['python3', '-m', 'pip']: it knows mirrors and logins. */
  | { kind: 'pip'; command: readonly [string, ...string[]] }
)

interface Wheel {
  file: string
  sha256: string
  bytes?: number
  unpacked?: number
}

const wheel = (tags: string, sha256: string, sizes = {}): Wheel => ({
  file: `torch-${LIBTORCH_VERSION}${tags}.whl`,
  sha256,
  ...sizes,
})

/**
 * PyTorch's CPU wheel of each platform. Any Python's would do; the checksums are those of PyTorch's
 * index of CPU wheels (https://download.pytorch.org/whl/cpu/torch/): that of linux-x64 was computed from
 * the file too, the others as lock files of several projects quote the index.
 */
const WHEELS: Readonly<Record<string, Wheel>> = {
  'linux-x64': wheel(
    '+cpu-cp311-cp311-manylinux_2_28_x86_64',
    '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
    { bytes: 191_794_682, unpacked: 436_316_825 },
  ),
  'linux-arm64': wheel(
    '+cpu-cp311-cp311-manylinux_2_28_aarch64',
    '84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7',
  ),
  'darwin-arm64': wheel(
    '-cp311-cp311-macosx_14_0_arm64',
    'e76f9bcecc52b8ff711239a2f7547d5353df95878ab232f0773c1d95928b92f8',
  ),
  'win32-x64': wheel(
    '+cpu-cp311-cp311-win_amd64',
    '10717d8b3b67c45a4788bf7ffc0bab1ea1e5ebbedd24466be6100102d141fac1',
  ),
}

/** LibTorch's own archives, for those who have one: their checksums as several projects state them. */
const ARCHIVES: Readonly<Record<string, string>> = {
  [`libtorch-shared-with-deps-${LIBTORCH_VERSION}+cpu.zip`]:
    'edbf4cbed78433d803e90a65f1752e57783d164bce66c95c0872b2ab8f5c159e',
  [`libtorch-macos-arm64-${LIBTORCH_VERSION}.zip`]:
    '1e10c6c4dc2764150c9fb2ad28e1889191302734e7f939108e5d2f22f21a06f8',
}

/** PyTorch's own index of CPU wheels: the general index serves CUDA builds on Linux. @internal */
export const CPU_INDEX = 'https://download.pytorch.org/whl/cpu/'

/** The wheel of this platform from PyTorch's index, then the same one by the user's own pip. @internal */
export function builtInSources(): LibtorchSource[] {
  const wheel = WHEELS[platformName()]
  if (!wheel) return []
  return [
    { kind: 'url', url: below(CPU_INDEX, wheel.file), ...wheel },
    {
      kind: 'pip',
      command: process.platform === 'win32' ? ['py', '-m', 'pip'] : ['python3', '-m', 'pip'],
      ...wheel,
    },
  ]
}

/** The wheel that this platform's LibTorch is taken from, if one is known. @internal */
export function knownWheel(): Wheel | undefined {
  return WHEELS[platformName()]
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG unless `from` is a path or a URL that can be read @internal */
export function checkFrom(from: unknown): void {
  const url = from instanceof URL || typeof from === 'string' ? urlOf(from) : null
  if (url ? /^(https?|file):$/.test(url.protocol) : typeof from === 'string' && from !== '') return
  const got = url ? url.href : from
  throw invalid('from', 'a path, or an http:, https: or file: URL', got)
}

/**
 * What a user's `from` names: an archive by path or URL, or a place that holds {@link knownWheel}, as a
 * folder or a URL that ends in a slash.
 *
 * @throws DeclipError ERR_DECLIP_IO where there is no such file, ERR_DECLIP_INVALID_ARG
 * @internal
 */
export async function namedSource(
  from: string | URL,
  digest: string | undefined,
): Promise<LibtorchSource> {
  const sha256 = digest?.toLowerCase()
  const url = urlOf(from)
  if (url && /^https?:$/.test(url.protocol)) {
    if (url.pathname.endsWith('/')) {
      const wheel = wheelIn(url.href, sha256)
      return { kind: 'url', url: below(url.href, wheel.file), ...wheel }
    }
    const file = decodeURIComponent(basename(url.pathname))
    return { kind: 'url', url: url.href, file, ...digestOf(file, sha256) }
  }
  const path = url ? fileURLToPath(url) : String(from)
  const found = await stat(path).catch(error => {
    throw ioError('read', path, error)
  })
  if (!found.isDirectory()) {
    const file = basename(path)
    return { kind: 'file', path, file, bytes: found.size, ...digestOf(file, sha256) }
  }
  const wheel = wheelIn(path, sha256)
  const inside = join(path, wheel.file)
  await stat(inside).catch(() => {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `${path} is a folder without ${wheel.file}. Name the archive itself; a folder of an unpacked LibTorch is used by setting LIBTORCH to it.`,
    )
  })
  return { kind: 'file', path: inside, ...wheel }
}

/** The wheel to take from a place; another one of its name where its checksum is another. */
function wheelIn(place: string, sha256: string | undefined): Wheel {
  const wheel = knownWheel()
  if (!wheel) {
    const expected = `an archive: no wheel is known for ${platformName()} that could be in a folder`
    throw invalid('from', expected, place)
  }
  return sha256 === undefined || sha256 === wheel.sha256 ? wheel : { file: wheel.file, sha256 }
}

/** What an archive must hash to, and sizes, where its name is known. */
function digestOf(file: string, sha256: string | undefined) {
  const wheel = Object.values(WHEELS).find(known => known.file === file)
  const own = wheel?.sha256 ?? ARCHIVES[file]
  return { unpacked: wheel?.unpacked, sha256: sha256 ?? own }
}

/** A drive letter is no scheme. */
function urlOf(from: string | URL): URL | null {
  if (from instanceof URL) return from
  return /^[a-z][a-z\d+.-]+:\/\//i.test(from) && URL.canParse(from) ? new URL(from) : null
}

/** A `+` in a file name is written %2B there. */
function below(base: string, file: string): string {
  return new URL(encodeURIComponent(file), base).href
}
