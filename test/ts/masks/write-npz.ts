import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { encodeNpz } from '../../../ts/masks/write-npz.js'
import { pythonWith } from '../../support/python.js'

const found = await pythonWith('numpy')

t.test('NumPy reads the archive', { skip: 'reason' in found && found.reason }, async t => {
  const { python } = found as { python: string }
  const values = Int32Array.from({ length: 35 }, (_, i) => (i % 4) * 100_000 - 3)
  const path = join(await mkdtemp(join(tmpdir(), 'declip-npz-')), 'map.npz')
  await writeFile(path, await encodeNpz('instance_mask', values, [5, 7]))
  const script = `
import json, numpy, sys
file = numpy.load(sys.argv[1], allow_pickle=False)
array = file["instance_mask"]
print(json.dumps([file.files, str(array.dtype), array.tolist()]))`
  const { stdout } = await promisify(execFile)(python, ['-c', script, path])
  const rows = Array.from({ length: 5 }, (_, y) => [...values.subarray(7 * y, 7 * y + 7)])
  t.same(JSON.parse(stdout), [['instance_mask'], 'int32', rows])
})

t.test('equal maps make equal files', async t => {
  const make = () => encodeNpz('a', Int32Array.of(1, 2), [1, 2])
  t.same(await make(), await make())
})
