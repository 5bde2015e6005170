import { access, constants } from 'node:fs/promises'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { packagePath } from '../base/package-files.js'
import type { NativeRuntime } from './addon-types.js'
import {
  CUDA_LIBTORCH_VERSION,
  cacheFolder,
  findLibtorch,
  isCudaLibtorch,
  LIBTORCH_VERSION,
} from './libtorch.js'
import { addonPath, existingAddon, loadAddon } from './load-addon.js'
import { libtorchPackageName } from './platform-packages.js'

/** One thing that {@link doctor} looked at. */
export interface DoctorCheck {
  /** 'Node', 'Memory', 'Native part', 'LibTorch', 'Cache', 'Loading', 'Processor', 'Engine', 'GPU', 'Images' or 'Bundled model'. */
  readonly name: string
  /**
   * 'note': not as it should be, but nothing fails because of it; 'skipped': another check failed, without
   * which this one says nothing.
   */
  readonly state: 'ok' | 'note' | 'failed' | 'skipped'
  /** What was found. */
  readonly detail: string
  /** What to do about it, where something is to be done. */
  readonly fix?: string | undefined
}

/** What a check found; 'ok' where no state is given. */
type Finding = Omit<DoctorCheck, 'name' | 'state'> & Partial<Pick<DoctorCheck, 'state'>>

interface Examination {
  /** Names of checks without which it says nothing. */
  needs?: readonly string[]
  examine: () => Finding | Promise<Finding>
}

const MIN_NODE = [20, 19] as const
/** LibTorch's libraries and a small model, in bytes. */
const MIN_MEMORY = 2 ** 30

/**
 * Looks at everything that the package needs on this machine. Loads the native part where it is there;
 * nothing is downloaded or written.
 *
 * @returns the checks in a fixed order; all is well where none has the state 'failed'. Never rejects.
 *
 * @example
 * ```ts
 * const checks = await doctor()
 * const broken = checks.filter(({ state }) => state === 'failed')
 * for (const { name, detail, fix } of broken) console.error(name, detail, fix)
 * ```
 */
export async function doctor(): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = []
  const unusable = new Set<string>()
  for (const [name, { needs = [], examine }] of Object.entries(EXAMINATIONS)) {
    const missing = needs.find(need => unusable.has(need))
    const { state = 'ok', ...found } = missing
      ? { state: 'skipped' as const, detail: `needs: ${missing}` }
      : await attempt(examine)
    if (state === 'failed' || state === 'skipped') unusable.add(name)
    checks.push({ name, state, ...found })
  }
  return checks
}

async function attempt(examine: Examination['examine']): Promise<Finding> {
  try {
    return await examine()
  } catch (error) {
    return { state: 'failed', detail: 'failed', fix: (error as Error).message }
  }
}

const EXAMINATIONS: Readonly<Record<string, Examination>> = {
  Node: {
    examine: () => {
      const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
      const old = major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])
      const detail = `${process.version} on ${process.platform}-${process.arch}`
      const fix = `Install Node ${MIN_NODE.join('.')} or newer.`
      return old ? { state: 'failed', detail, fix } : { detail }
    },
  },
  Memory: {
    examine: () => {
      const free = process.availableMemory?.() ?? freemem()
      const detail = `${gigabytes(free)} of ${gigabytes(totalmem())} GB free, ${availableParallelism()} cores`
      const fix = 'Close other programs: at least 1 GB is needed.'
      return free < MIN_MEMORY ? { state: 'note', detail, fix } : { detail }
    },
  },
  'Native part': { examine: () => ({ detail: addonPath() }) },
  LibTorch: {
    examine: () => {
      const addon = existingAddon()
      const found = findLibtorch({ addon })
      if (found) {
        const [version, kind] = isCudaLibtorch(found.dir)
          ? [CUDA_LIBTORCH_VERSION, ' with CUDA']
          : [LIBTORCH_VERSION, '']
        return { detail: `${version}${kind} in ${found.dir} (${found.origin})` }
      }
      // The system's own loader may know one.
      const loaded = addon === undefined ? null : orNull(() => runtime().libtorch)
      if (loaded) return { detail: `${loaded}, found by the system` }
      const ways = `\`npx declip setup\` or \`npm install ${libtorchPackageName()}@${LIBTORCH_VERSION}\``
      return {
        state: 'failed',
        detail: 'not found',
        fix: `Run ${ways}, or set LIBTORCH to its folder.`,
      }
    },
  },
  Cache: { examine: examineCache },
  Loading: {
    needs: ['Native part', 'LibTorch'],
    examine: () => ({ detail: `LibTorch ${runtime().libtorch} and the native part are loaded` }),
  },
  Processor: {
    needs: ['Loading'],
    examine: () => {
      const { cpu, onednn, threads } = runtime()
      return { detail: `${cpu}, ${threads} threads, ${onednn ? 'with' : 'without'} oneDNN` }
    },
  },
  Engine: {
    needs: ['Loading'],
    examine: () => {
      const { kernels, layers } = runtime()
      const formats = Object.entries(layers).map(([dtype, path]) => `${dtype}: ${path}`)
      return { detail: [`kernels: ${kernels}`, ...formats].join('; ') }
    },
  },
  GPU: {
    needs: ['Loading'],
    examine: () => {
      const { cudaBuild, cudaDevices } = runtime()
      if (!cudaBuild) return { detail: 'none: this build is for the processor only' }
      const found = cudaDevices > 0 ? `${cudaDevices} CUDA device(s)` : 'no CUDA device or driver'
      return { detail: `CUDA build, ${found}` }
    },
  },
  Images: {
    examine: async () => {
      const { default: sharp } = await import('sharp')
      return { detail: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` }
    },
  },
  'Bundled model': {
    examine: async () => {
      const path = packagePath('models/words-tiny/model.safetensors')
      await access(path)
      return { detail: path }
    },
  },
}

/** The cache only has to be written where LibTorch is yet to come. */
async function examineCache(): Promise<Finding> {
  const folder = cacheFolder()
  if (await canBeWritten(folder)) return { detail: folder }
  const detail = `${folder} cannot be written`
  const there = orNull(() => findLibtorch({ addon: existingAddon() }))
  if (there) return { state: 'note', detail: `${detail}, which only \`declip setup\` needs` }
  return { state: 'failed', detail, fix: 'Set DECLIP_CACHE to a folder that can.' }
}

/** Whether a folder can be written, or made where it is not there. */
async function canBeWritten(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK)
    return true
  } catch (error) {
    const parent = dirname(folder)
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return isMissing && parent !== folder && canBeWritten(parent)
  }
}

function orNull<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}

function runtime(): NativeRuntime {
  return loadAddon().runtime()
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}
