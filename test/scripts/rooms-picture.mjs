import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { coreRooms, draw, PICTURE, upwardIncludes } from '../../scripts/make/rooms-picture.mjs'

t.test('a room of the core includes only rooms before it', async t => {
  t.same(upwardIncludes(), [])
  t.ok(coreRooms().get('segment').has('kernels'), 'includes are seen')
})

t.test('the picture is that of the rooms as they are', async t => {
  const drawn = readFileSync(join(root, PICTURE), 'utf8')
  t.equal(drawn, draw(), 'draw it again: node scripts/make/rooms-picture.mjs')
})
