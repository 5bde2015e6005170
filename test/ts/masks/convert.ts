import t from 'tap'
import { decodeMasks, encodeMasks } from '../../../ts/index.js'

const size = { width: 5, height: 4 }
const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }

t.test('polygons to run lengths to pixels', async t => {
  const outer = [0, 0, 4, 0, 4, 3, 0, 3]
  const hole = [
    [1, 1],
    [1, 2],
    [3, 2],
    [3, 1],
  ] as const
  const ring = [
    [0, 0],
    [4, 0],
    [4, 3],
    [0, 3],
  ] as const
  const [full, cut] = await encodeMasks([[outer], { outer: ring, holes: [hole] }], size)
  t.same([full?.area, cut?.area, cut?.box], [12, 10, [0, 0, 4, 3]])
  using masks = await decodeMasks([full?.rle, cut?.rle] as never, size)
  t.same(masks.shape, [2, 4, 5])
  const bytes = (await masks.data()) as Uint8Array
  t.same([...bytes.subarray(25, 30)], [1, 0, 0, 1, 0])
  t.same(await encodeMasks([], size), [])
})

t.test('wrong arguments', async t => {
  await t.rejects(encodeMasks('a' as never, size), invalid)
  await t.rejects(encodeMasks([], { width: 0, height: 1 }), { ...invalid, message: /size\.width/ })
  await t.rejects(decodeMasks([], undefined as never), invalid)
  await t.rejects(decodeMasks([3 as never], size), { ...invalid, message: /^masks\[0\]/ })
  await t.rejects(encodeMasks([[[0, 0]]], size), { ...invalid, message: /^masks\[0\]\[0\]/ })
  const signal = AbortSignal.abort()
  await t.rejects(decodeMasks([], size, { signal }), { code: 'ERR_DECLIP_ABORTED' })
})
