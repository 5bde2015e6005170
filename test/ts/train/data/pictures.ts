import t from 'tap'
import { DeclipError } from '../../../../ts/errors.js'
import { Pictures } from '../../../../ts/train/data/pictures.js'
import { LeftOut } from '../../../../ts/train/data/sources/left-out.js'
import type { Source } from '../../../../ts/train/data/sources/source.js'
import { square } from '../../../support/training.js'

const good = await square('red', [4, 4, 8, 8])
const tiny = await square('red', [0, 0, 4, 4], 9)

/** A source of encoded pictures. */
const sourceOf = (pictures: readonly Buffer[]): Source => ({
  length: pictures.length,
  digest: '',
  labels: new Map(),
  leftOut: new LeftOut(),
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

t.test('what cannot be used counts once, and boxes outside a picture are no boxes', async t => {
  const regions = [
    { box: [40, 4, 8, 8], label: 'right of it' },
    { box: [-9, 4, 8, 8], label: 'left of it' },
    { box: [28, 28, 8, 8], label: 'over its edge' },
  ] as const
  const source: Source = {
    ...sourceOf([good, Buffer.from('no picture'), good]),
    read: async i => {
      if (i === 2) throw new DeclipError('ERR_DECLIP_INVALID_ARG', 'A name with a NUL.')
      return { name: `picture ${i}`, picture: i === 0 ? good : Buffer.from('no picture'), regions }
    },
  }
  const pictures = new Pictures(source, 3, signal)
  for (const epoch of [0, 1]) {
    for (const index of [0, 1, 2]) {
      const { item } = await pictures.load({ epoch, index })
      t.same(item.regions, [regions[2]])
    }
  }
  t.match(
    String(pictures.leftOut),
    /^boxes outside their pictures: 2 \(the first: \[40,4,8,8\] in picture 0, 32 x 32\); pictures that cannot be used: 2 \(the first: picture 1: /,
  )
})

t.test('another picture in the place of one is a function of the visit', async t => {
  const source = sourceOf([good, good, good, good])
  const other = async (attempt: number) =>
    (await new Pictures(source, 3, signal).another({ epoch: 0, index: 1 }, attempt)).visit.index
  const drawn = await Promise.all([0, 1, 2, 3, 4, 5].map(other))
  t.same(drawn, await Promise.all([0, 1, 2, 3, 4, 5].map(other)))
  t.ok(new Set(drawn).size > 1)
})
