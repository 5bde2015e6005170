/**
 * Builds the addon with CUDA kernels into build/cuda.
 *
 *   node scripts/cuda/build-cuda.mjs [--fetch] [--tests] [--architectures 80,90]
 *
 * Needs the CUDA toolkit (nvcc 13) and a CUDA build of LibTorch 2.14: LIBTORCH_CUDA, or with --fetch
 * PyTorch's wheels by pip. No GPU is needed to build.
 *
 * --tests          builds the core's test program too
 * --architectures  compute capabilities to generate code for; default: all current ones
 */
import { rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildNative } from '../build/build-native.mjs'
import { Failure, root, run } from '../build/common.mjs'
import {
  ARCHITECTURES,
  CUDA_ADDON,
  fetchCudaLibtorch,
  findCudaLibtorch,
  findNvcc,
  HOW_TO_GET_LIBTORCH,
} from './cuda.mjs'

/** Returns the LibTorch that the build uses. */
export async function buildCuda({ libtorch, architectures = ARCHITECTURES, tests = false }) {
  const nvcc = findNvcc()
  if (!nvcc) {
    throw new Failure(
      'nvcc was not found. Install the CUDA toolkit 13 and put it on the PATH, or set CUDA_HOME.',
    )
  }
  const folder = await buildNative({
    build: 'cuda',
    libtorch,
    targets: tests ? ['declip_node', 'declip_core_tests'] : ['declip_node'],
    definitions: [
      `CMAKE_CUDA_ARCHITECTURES:STRING=${architectures.join(';')}`,
      ...(nvcc === 'nvcc' ? [] : [`CMAKE_CUDA_COMPILER:FILEPATH=${nvcc}`]),
    ],
  })
  // The addon finds LibTorch beside itself, whatever the environment says when it is used.
  const link = join(folder, 'libtorch')
  rmSync(link, { recursive: true, force: true })
  symlinkSync(libtorch, link, 'junction')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values: options } = parseArgs({
    options: {
      fetch: { type: 'boolean' },
      tests: { type: 'boolean' },
      architectures: { type: 'string' },
    },
  })
  try {
    await run(process.execPath, [join(root, 'scripts/build/bootstrap.mjs'), '--no-addon'])
    const found = await findCudaLibtorch()
    if (!found && !options.fetch) {
      throw new Failure(`No CUDA LibTorch was found: ${HOW_TO_GET_LIBTORCH} (about 3 GB).`)
    }
    const libtorch = found ?? (await fetchCudaLibtorch())
    await buildCuda({
      libtorch,
      tests: options.tests,
      architectures: options.architectures?.split(','),
    })
    console.log(`Built ${CUDA_ADDON}.\nUse it with DECLIP_ADDON=${CUDA_ADDON}`)
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error)
    process.exitCode = 1
  }
}
