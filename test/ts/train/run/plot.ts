import t from 'tap'
import { plotLosses } from '../../../../ts/train/run/plot.js'

const curve = (name: string, values: readonly number[]) => ({
  name,
  points: values.map((value, i) => ({ step: i + 1, value })),
})

t.test('curves inside the frame, however long, short or flat', t => {
  const long = Array.from({ length: 5000 }, (_, i) => 5 / (1 + i))
  for (const values of [long, [3], [], [0, 0, 0], [-1, 2, 1e6]]) {
    const svg = plotLosses([curve('content', values), curve('context', [1, 2])])
    t.notMatch(svg, /NaN|Infinity/)
    const lines = [...svg.matchAll(/points="([^"]*)"/g)].map(([, points]) => points as string)
    t.equal(lines.length, 2)
    for (const point of lines.flatMap(line => line.split(' ').filter(Boolean))) {
      const [x, y] = point.split(',').map(Number) as [number, number]
      t.ok(x >= 64 && x <= 780 && y >= 40 && y <= 376, point)
    }
    t.ok((lines[0] as string).split(' ').length <= 400)
  }
  t.end()
})

t.test('a point of a thinned curve is the mean of what it stands for', t => {
  const values = Array.from({ length: 800 }, (_, i) => (i % 2 === 0 ? 0 : 2))
  const svg = plotLosses([curve('loss', values), curve('all', [2])])
  const [first] = /points="([^"]*)"/.exec(svg)?.slice(1) ?? []
  const heights = new Set(first?.split(' ').map(point => point.split(',')[1]))
  t.same([...heights], ['208.0'], 'half way between 0 and 2')
  t.end()
})
