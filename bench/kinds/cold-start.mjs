/**
 * What a fresh process takes until its first answer, as processor time, time and peak of its resident
 * memory, in turns with onnxruntime-node on an ONNX file with as many weights.
 *
 * { repeat }
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { root } from '../../scripts/build/common.mjs'
import { writeChain } from '../cold-start/chain.mjs'
import { SCENES } from '../inputs.mjs'
import { check, statistics } from '../measure.mjs'
import { peersFolder } from '../peers/setup.mjs'

/** What our process may take, in milliseconds of processor time. */
const LIMIT = 1200

export async function run({ repeat }, { folder }) {
  await mkdir(folder, { recursive: true })
  const picture = join(folder, 'cold-start.png')
  await sharp(SCENES[5]).resize(128, 96).toFile(picture)
  const chain = join(folder, 'cold-start.onnx')
  if (!existsSync(chain)) await writeChain(chain)
  const programs = new Map([['declip', ['declip.mjs', picture]]])
  const peer = existsSync(join(peersFolder, 'node_modules/onnxruntime-node'))
  if (peer) programs.set('onnxruntime-node', ['onnxruntime.mjs', chain])

  const runs = new Map([...programs.keys()].map(name => [name, []]))
  for (let turn = -1; turn < repeat; turn++) {
    for (const [name, program] of programs) {
      const result = await once(program)
      if (turn >= 0) runs.get(name).push(result) // the first fills the system's cache of files
    }
  }
  const of = (name, key) => runs.get(name).map(one => one[key])
  const names = [...programs.keys()]
  return {
    rows: names.flatMap(name => [
      { what: `${name}, CPU time`, samples: of(name, 'cpu') },
      { what: `${name}, time`, samples: of(name, 'wall') },
    ]),
    limit: { what: 'declip, CPU time', ms: LIMIT },
    notes: Object.fromEntries(
      names.map(name => [`peak of ${name}`, statistics(of(name, 'peak')).median]),
    ),
    skipped: peer ? [] : ['onnxruntime-node: not set up; `npm run bench -- --setup-peers` does it'],
  }
}

async function once([script, argument]) {
  const path = join(root, 'bench/cold-start', script)
  const { stdout } = await promisify(execFile)(process.execPath, [path, argument])
  const result = JSON.parse(stdout.trim().split('\n').at(-1))
  check(result.right, `${script} gave no answer`)
  return result
}
