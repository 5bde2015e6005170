/** What a CUDA build needs, where it is found and how it is fetched. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Failure, filesUnder, root, run, step } from '../build/common.mjs'
import { hasProgram } from '../build/tools.mjs'

/** Compute capabilities that the CUDA build has code for: Turing to Blackwell. */
export const ARCHITECTURES = ['75', '80', '86', '89', '90', '100', '120']

const FOLDERS = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda']

/** The CUDA compiler: on the PATH or in a toolkit's usual place; undefined without one. */
export function findNvcc() {
  const candidates = FOLDERS.filter(Boolean).map(folder => join(folder, 'bin/nvcc'))
  return ['nvcc', ...candidates].find(hasProgram)
}

/** Every CUDA twin. */
export function cudaSources() {
  return filesUnder('cpp/kernels/cuda').filter(file => file.endsWith('.cu'))
}

/** Compiles one CUDA file for some architectures; nothing of the object file is kept. */
export async function compileCuda(nvcc, file, architectures) {
  const codes = architectures.map(arch => `-gencode=arch=compute_${arch},code=sm_${arch}`)
  const options = ['-std=c++20', '--expt-relaxed-constexpr', '-O3', '-DDECLIP_CUDA']
  const warnings = ['-Xcompiler=-Wall,-Wextra', '-Werror=all-warnings']
  const folders = ['-Icpp', '-Icpp/include']
  const out = process.platform === 'win32' ? 'NUL' : '/dev/null'
  await run(nvcc, [...options, ...warnings, ...folders, ...codes, '-c', file, '-o', out])
}

/**
 * The folder of a CUDA LibTorch: LIBTORCH_CUDA, else LIBTORCH if it is one, else what
 * `fetchCudaLibtorch` left; undefined without one.
 */
export async function findCudaLibtorch() {
  const { isCudaLibtorch } = await import('../../dist/engine/libtorch.js')
  const named = process.env.LIBTORCH_CUDA
  if (named && !isCudaLibtorch(named)) {
    throw new Failure(`LIBTORCH_CUDA names ${named}, which holds no CUDA build of LibTorch.`)
  }
  const places = [named, process.env.LIBTORCH, join(await wheelFolder(), 'torch')]
  const found = places.find(place => place && isCudaLibtorch(place))
  return found && resolve(found)
}

/**
 * Installs PyTorch's CUDA wheel and the NVIDIA wheels that it names into the cache, with the user's
 * own pip: about 4 GB. Nothing else of their dependencies is needed, and no Python at run time.
 */
export async function fetchCudaLibtorch() {
  const { CUDA_LIBTORCH_VERSION } = await import('../../dist/engine/libtorch.js')
  const folder = await wheelFolder()
  const install = (...what) =>
    run(process.platform === 'win32' ? 'py' : 'python3', [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'],
      ...['--retries', '1', '--only-binary=:all:', '--target', folder, ...what],
    ])
  await step('PyTorch and NVIDIA wheels (once, about 3 GB)', async () => {
    await install('--no-deps', `torch==${CUDA_LIBTORCH_VERSION}`)
    const info = filesOf(folder, `torch-${CUDA_LIBTORCH_VERSION}`)
    const needs = [...info.matchAll(/^Requires-Dist: ((?:cuda-toolkit|nvidia-)[^;\n]*)/gm)]
    if (needs.length === 0) {
      throw new Failure('pip gave a PyTorch that asks for no NVIDIA wheel: a CPU build.')
    }
    await install(...needs.map(([, requirement]) => requirement.trim()))
  })
  return join(folder, 'torch')
}

function filesOf(folder, prefix) {
  const path = [`${prefix}.dist-info`].map(name => join(folder, name, 'METADATA')).find(existsSync)
  if (!path) throw new Failure(`pip left no ${prefix}.dist-info in ${folder}.`)
  return readFileSync(path, 'utf8')
}

async function wheelFolder() {
  const { CUDA_LIBTORCH_VERSION, cacheFolder } = await import('../../dist/engine/libtorch.js')
  return join(cacheFolder(), `torch-${CUDA_LIBTORCH_VERSION}-cuda-wheels`)
}

/** What to say where no CUDA LibTorch is at hand. */
export const HOW_TO_GET_LIBTORCH =
  'set LIBTORCH_CUDA to the folder of a CUDA build of LibTorch 2.14, or pass --fetch'

/** Where the addon of the CUDA build is. */
export const CUDA_ADDON = join(root, 'build/cuda/declip-native.node')
