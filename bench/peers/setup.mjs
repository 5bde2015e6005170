/**
 * Prepares what the benches compare with, outside of the package's own dependencies: a Python
 * environment with PyTorch, onnxruntime-node, and the image tower as an ONNX file.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fingerprint, root, run, step, unlessStamped } from '../../scripts/build/common.mjs'
import { ARCHITECTURES } from '../../scripts/make/make-random-checkpoint.mjs'
import { checkpoint } from '../inputs.mjs'

/** PyTorch's own index of CPU wheels: the general index serves CUDA builds on Linux. */
const CPU_INDEX = 'https://download.pytorch.org/whl/cpu'
const REQUIREMENTS = 'bench/peers/requirements.txt'
const MODEL = 'vit-b-16'

export const peersFolder = join(root, 'build/bench-peers')
const environment = join(peersFolder, 'venv')
export const python = join(
  environment,
  process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python',
)

/** The ONNX file that belongs to a checkpoint. */
export function onnxModel(checkpoint) {
  return checkpoint.replace(/\.safetensors$/, '.onnx')
}

/** Does what is not done yet. */
export async function setUpPeers(folder) {
  await mkdir(peersFolder, { recursive: true })
  await step('onnxruntime-node', async () => {
    for (const file of ['package.json', 'package-lock.json']) {
      await copyFile(join(root, 'bench/peers', file), join(peersFolder, file))
    }
    await run('npm', ['ci', '--ignore-scripts', '--prefix', peersFolder])
  })
  await step('PyTorch (about 200 MB)', async () => {
    const print = fingerprint([REQUIREMENTS])
    await unlessStamped('build/bench-peers/venv.stamp', print, async () => {
      if (!existsSync(python)) await run('python3', ['-m', 'venv', environment])
      const index = ['--extra-index-url', CPU_INDEX]
      await run(python, ['-m', 'pip', 'install', '--no-deps', ...index, '-r', REQUIREMENTS])
    })
  })
  await step('ONNX file', async () => {
    const path = await checkpoint(MODEL, folder)
    const heads = ARCHITECTURES[MODEL].width / 64
    const script = join(root, 'bench/peers/pytorch/export_onnx.py')
    await run(python, [script, path, `${heads}`, onnxModel(path)])
  })
}
