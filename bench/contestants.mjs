/**
 * The programs that the benches run side by side, and what each needs before it starts. An entry
 * gives the command, or the reason why the program is not there yet.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { OPENMP_WAIT } from '../dist/engine/load-addon.js'
import { root } from '../scripts/build/common.mjs'
import { kernelsProgram } from './kernels-program.mjs'
import { onnxModel, peersFolder, python } from './peers/setup.mjs'

const bench = (...path) => join(root, 'bench', ...path)
const SETUP = 'npm run bench -- --setup-peers'

const CONTESTANTS = {
  declip: () => node(bench('declip.mjs')),
  /** LibTorch's operators one after the other: the reference implementation. */
  eager: () => ({ ...node(bench('declip.mjs')), env: { DECLIP_ENGINE: 'eager' } }),
  kernels: () => {
    const program = kernelsProgram()
    return program ? { command: program, args: [], env: OPENMP_WAIT } : { missing: 'npm run bench' }
  },
  pytorch: () =>
    existsSync(python)
      ? { command: python, args: [bench('peers/pytorch/peer.py')] }
      : { missing: SETUP },
  onnxruntime: ({ checkpoint }) =>
    existsSync(join(peersFolder, 'node_modules/onnxruntime-node')) &&
    existsSync(onnxModel(checkpoint))
      ? node(bench('peers/onnxruntime.mjs'))
      : { missing: SETUP },
}

/** { command, args, env }, or { missing: the command that prepares it }. */
export function contestant(name, request) {
  return CONTESTANTS[name](request)
}

function node(script) {
  return { command: process.execPath, args: [script] }
}
