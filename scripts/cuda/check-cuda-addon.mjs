/**
 * Loads the addon that DECLIP_ADDON names, a CUDA build, and checks what it says about devices: with
 * a GPU that a model loads there, without one that it is told and never replaced in silence.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { loadAddon } from '../../dist/engine/load-addon.js'
import { loadModel } from '../../dist/index.mjs'
import { root } from '../build/common.mjs'

const path = join(root, 'models/words-tiny/model.safetensors')
const { libtorch, cudaBuild, cudaDevices } = loadAddon().runtime()
console.log(`  LibTorch ${libtorch}, CUDA build: ${cudaBuild}, devices: ${cudaDevices}`)
assert.equal(cudaBuild, true, 'the addon was built without CUDA')

const model = await loadModel(path)
console.log(`  ${model.info.device}: ${model.info.deviceReason}`)
model.dispose()
if (cudaDevices > 0) {
  assert.match(model.info.device, /^cuda/)
} else {
  assert.equal(model.info.device, 'cpu')
  assert.match(model.info.deviceReason, /no CUDA device or driver was found/)
  await assert.rejects(loadModel(path, { device: 'cuda' }), error => {
    console.log(`  device 'cuda': ${error.code}: ${error.message}`)
    return error.code === 'ERR_DECLIP_DEVICE'
  })
}
