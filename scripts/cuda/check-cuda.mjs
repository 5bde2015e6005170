/**
 * What can be checked of CUDA on a machine without a GPU.
 *
 *   node scripts/cuda/check-cuda.mjs [--fetch]
 *
 * Compiles every CUDA file for all architectures; then, where a CUDA LibTorch is at hand
 * (LIBTORCH_CUDA, or --fetch), builds the addon against it, loads it in a process of its own and asks
 * it for a device. Says what it did not do, and why.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Failure, root, run, step } from '../build/common.mjs'
import { buildCuda } from './build-cuda.mjs'
import {
  ARCHITECTURES,
  CUDA_ADDON,
  compileCuda,
  cudaSources,
  fetchCudaLibtorch,
  findCudaLibtorch,
  findNvcc,
  HOW_TO_GET_LIBTORCH,
} from './cuda.mjs'

const { values: options } = parseArgs({ options: { fetch: { type: 'boolean' } } })

try {
  const nvcc = findNvcc()
  if (!nvcc) {
    console.log('# SKIP nothing was checked: nvcc was not found (PATH, CUDA_HOME)')
  } else {
    await run(process.execPath, [join(root, 'scripts/build/bootstrap.mjs'), '--no-addon'])
    for (const file of cudaSources()) {
      await step(`${file} for sm_${ARCHITECTURES.join(', sm_')}`, () =>
        compileCuda(nvcc, file, ARCHITECTURES),
      )
    }
    await linkAndLoad()
  }
} catch (error) {
  console.error(error instanceof Failure ? error.message : error)
  process.exitCode = 1
}

async function linkAndLoad() {
  const libtorch =
    (await findCudaLibtorch()) ?? (options.fetch ? await fetchCudaLibtorch() : undefined)
  if (!libtorch) {
    console.log(`# SKIP the addon was not linked and loaded: ${HOW_TO_GET_LIBTORCH}`)
    return
  }
  await buildCuda({ libtorch, tests: true })
  await step('The addon loads and says which device it has', () =>
    run(process.execPath, [join(root, 'scripts/cuda/check-cuda-addon.mjs')], {
      env: { DECLIP_ADDON: CUDA_ADDON, LIBTORCH: '' },
    }),
  )
  await step('Tests of the core in the CUDA build', () =>
    run(join(root, 'build/cuda/declip_core_tests'), [], {
      onLine: line => {
        if (!line.startsWith('ok ') || line.includes('# SKIP')) console.log(line)
      },
    }),
  )
}
