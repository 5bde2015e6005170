/** onnxruntime's side of the benches: the exported image tower with every graph optimisation. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { readRaw } from '../inputs.mjs'
import { serve } from '../serve.mjs'
import { onnxModel, peersFolder } from './setup.mjs'

const require = createRequire(join(peersFolder, 'package.json'))
const { InferenceSession, Tensor } = require('onnxruntime-node')
const { version } = require('onnxruntime-node/package.json')

await serve(async ({ checkpoint, threads, images, shape }) => {
  const session = await InferenceSession.create(onnxModel(checkpoint), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
  })
  const input = new Tensor('float32', await readRaw(images, Float32Array), shape)
  return {
    engine: `onnxruntime ${version}`,
    work: () => session.run({ images: input }),
    toTypedArray: ({ features }) => features.data,
  }
})
