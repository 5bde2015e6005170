/**
 * A whole call of segment(): decoding, text, tower and pixels, on one picture.
 *
 * { model, method, options, photo, classes, proxy, repeat }
 * proxy  ProxyCLIP's patch size in pixels and channels of the features handed in
 */
import { segment, Tensor } from '../../dist/index.mjs'
import { METHODS } from '../../dist/methods/list.js'
import { PHOTO, VOC21 } from '../inputs.mjs'
import { check, peakRss, resetPeakRss } from '../measure.mjs'

/** Shorter side of the picture that answers are checked on, in pixels: few windows. */
const CHECK_SIDE = 224

export async function run(benchCase, { load }) {
  const { method, repeat } = benchCase
  const started = performance.now()
  const model = await load()
  const loadMs = performance.now() - started
  const loadRss = peakRss()

  const optionsFor = shortSide => ({
    ...benchCase.options,
    model,
    method,
    ...(shortSide && { shortSide }),
    ...(benchCase.proxy && { proxy: { features: proxyFeatures(benchCase, shortSide) } }),
  })
  resetPeakRss()
  const textMs = await checkLabels(optionsFor(CHECK_SIDE))
  const textRss = peakRss()

  resetPeakRss()
  const timings = []
  for (let i = 0; i < repeat; i++) {
    const seg = await segment(PHOTO, VOC21, optionsFor())
    timings.push(seg.timings)
    seg.dispose()
  }
  const of = step => timings.map(t => t[step])
  return {
    rows: [
      { what: 'total', samples: of('totalMs') },
      { what: 'decode', samples: of('decodeMs') },
      { what: 'encode', samples: of('encodeMs') },
      { what: 'pixels', samples: of('pixelsMs') },
      { what: 'load', samples: [loadMs] },
      { what: 'text', samples: [textMs] },
    ],
    notes: {
      'peak after loading': loadRss,
      'peak while encoding text': textRss,
      'peak while segmenting': peakRss(),
    },
  }
}

/**
 * Without thresholds and with one word per class, the label of a pixel is the class with the highest
 * score: the streamed labels against that of the scores, computed here. Returns the time of the text.
 */
async function checkLabels(options) {
  const seg = await segment(PHOTO, VOC21, {
    ...options,
    background: false,
    probThreshold: 0,
    areaThreshold: 0,
    closing: false,
    logits: true,
  })
  const labels = await seg.labels.data()
  const logits = await seg.logits.data()
  const pixels = seg.width * seg.height
  check(labels.length === pixels, `${labels.length} labels for ${pixels} pixels`)
  for (let i = 0; i < pixels; i++) {
    let best = Number.NEGATIVE_INFINITY
    for (let c = 0; c < VOC21.length; c++) best = Math.max(best, logits[c * pixels + i])
    const got = logits[labels[i] * pixels + i]
    check(best - got <= 1e-6, `pixel ${i}: its class scores ${got}, the best ${best}`) // NaN fails
  }
  seg.dispose()
  return seg.timings.textMs
}

/** Random patch features of a vision foundation model, one map per window. */
function proxyFeatures({ method, proxy }, shortSide) {
  const { window, stride, shortSide: side } = METHODS[method].preset
  const short = shortSide ?? side
  const windows = 1 + Math.ceil(Math.max(0, Math.round((short * 451) / 300) - window) / stride)
  const grid = window / proxy.patch
  const data = Float32Array.from({ length: windows * proxy.channels * grid ** 2 }, (_, i) =>
    Math.sin(i * i),
  )
  return Tensor.from(data, [windows, proxy.channels, grid, grid])
}
