/**
 * Kernels against ceilings measured in the same run: a copy of as many bytes, or the products of the
 * same shapes. Each kernel is compared with plain loops before it is timed.
 */

const picture = { height: 480, width: 640 }
const tokens = 8 * 197

/** A copy that reads and writes as many bytes in all. */
const copy = bytes => ({ label: 'copy', task: 'copy', bytes: 4 * Math.ceil(bytes / 8) })
const products = sizes => ({ label: 'batched product', task: 'batched-product', ...sizes })
const packed = sizes => ({ label: 'large product', task: 'packed-product', ...sizes })

const planes = height => width => count => 4 * height * width * count
const pixels = planes(picture.height)(picture.width)

const pixelKernels = [
  { task: 'pamr-weights', sizes: picture, ceiling: copy(pixels(19)) },
  { task: 'pamr-steps', sizes: picture, ceiling: copy(pixels(24)) },
  { task: 'window-blend', sizes: { height: 336, width: 448 }, ceiling: copy(planes(336)(448)(1)) },
  { task: 'resize-plane', sizes: picture, ceiling: copy(pixels(1)) },
  { task: 'label-planes', sizes: { ...picture, classes: 21 }, ceiling: copy(pixels(21)) },
]

const layerKernels = ['float32', 'bfloat16'].flatMap(dtype => [
  {
    task: 'layer-norm',
    dtype,
    sizes: { rows: tokens, width: 768 },
    ceiling: copy(8 * tokens * 768),
  },
  ...[1, 8].map(terms => ({
    task: 'attention',
    variant: `${terms}-terms`,
    dtype,
    sizes: { batch: 8, tokens: 197, terms },
    ceiling: products({ batch: 96, m: 197, k: 64, n: 197 }),
  })),
  ...[
    ['qkv', 768, 2304, 'none'],
    ['out', 768, 768, 'residual'],
    ['fc1', 768, 3072, 'silu'],
    ['fc2', 3072, 768, 'residual'],
  ].map(([variant, from, to, epilogue]) => ({
    task: 'linear',
    variant,
    dtype,
    sizes: { rows: tokens, in: from, out: to, epilogue },
    ceiling: packed({ rows: 2048, in: 2048, out: 2048 }),
  })),
])

const regionSizes = { channels: 512, side: 64, regions: 100 }
const regionKernels = ['roi-align', 'mask-pool'].map(task => ({
  task,
  sizes: regionSizes,
  ceiling: products({ batch: 1, m: 100, k: 64 * 64, n: 512 }),
}))

// What a detector has for one picture: 1000 proposals, LVIS's words, the candidates of five levels.
const pooled = { regions: 1000, channels: 256, side: 640, out: 7 }
const detectorKernels = [
  ...['float32', 'bfloat16'].map(dtype => ({
    task: 'roi-align-levels',
    dtype,
    sizes: pooled,
    ceiling: copy((dtype === 'float32' ? 8 : 4) * 1000 * 49 * 256),
  })),
  { task: 'vote-scores', sizes: { rows: 1000, words: 1204 }, ceiling: copy(12 * 1000 * 1204) },
  { task: 'nms', sizes: { regions: 8000, classes: 5, limit: 1000 }, ceiling: copy(28 * 8000) },
]

export const kernelCases = [
  ...pixelKernels,
  ...layerKernels,
  ...regionKernels,
  ...detectorKernels,
].map(({ task, variant, dtype = 'float32', sizes, ceiling }) => ({
  name: ['kernels', task, variant, dtype].filter(Boolean).join('/'),
  kind: 'side-by-side',
  task: { name: task },
  programs: [
    { label: task, program: 'kernels', dtype, ...sizes },
    { program: 'kernels', dtype, ...ceiling },
  ],
  ceiling: ceiling.label,
  repeat: 20,
}))
