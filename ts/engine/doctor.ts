import { access, constants, mkdir } from 'node:fs/promises'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { packagePath } from '../base/package-files.js'
import type { NativeRuntime } from './addon-types.js'
import {
  CUDA_LIBTORCH_VERSION,
  cacheFolder,
  findLibtorch,
  isCudaLibtorch,
  LIBTORCH_VERSION,
} from './libtorch.js'
import { addonPath, loadAddon } from './load-addon.js'

/** One line of `declip doctor`. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What was found. */
  readonly detail: string
  /** What to do about it, where it is not as it should be. */
  readonly fix?: string | undefined
}

/** What a check found: `fix` is set when it failed. */
type Finding = Omit<Check, 'name' | 'ok'>

const MIN_NODE = [20, 19] as const
/** LibTorch's libraries and a small model, in bytes. */
const MIN_MEMORY = 2 ** 30

/**
 * Looks at everything the package needs on this machine. Nothing is downloaded, and no check rejects.
 *
 * @example
 * ```ts
 * for (const { name, ok, detail, fix } of await runDoctor()) console.log(ok, name, detail, fix ?? '')
 * ```
 * @internal
 */
export async function runDoctor(): Promise<Check[]> {
  const checks: Check[] = []
  for (const [name, check] of Object.entries(CHECKS)) {
    let finding: Finding
    try {
      finding = await check()
    } catch (error) {
      finding = { detail: 'failed', fix: (error as Error).message }
    }
    checks.push({ name, ok: finding.fix === undefined, ...finding })
  }
  return checks
}

const CHECKS: Readonly<Record<string, () => Finding | Promise<Finding>>> = {
  Node: () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    const old = major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])
    const detail = `${process.version} on ${process.platform}-${process.arch}`
    return old ? { detail, fix: `Install Node ${MIN_NODE.join('.')} or newer.` } : { detail }
  },
  Memory: () => {
    const detail = `${gigabytes(freemem())} of ${gigabytes(totalmem())} GB free, ${availableParallelism()} cores`
    return freemem() < MIN_MEMORY
      ? { detail, fix: 'Close other programs: at least 1 GB is needed.' }
      : { detail }
  },
  LibTorch: () => {
    const found = findLibtorch({ addon: builtAddon() })
    if (found) {
      const [version, kind] = isCudaLibtorch(found.dir)
        ? [CUDA_LIBTORCH_VERSION, ' with CUDA']
        : [LIBTORCH_VERSION, '']
      return { detail: `${version}${kind} in ${found.dir} (${found.origin})` }
    }
    return { detail: 'not found', fix: 'Run `npx declip setup`, or set LIBTORCH to its folder.' }
  },
  Cache: async () => {
    const folder = cacheFolder()
    try {
      await mkdir(folder, { recursive: true })
      await access(folder, constants.W_OK)
      return { detail: folder }
    } catch {
      return {
        detail: `${folder} cannot be written`,
        fix: 'Set DECLIP_CACHE to a folder that can.',
      }
    }
  },
  Addon: () => ({ detail: `${addonPath()}, LibTorch ${runtime().libtorch}` }),
  Processor: () => {
    const { cpu, onednn, threads } = runtime()
    return { detail: `${cpu}, ${threads} threads, ${onednn ? 'with' : 'without'} oneDNN` }
  },
  Engine: () => {
    const { kernels, layers } = runtime()
    const formats = Object.entries(layers).map(([dtype, path]) => `${dtype}: ${path}`)
    return { detail: [`kernels: ${kernels}`, ...formats].join('; ') }
  },
  GPU: () => {
    const { cudaBuild, cudaDevices } = runtime()
    if (!cudaBuild) return { detail: 'none: this build is for the processor only' }
    const found = cudaDevices > 0 ? `${cudaDevices} CUDA device(s)` : 'no CUDA device or driver'
    return { detail: `CUDA build, ${found}` }
  },
  Images: async () => {
    const { default: sharp } = await import('sharp')
    return { detail: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` }
  },
  'Bundled model': async () => {
    const path = packagePath('models/words-tiny/model.safetensors')
    await access(path)
    return { detail: path }
  },
}

/** Undefined where none is built; the addon's own check says so. */
function builtAddon(): string | undefined {
  try {
    return addonPath()
  } catch {
    return undefined
  }
}

function runtime(): NativeRuntime {
  return loadAddon().runtime()
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}
