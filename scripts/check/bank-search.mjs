/**
 * What a search in a large bank costs, against the bytes that it has to read, and beside an approximate index.
 *
 *   node scripts/check/bank-search.mjs [--rows 1000000] [--width 384] [--queries 40] [--usearch <folder> --usearch-rows 100000]
 *
 * Keys are drawn around 2,000 centres, as regions of the same things lie together; queries are drawn likewise.
 * `--usearch` is a folder where `npm install usearch` was done, which is no dependency of this package. Prints a line
 * of JSON for every measurement.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Bank, Tensor } from '../../dist/index.js'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    width: { type: 'string', default: '384' },
    queries: { type: 'string', default: '40' },
    usearch: { type: 'string' },
    'usearch-rows': { type: 'string', default: '100000' },
  },
})
const width = Number(flags.width)
const queries = Number(flags.queries)
const NEIGHBOURS = 20

let state = 1
/** Uniform in -1..1. */
function draw() {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return state / 2 ** 31
}

const centres = Float32Array.from({ length: 2000 * width }, draw)
function drawn(count) {
  const out = new Float32Array(count * width)
  for (let i = 0; i < count; i++) {
    const from = Math.floor(((draw() + 1) / 2) * 1999.99) * width
    for (let c = 0; c < width; c++) out[i * width + c] = centres[from + c] + 0.7 * draw()
  }
  return out
}

const say = line => console.log(JSON.stringify(line))
const seconds = ms => +(ms / 1000).toFixed(4)

/** The best of three runs: wall and processor time, s. */
async function timed(run) {
  let best = { wall: Number.POSITIVE_INFINITY, processor: 0 }
  let result
  for (let i = 0; i < 3; i++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    result = await run()
    const wall = seconds(performance.now() - start)
    const { user, system } = process.cpuUsage(cpu)
    if (wall < best.wall) best = { wall, processor: seconds((user + system) / 1000) }
  }
  return { ...best, result }
}

const asked = Tensor.from(drawn(queries), [queries, width])
async function exact(keys, rows) {
  const bank = await Bank.fromParts({
    keys: Tensor.from(keys, [rows, width]),
    values: Tensor.from(new Float32Array(rows), [rows, 1]),
    pictures: [{ name: 'all', regions: rows }],
  })
  const { wall, processor, result } = await timed(() =>
    bank.search(asked, { neighbours: NEIGHBOURS }),
  )
  const gigabytes = (2 * rows * width) / 1e9
  say({
    what: 'exact',
    rows,
    width,
    queries,
    wall,
    processor,
    gigabytes,
    gigabytesPerS: +(gigabytes / wall).toFixed(1),
    gigaoperationsPerS: +((2 * rows * width * queries) / 1e9 / wall).toFixed(0),
  })
  const ids = await result.ids.data()
  bank.dispose()
  return ids
}

const rows = Number(flags.rows)
const keys = drawn(rows)
await exact(keys, rows)
if (flags.usearch) {
  const some = Number(flags['usearch-rows'])
  const part = keys.slice(0, some * width)
  const expected = await exact(part, some)
  const require = createRequire(join(flags.usearch, 'package.json'))
  const { Index, MetricKind, ScalarKind } = require('usearch')
  const index = new Index({
    metric: MetricKind.Cos,
    dimensions: width,
    quantization: ScalarKind.F16,
  })
  const before = process.memoryUsage().rss
  const start = performance.now()
  index.add(
    BigUint64Array.from({ length: some }, (_, i) => BigInt(i)),
    part,
    0,
  )
  const build = seconds(performance.now() - start)
  const data = await asked.data()
  const { wall, processor, result } = await timed(() => index.search(data, NEIGHBOURS, 0))
  let hits = 0
  for (let q = 0; q < queries; q++) {
    const own = new Set(
      Array.from(expected.slice(q * NEIGHBOURS, (q + 1) * NEIGHBOURS), id => Number(id)),
    )
    for (let k = 0; k < NEIGHBOURS; k++) hits += own.has(Number(result.keys[q * NEIGHBOURS + k]))
  }
  say({
    what: 'usearch',
    rows: some,
    width,
    queries,
    build,
    wall,
    processor,
    recall: +(hits / queries / NEIGHBOURS).toFixed(3),
    megabytes: Math.round((process.memoryUsage().rss - before) / 1e6),
  })
}
