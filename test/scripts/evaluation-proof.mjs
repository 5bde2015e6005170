/** An evaluation that is killed and resumed, or done in parts, has the figures of one in one go. */
import { join } from 'node:path'
import t from 'tap'
import { cutOutSprites, writeFolder } from '../../models/recipe/scenes/folder.mjs'
import { differences, memorySlope, prove } from '../../scripts/check/evaluation-proof.mjs'

t.test('in one go, killed twice, in three parts', async t => {
  const out = t.testdir()
  const [data, pictures] = [join(out, 'scenes'), 60]
  await writeFolder(data, { count: pictures, side: 80, sprites: await cutOutSprites() })
  const args = ['--short-side', '96', '--templates', 'none']
  const ways = await prove({ data, pictures, kills: 2, out, args })
  t.equal(ways.length, 3)
  t.same(differences(ways, pictures), [])
  t.equal(ways[1].kills.length, 2, 'both were killed in the middle')
  t.ok(
    ways[1].kills.every(lines => lines > 0 && lines < pictures),
    `after ${ways[1].kills.join(' and ')} pictures`,
  )
  t.ok(ways[0].result.miou > 0.2, `mIoU ${ways[0].result.miou}: the model knows the scenes`)
})

t.test('a difference is told', async t => {
  const way = (name, digest, pictures, lines) => ({ name, digest, lines, result: { pictures } })
  t.same(differences([way('one', 'a', 3, 3), way('two', 'b', 3, 3), way('three', 'a', 2, 4)], 3), [
    'two: another result.json',
    'three: 2 pictures counted',
    'three: 4 lines of results',
  ])
  const memory = Array.from({ length: 100 }, (_, i) => [i, i < 40 ? 0 : 1e6 + 7 * i])
  t.ok(Math.abs(memorySlope(memory) - 7) < 1e-6)
})
