import t from 'tap'
import { Pictures } from '../../../../ts/train/data/pictures.js'
import type { Source } from '../../../../ts/train/data/sources/source.js'
import { square } from '../../../support/training.js'

const good = await square('red', [4, 4, 8, 8])
const tiny = await square('red', [0, 0, 4, 4], 9)

/** A source of encoded pictures. */
const sourceOf = (pictures: readonly Buffer[]): Source => ({
  length: pictures.length,
  digest: '',
  read: async i => ({ name: `picture ${i}`, picture: pictures[i] as Buffer, regions: [] }),
})
const signal = new AbortController().signal

t.test('unreadable and tiny pictures are replaced, the same way every time', async t => {
  const source = sourceOf([Buffer.from('no picture'), good, tiny, good, good])
  const load = (index: number) => new Pictures(source, 3, signal).load({ epoch: 1, index })
  t.match(await load(1), { visit: { epoch: 1, index: 1 }, skipped: [] })
  const first = await load(0)
  t.ok([1, 3, 4].includes(first.visit.index))
  t.match(first.skipped[0], /^picture 0: /)
  t.same((await load(0)).visit, first.visit)
  t.match((await load(2)).skipped[0], 'picture 2 is only 9 x 9 pixels.')
  t.match((await load(2)).image, { width: 32, height: 32 })
})

t.test('a run of which most pictures cannot be used stops', async t => {
  const bad = Array.from({ length: 99 }, () => Buffer.from('x'))
  const pictures = new Pictures(sourceOf([...bad, good]), 0, signal)
  const visits = Array.from({ length: 100 }, (_, index) => ({ epoch: 0, index }))
  const attempt = async () => {
    for (const visit of visits) await pictures.load(visit)
  }
  await t.rejects(attempt(), {
    code: 'ERR_DECLIP_IMAGE',
    message: /pictures of data could not be used.*Check data\.path/,
  })
})
