/** A detector's heads are taken out of what training wrote, and lie beside the model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { headsFile, indexOf } from '../../../models/recipe/detector/files.mjs'
import { toTable, withTable } from '../../../models/recipe/detector/table.mjs'
import { namesIn, readFloat32 } from '../../../models/recipe/weights.mjs'

const folder = mkdtempSync(join(tmpdir(), 'declip-detector-files-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** A safetensors file of tensors with one dimension. */
function safetensors(tensors, metadata) {
  const header = { __metadata__: metadata }
  const blocks = []
  let at = 0
  for (const [name, [dtype, values]] of Object.entries(tensors)) {
    const block = Buffer.from(values.buffer)
    header[name] = { dtype, shape: [values.length], data_offsets: [at, at + block.length] }
    blocks.push(block)
    at += block.length
  }
  const json = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([size, json, ...blocks])
}

t.test('heads are kept, the tower and the counters are not', t => {
  const trained = join(folder, 'trained.safetensors')
  const weight = Float32Array.of(1, 0.1, -2.5)
  const tensors = {
    'backbone.visual.conv1.weight': ['F16', new Uint16Array(2)],
    'backbone.interpolate1.1.weight': ['F32', weight],
    'backbone.interpolate1.1.num_batches_tracked': ['I64', new BigInt64Array(1)],
    'roi_head.bbox_head.fc_reg.bias': ['F32', Float32Array.of(3)],
    'text.ln_final.bias': ['F32', Float32Array.of(3)],
  }
  const said = { side: 160, classes: ['dog'], alpha: 0.9 }
  writeFileSync(trained, safetensors(tensors, { 'declip.detector': JSON.stringify(said) }))
  const heads = headsFile(trained, { alpha: 0.2, beta: 0.6, voteTemperature: 35 })
  t.same(namesIn(heads), ['backbone.interpolate1.1.weight', 'roi_head.bbox_head.fc_reg.bias'])
  const length = Number(heads.readBigUInt64LE(0))
  const header = JSON.parse(heads.toString('utf8', 8, 8 + length))
  t.same(JSON.parse(header.__metadata__['declip.detector']), {
    side: 160,
    classes: ['dog'],
    alpha: 0.2,
    beta: 0.6,
    voteTemperature: 35,
  })
  const { dtype, shape, data_offsets } = header['backbone.interpolate1.1.weight']
  t.same([dtype, shape], ['F16', [3]])
  // 1, the nearest half to 0.1, -2.5: IEEE 754's bits.
  const at = 8 + length + data_offsets[0]
  t.same(
    [0, 2, 4].map(i => heads.readUInt16LE(at + i)),
    [0x3c00, 0x2e66, 0xc100],
  )
  const model = safetensors({ 'visual.proj': ['F16', new Uint16Array(1)] }, {})
  t.same(JSON.parse(indexOf(heads, model)), {
    metadata: { total_size: heads.length + model.length },
    weight_map: {
      'visual.proj': 'model.safetensors',
      'backbone.interpolate1.1.weight': 'detector.safetensors',
      'roi_head.bbox_head.fc_reg.bias': 'detector.safetensors',
    },
  })
  t.throws(() => readFloat32(trained), /is F16, not F32/)
  t.end()
})

t.test('a row for every way, percent of boxes and masks', t => {
  const part = all => ({ base: 0.5, novel: null, all, ap: 0.25 })
  const text = toTable({ rows: [{ name: 'alone', pictures: 2, bbox: part(0.4), segm: part(0.3) }] })
  t.match(text, '| alone | 50.0 | – | 40.0 | 25.0 | 50.0 | – | 30.0 | 25.0 |')
  const page = 'a <!-- small detector:begin -->\nold\n<!-- small detector:end --> b'
  t.equal(
    withTable(page, 'new'),
    'a <!-- small detector:begin -->\nnew\n<!-- small detector:end --> b',
  )
  t.throws(() => withTable('no markers', text), /small detector:begin/)
  t.end()
})

t.test('the guide holds the table of what was measured', t => {
  const read = path => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
  const page = read('docs/guides/detectors.md')
  const figures = JSON.parse(read('models/recipe/detector/figures.json'))
  t.equal(withTable(page, toTable(figures)), page)
  t.end()
})
