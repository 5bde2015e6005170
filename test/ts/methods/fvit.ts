import t from 'tap'
import { COCO_THINGS } from '../../../ts/methods/benchmarks.js'
import {
  categoryIdsOf,
  DETECTOR_PRESETS,
  detectorPreset,
  namesOfCount,
  presetOf,
  publishedNovel,
  sameName,
} from '../../../ts/methods/fvit.js'
import { LVIS_NAMES, LVIS_RARE } from '../../../ts/methods/lvis.js'
import { NOVEL, OV_COCO } from '../../../ts/methods/ov-coco.js'

const COCO = { masks: false, rpnNorm: false }
const LVIS = { masks: true, rpnNorm: true }

t.test('LVIS has 1203 categories, of which 337 are rare', async t => {
  t.equal(new Set(LVIS_NAMES).size, 1203)
  t.equal(LVIS_RARE.size, 337)
  t.ok([...LVIS_RARE].every(name => LVIS_NAMES.includes(name)))
  const at = (id: number) => LVIS_NAMES[id - 1]
  t.strictSame([1, 2, 3, 1202, 1203].map(at), [
    'aerosol_can',
    'air_conditioner',
    'airplane',
    'zebra',
    'zucchini',
  ])
  t.ok(LVIS_NAMES.every(name => !/[*,\n]/.test(name)))
  t.ok(LVIS_NAMES.includes('monitor_(computer_equipment) computer_monitor'))
})

t.test('presets have the published values', async t => {
  const values = Object.fromEntries(DETECTOR_PRESETS.map(name => [name, detectorPreset(name, 16)]))
  t.match(values, {
    coco: {
      alpha: 0.1,
      beta: 0.8,
      temperature: 75,
      scoreThreshold: 0.01,
      nmsThreshold: 0.4,
      limit: 100,
    },
    lvis: {
      alpha: 0.1,
      beta: 0.6,
      temperature: 50,
      scoreThreshold: 1e-4,
      nmsThreshold: 0.5,
      limit: 300,
    },
    'transfer-coco': {
      alpha: 0.2,
      beta: 0.2,
      temperature: 120,
      detectorTemperature: 50,
      limit: 300,
    },
    'transfer-objects365': { alpha: 0.3, beta: 0.3, temperature: 120, detectorTemperature: 50 },
    'transfer-voc': { alpha: 0.3, beta: 0.3, temperature: 120, scoreThreshold: 1e-4 },
  })
  t.equal(values['coco']?.detectorTemperature, undefined)
  t.equal(detectorPreset('lvis', 14).beta, 0.4)
  t.equal(detectorPreset('coco', 14).beta, 0.8)
  t.strictSame([COCO, LVIS, { masks: false, rpnNorm: true }].map(presetOf), [
    'coco',
    'lvis',
    'lvis',
  ])
})

t.test('names and splits of published sets', async t => {
  t.strictSame(namesOfCount(65)?.slice(0, 3), ['person', 'bicycle', 'car'])
  t.equal(namesOfCount(1203), LVIS_NAMES)
  t.equal(namesOfCount(80), undefined)
  const ours = OV_COCO.map(({ name }) => name)
  t.strictSame([...(publishedNovel(ours, COCO) ?? [])].sort(), [...NOVEL].sort())
  t.ok(publishedNovel(['Cat', 'person'], COCO)?.has('cat'))
  t.equal(publishedNovel(['cat', 'unicorn'], COCO), undefined)
  t.ok(publishedNovel(['cat', 'water_gun'], LVIS)?.has('water gun'))
  t.equal(sameName(' Water_Gun '), 'water gun')
})

t.test("ids of COCO's and LVIS's files", async t => {
  t.strictSame(categoryIdsOf(['person', 'toothbrush', 'dining table'], COCO), [1, 90, 67])
  t.equal(new Set(categoryIdsOf(COCO_THINGS, COCO)).size, 80)
  t.strictSame(categoryIdsOf(['zucchini', 'aerosol can'], LVIS), [1203, 1])
  t.strictSame(categoryIdsOf(['cat'], COCO), [17])
  t.strictSame(categoryIdsOf(['cat'], LVIS), [LVIS_NAMES.indexOf('cat') + 1])
  t.equal(categoryIdsOf(['cat', 'unicorn'], COCO), undefined)
})
