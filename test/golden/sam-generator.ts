/**
 * Segment Anything's automatic masks against its authors' generator: number and order of masks, what their records
 * say, and the pixels.
 */
import t from 'tap'
import { decodeMasks, loadModel, type MaskGeneratorOptions } from '../../ts/index.js'
import { type Case, Golden } from './support.js'

const golden = new Golden('sam-decoder')
// No shape tells how many heads there are.
const decoderHeads = golden.case('generate').config?.['decoder_heads'] as number
const model = await loadModel(golden.path('sam.safetensors'), { config: { decoderHeads } })
t.teardown(() => model.dispose())

/** The options of a case under our names. */
function optionsOf({ options = {} }: Case): MaskGeneratorOptions {
  const number = (name: string) => options[name] as number
  return {
    pointsPerSide: number('points_per_side'),
    pointsPerBatch: number('points_per_batch'),
    predIouThreshold: number('pred_iou_thresh'),
    stabilityThreshold: number('stability_score_thresh'),
    stabilityOffset: number('stability_score_offset'),
    boxNmsThreshold: number('box_nms_thresh'),
    cropLayers: number('crop_n_layers'),
    cropNmsThreshold: number('crop_nms_thresh'),
    cropOverlap: number('crop_overlap_ratio'),
    cropPointsDownscale: number('crop_n_points_downscale_factor'),
    minRegionArea: number('min_mask_region_area'),
  }
}

/** uint8 [count, height, width] of run lengths one after the other. */
function plainMasks(counts: ArrayLike<number>, lengths: ArrayLike<number>, height: number) {
  let at = 0
  return Array.from(lengths, length => {
    const runs = Array.from({ length }, () => counts[at++] as number)
    const width = runs.reduce((sum, run) => sum + run, 0) / height
    const mask = new Uint8Array(width * height)
    let place = 0
    for (const [i, run] of runs.entries()) {
      for (let k = 0; k < run; k++, place++) {
        mask[(place % height) * width + Math.floor(place / height)] = i % 2
      }
    }
    return mask
  })
}

for (const id of golden.ids('generate').filter(one => !one.startsWith('generator.'))) {
  t.test(id, async t => {
    const run = golden.case(id)
    const photo = golden.path(run.inputs['photo'] as string)
    const size = run.options?.['original_size'] as [number, number]
    const [height, width] = size
    const masks = await model.generateMasks(photo, optionsOf(run))
    const { masks: count, mask_min_agreement: least } = run.values as Record<string, number>
    t.equal(masks.length, count, 'as many masks')
    if (count === 0 || masks.length !== count) return
    const near = (name: string, got: readonly (readonly number[])[]) => {
      const { data, atol, rtol } = golden.expected(id, name)
      const flat = got.flat()
      t.equal(flat.length, data.length)
      const off = flat.filter((value, i) => {
        const wanted = data[i] as number
        return !(Math.abs(value - wanted) <= (atol ?? 0) + rtol * Math.abs(wanted))
      })
      t.strictSame(off, [], name)
    }
    near(
      'points_xy',
      masks.map(({ point }) => point),
    )
    near(
      'boxes_xywh',
      masks.map(({ bbox }) => bbox),
    )
    near(
      'predicted_iou',
      masks.map(({ predictedIou }) => [predictedIou]),
    )
    near(
      'stability',
      masks.map(({ stability }) => [stability]),
    )
    near(
      'areas',
      masks.map(({ area }) => [area]),
    )
    const crops = golden.expected(id, 'crop_boxes_xywh').data
    t.strictSame(
      masks.flatMap(({ cropBox }) => [...cropBox]),
      [...crops],
      'crops',
    )
    const wanted = plainMasks(
      golden.expected(id, 'rle_counts').data,
      golden.expected(id, 'rle_lengths').data,
      height,
    )
    using decoded = await decodeMasks(
      masks.map(({ rle }) => rle),
      { width, height },
    )
    const got = (await decoded.data()) as Uint8Array
    const pixels = width * height
    for (const [k, mask] of wanted.entries()) {
      let equal = 0
      for (let i = 0; i < pixels; i++) equal += Number(got[k * pixels + i] === mask[i])
      if (equal / pixels < (least as number)) t.fail(`mask ${k}: ${equal / pixels} of the pixels`)
    }
  })
}
