/** A fresh process that runs an ONNX file once in onnxruntime-node: what it took, as a line of JSON. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { peersFolder } from '../peers/setup.mjs'
import { SIDE } from './chain.mjs'
import { report } from './report.mjs'

const [file] = process.argv.slice(2)
const require = createRequire(join(peersFolder, 'package.json'))
const { InferenceSession, Tensor } = require('onnxruntime-node')
const session = await InferenceSession.create(file)
const { out } = await session.run({ x: new Tensor('float32', new Float32Array(SIDE), [1, SIDE]) })
report(out.data.length === SIDE)
