import * as v from 'valibot'

/**
 * Every field of a training configuration: its type, range, default and source. The types of the
 * API, the checks, the messages and the tables of docs/guides/training.md come from here.
 *
 * Defaults are those of the published programs (CLIPSelf and DeCLIP, `training/params.py` and
 * `scripts/`) where there are any.
 */

type Schema = v.GenericSchema

const field = <S extends Schema>(schema: S, text: string) => v.pipe(schema, v.description(text))
const optional = <S extends Schema>(schema: S, text: string) => v.optional(field(schema, text))
/** A field with a default. */
const preset = <S extends Schema, const D extends v.InferInput<S>>(
  schema: S,
  value: D,
  text: string,
) => v.optional(field(schema, text), value)

const text = v.pipe(v.string(), v.minLength(1, 'must not be empty'))
const flag = v.boolean()
const whole = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  v.pipe(
    v.number(),
    v.check(
      x => Number.isSafeInteger(x) && x >= min && x <= max,
      max === Number.MAX_SAFE_INTEGER
        ? `must be a whole number from ${min}`
        : `must be a whole number from ${min} to ${max}`,
    ),
  )
const real = (min: number, max = Number.POSITIVE_INFINITY) =>
  v.pipe(
    v.number(),
    v.check(
      x => Number.isFinite(x) && x >= min && x <= max,
      max === Number.POSITIVE_INFINITY
        ? `must be a number from ${min}`
        : `must be a number from ${min} to ${max}`,
    ),
  )
const triple = v.pipe(v.array(v.number()), v.length(3, 'must have three numbers'))
const range = (min: number, max: number) =>
  v.pipe(
    v.array(real(min, max)),
    v.length(2, 'must have two numbers'),
    v.check(([low, high]) => (low as number) <= (high as number), 'must be [smaller, larger]'),
  )

const DATA_KINDS = ['folder', 'coco', 'captions', 'shards', 'labels', 'coco-stuff'] as const

const labelMap = v.pipe(
  v.record(v.string(), v.nullable(whole(0, 65_535))),
  v.check(
    map => Object.keys(map).every(key => /^\d{1,5}$/.test(key) && Number(key) <= 65_535),
    'must be an object of values in the files, 0 to 65535, and their class or null',
  ),
)

const data = v.strictObject({
  kind: field(
    v.picklist(DATA_KINDS),
    'folder: pictures below a folder; coco: a COCO-style JSON file; captions: a CSV, TSV or JSON-lines list; shards: tar files as WebDataset writes them; labels: pictures and index pictures of the same names; coco-stuff: COCO-Stuff\u2019s folders',
  ),
  path: field(
    text,
    'the folder, the JSON file, the list, or the tar files with braces: `train-{000..012}.tar`; labels: a folder with `images`, `labels` and `classes.txt`; coco-stuff: one with `images/train2017` and `stuffthingmaps/train2017`',
  ),
  images: optional(
    text,
    'coco, captions: folder that file names start from. Default: that of `path`. labels: folder of the pictures. Default: `images` of `path`',
  ),
  labels: optional(
    text,
    'labels: folder of the index pictures, PNG of 8 or 16 bits or TIFF. Default: `labels` of `path`',
  ),
  split: optional(text, 'coco-stuff: part of the data set. Default: train2017'),
  ignore: optional(
    whole(0, 65_535),
    'labels: value of pixels that are no class. Default: 255, in files of 16 bits 65535 too',
  ),
  reduceZero: optional(
    flag,
    'labels: 0 is no class either, and every other value one less. Default: false',
  ),
  labelMap: optional(
    labelMap,
    'labels: class of every value in the files, null for none: `{ "7": 0, "8": 1, "0": null }`. Default: the values are the classes',
  ),
  imageColumn: preset(text, 'image', 'captions: column or key of the picture'),
  captionColumn: preset(text, 'caption', 'captions: column or key of the caption'),
})

const augment = v.strictObject({
  crop: preset(
    range(0.01, 1),
    [1, 1],
    'share of the picture\u2019s area that a random crop keeps, [least, most]; [1, 1]: no crop, the picture is fitted into the square',
  ),
  ratio: preset(range(0.1, 10), [3 / 4, 4 / 3], 'width over height of a crop, [least, most]'),
  mirror: preset(real(0, 1), 0, 'share of pictures that are mirrored'),
  brightness: preset(real(0, 1), 0, 'brightness times 1 - x to 1 + x'),
  contrast: preset(real(0, 1), 0, 'contrast times 1 - x to 1 + x'),
  saturation: preset(real(0, 1), 0, 'saturation times 1 - x to 1 + x'),
  hue: preset(real(0, 180), 0, 'hue turned by -x to x degrees'),
})

const schedule = v.strictObject({
  kind: preset(
    v.picklist(['constant', 'cosine', 'constant-cooldown', 'step']),
    'cosine',
    'course of the learning rate after its warm-up; step: times `decay` after each of `milestones`. fvit: step',
  ),
  rate: preset(
    real(0),
    1e-5,
    'largest learning rate; the papers: 1e-5 for 16 pictures a step; F-ViT 1e-4 for 64, CAT-Seg 2e-4 for 4, which are their defaults',
  ),
  warmup: preset(whole(0), 1000, 'steps of linear warm-up; fvit: 250, cat-seg: 0'),
  warmupFrom: optional(
    real(0, 1),
    'share of the rate that the warm-up begins with (mmcv). Default: the programs\u2019, 1 / warmup; fvit: 0.001',
  ),
  milestones: optional(
    v.array(real(0)),
    'step: epochs, parts of them too, after which the rate falls. Default of fvit: none for coco, 32 and 44 for lvis',
  ),
  decay: preset(real(0, 1), 0.1, 'step: what the rate is multiplied by then'),
  cooldown: preset(whole(0), 0, 'constant-cooldown: last steps, in which the rate falls'),
  cooldownPower: preset(real(0), 1, 'constant-cooldown: power of the polynomial'),
  cooldownEnd: preset(real(0), 0, 'constant-cooldown: rate at the end'),
})

const optimizer = v.strictObject({
  beta1: optional(real(0, 1), 'AdamW. Default: the programs\u2019, 0.9'),
  beta2: optional(real(0, 1), 'Default: the programs\u2019, 0.999 for EVA, 0.98 for plain ViTs'),
  epsilon: optional(real(0), 'Default: the programs\u2019, 1e-8 for EVA, 1e-6 for plain ViTs'),
  weightDecay: preset(
    real(0),
    0.1,
    'decoupled, of parameters of two and more dimensions; fvit: of all; cat-seg: 1e-4, of all but norms',
  ),
  clipNorm: preset(
    real(0),
    0,
    'largest L2 norm of all gradients; 0: not clipped. fvit: 1, cat-seg: 0.01',
  ),
  emaDecay: preset(real(0, 1), 0, 'running average of the weights, per step; 0: none is kept'),
})

const newModel = v.strictObject({
  family: preset(v.picklist(['clip', 'eva']), 'clip', 'plain ViT, or EVA02'),
  imageSize: field(whole(1), 'side of a picture in pixels'),
  patchSize: field(whole(1), 'side of a patch in pixels'),
  width: field(whole(1), 'channels of the image tower'),
  layers: field(whole(1), 'its blocks'),
  heads: field(whole(1), 'its attention heads'),
  mlp: field(whole(1), 'hidden width of its MLPs'),
  embedDim: field(whole(1), 'channels of the space that pictures and texts share'),
  activation: optional(v.picklist(['gelu', 'quick_gelu']), 'clip: default gelu'),
  start: preset(
    v.picklist(['random', 'structured']),
    'random',
    'random: OpenCLIP\u2019s and EVA-CLIP\u2019s; structured, clip only: patches as DCT coefficients, positions as waves, queries like keys, which helps small towers',
  ),
  mean: optional(triple, 'pixel statistics on the 0..1 scale. Default: OpenAI\u2019s'),
  std: optional(triple, 'the same'),
  text: field(
    v.strictObject({
      width: field(whole(1), 'channels of the text tower; its MLP is four times as wide'),
      layers: field(whole(1), 'its blocks'),
      heads: field(whole(1), 'its attention heads'),
      contextLength: preset(whole(3), 77, 'longest text in tokens'),
      vocab: preset(
        whole(49408, 1 << 20),
        49408,
        'rows of the token table; CLIP\u2019s tokenizer has 49,408 ids',
      ),
    }),
    'the text tower',
  ),
})

const regions = v.strictObject({
  source: preset(
    v.picklist(['grid', 'proposals']),
    'grid',
    'clipself, declip: cells of a random grid (\u201cimage patches\u201d), or the boxes of the data',
  ),
  maxBoxes: preset(whole(1, 1000), 20, 'boxes of a picture at most (`max-boxes`)'),
  maxSplit: preset(whole(1, 100), 6, 'grid: rows and columns at most (`max-split`)'),
  minSize: preset(real(0), 8, 'proposals: smaller boxes are left out, side in pixels'),
  maxSize: preset(real(0), 1024, 'proposals: larger boxes are left out, side in pixels'),
  cropScale: optional(
    real(1, 10),
    'what a crop\u2019s sides are of its box\u2019s. Default: 1 for a grid, 1.5 for proposals',
  ),
})

/** What weights cannot tell; see ConfigOptions. */
const told = v.strictObject({
  headWidth: optional(whole(1), 'channels per attention head of the image tower'),
  textHeads: optional(whole(1), 'attention heads of the text tower'),
  activation: optional(v.picklist(['quick_gelu', 'gelu']), 'of the image tower\u2019s MLPs'),
  textActivation: optional(v.picklist(['quick_gelu', 'gelu']), 'of the text tower\u2019s MLPs'),
  layerNormEps: optional(real(0, 1), 'epsilon of every LayerNorm'),
})

const teacher = v.strictObject({
  model: field(text, 'declip: a DINO, DINOv2, DINOv3, SAM or CLIP that loadModel takes'),
  mode: preset(
    v.picklist(['vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa', 'all']),
    'vanilla',
    'dense mode of a CLIP as the teacher; the others have only vanilla',
  ),
  dtype: preset(
    v.picklist(['auto', 'float32', 'bfloat16', 'float16']),
    'auto',
    'its number format',
  ),
  config: optional(told, 'what its weights cannot tell'),
})

/** F-ViT's heads; what is not given takes the value of the released configuration of `variant`. */
const detector = v.strictObject({
  variant: preset(
    v.picklist(['coco', 'lvis']),
    'coco',
    'released configuration that gives the defaults, those of `schedule`, `optimizer`, `epochs` and `templates` too',
  ),
  novel: optional(
    v.union([text, v.array(text)]),
    'classes that are not learned, or a file with one a line; their boxes are left out. Default: the 17 of OV-COCO where the classes are its 65, with lvis the rare ones where the data tell',
  ),
  masks: optional(
    flag,
    'a mask head, learned from the data\u2019s segmentations. Default: with lvis',
  ),
  rpnNorm: optional(flag, 'batch norms in the RPN. Default: with lvis'),
  channels: preset(whole(1), 256, 'of the pyramid and the heads'),
  hidden: optional(
    whole(1),
    'width of the box head\u2019s linear layers. Default: the words\u2019',
  ),
  convolutions: preset(whole(0, 16), 4, 'of the box head and the mask head'),
  blocks: optional(
    v.pipe(v.array(whole(0)), v.length(4, 'must have four numbers')),
    'tower blocks whose output is taken, from 0, the shallowest first. Default: by the depth, 3, 5, 7, 11 of 12',
  ),
  mode: preset(
    v.picklist(['vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa']),
    'maskclip',
    'dense mode of the last block: maskclip is CLIPSelf\u2019s value-only form, qq DeCLIP\u2019s',
  ),
  temperature: preset(real(0), 50, 'factor on the box head\u2019s cosines at the start'),
  backgroundWeight: optional(
    real(0),
    'weight of the background in the classification loss. Default: 0.6, with lvis 0.9',
  ),
  rpnSamples: preset(whole(1), 256, 'anchors of a picture that the RPN learns from'),
  perLevel: preset(whole(1), 2000, 'candidates of a level of the pyramid'),
  proposals: preset(whole(1), 1000, 'of a picture after suppression'),
  proposalNms: preset(real(0, 1), 0.7, 'IoU above which the worse of two proposals is dropped'),
  boxSamples: preset(whole(1), 512, 'boxes of a picture that the box head learns from'),
  boxPositiveShare: preset(real(0, 1), 0.25, 'of them such as show an object at most'),
  boxIou: preset(real(0, 1), 0.5, 'IoU from which a box shows an object'),
  lowQualityBoxes: optional(flag, 'low-quality matching in the box head. Default: with lvis'),
  normMomentum: preset(real(0, 1), 0.1, 'of the running statistics of batch norms'),
  jitter: preset(
    range(0.01, 16),
    [0.1, 2],
    'long side of the picture as a share of the square\u2019s, [least, most]; larger pictures are cropped',
  ),
  mirror: preset(real(0, 1), 0.5, 'share of pictures that are mirrored'),
  views: optional(
    whole(1),
    'fixed draws of crop and mirror of a picture, which take turns; what the frozen tower makes of them is kept. Default: new draws every time, and nothing is kept',
  ),
  cache: optional(
    v.strictObject({
      kind: preset(
        v.picklist(['memory', 'file']),
        'memory',
        'where the tower\u2019s maps of `views` are kept; file: in `maps/` of the run\u2019s folder, also for a run that goes on',
      ),
      gigabytes: preset(
        real(0),
        4,
        'they may take, by all processes; what is beyond is made again every time',
      ),
      dtype: preset(
        v.picklist(['float32', 'bfloat16']),
        'float32',
        'number format in which they are kept; bfloat16 rounds all of them, kept or not',
      ),
    }),
    'keeping of the tower\u2019s maps',
  ),
})

const pair = v.pipe(v.array(whole(1)), v.length(2, 'must have two numbers'))

/** Sizes of CAT-Seg's head; what is not given is as released. */
const catSegHead = v.strictObject({
  channels: optional(whole(1), 'of the aggregator. Default: 128'),
  layers: optional(whole(1, 64), 'of it, each over places and over words. Default: 2'),
  heads: optional(whole(1), 'of its attention. Default: 4'),
  window: optional(whole(1), 'of its attention over places, in patches. Default: 12'),
  imageGuidance: optional(whole(1), 'channels that come along over places. Default: 128'),
  textGuidance: optional(whole(1), 'channels that come along over words. Default: 128'),
  guidance: optional(pair, 'channels of the two tower maps that guide. Default: 256, 128'),
  decoder: optional(pair, 'channels of the decoder\u2019s two steps. Default: 64, 32'),
  decoderGuidance: optional(pair, 'channels that join in there. Default: 32, 16'),
  wordLimit: optional(
    whole(0, 65_536),
    'words of a window that are aggregated, and the number that is filled up to with padding. Default: 256',
  ),
})

/** CAT-Seg; what is not given is as in the released configurations. */
const catSeg = v.strictObject({
  clip: preset(
    v.picklist(['attention', 'none']),
    'attention',
    'what of the towers learns: queries and values (with EVA the whole in-projection of the text tower), or nothing',
  ),
  clipRate: preset(real(0), 0.01, 'their share of the learning rate'),
  pooling: preset(
    whole(1, 2),
    2,
    'side in patches of what is averaged before words attend to each other, in evaluations on the way too',
  ),
  sampledWords: preset(
    whole(0),
    0,
    'words that a batch learns from: those in its labels and others at random; fewer make steps shorter. 0, as published: all',
  ),
  prompt: optional(
    text,
    'around class names, {} for the name. Default: the model\u2019s, else `A photo of a {} in the scene`',
  ),
  side: optional(
    whole(1),
    'of the tower\u2019s picture in pixels. Default: 384, 336 for L/14. imageSize is that of the crop, which is resized to it',
  ),
  canvas: optional(
    whole(1),
    'side of the square that windows are cut from afterwards. Default: 640',
  ),
  cut: optional(whole(1), 'side of such a window. Default: 384'),
  stride: optional(whole(1), 'of such windows. Default: 256'),
  blocks: optional(
    v.pipe(v.array(whole(0)), v.length(2, 'must have two numbers')),
    'tower blocks whose output guides, from 0, the shallower first. Default: by the depth, 3 and 7 of 12',
  ),
  mode: optional(
    v.picklist(['vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa', 'cat-seg']),
    'dense mode of the last block. Default: cat-seg, for EVA csa',
  ),
  unitPatches: optional(flag, 'patches enter with length 1. Default: for EVA'),
  head: optional(catSegHead, 'sizes of a new head'),
  scale: preset(
    range(0.1, 8),
    [1, 1],
    'short side of a picture as a share of the crop\u2019s side, [least, most]; what is larger is cropped',
  ),
  longSide: preset(whole(1, 16_384), 1333, 'most of its long side in pixels'),
  jitter: preset(
    real(0, 1),
    0.5,
    'share of pictures in which each of brightness, contrast, saturation and hue is changed (SSD\u2019s)',
  ),
  mirror: preset(real(0, 1), 0.5, 'share of pictures that are mirrored'),
})

const evaluation = v.strictObject({
  every: field(whole(1), 'steps between evaluations; the last step has one too'),
  dataset: preset(
    v.picklist([
      'folder',
      'coco-ov',
      'lvis',
      'coco-stuff',
      'ade20k',
      'ade20k-847',
      'context59',
      'context459',
      'voc20',
      'voc20b',
    ]),
    'folder',
    'what `declip eval --dataset` takes: folder, coco-ov and lvis for fvit, all but coco-ov and lvis for cat-seg',
  ),
  data: field(text, 'its folder'),
  kind: optional(
    v.picklist(['bbox', 'segm']),
    'fvit: boxes or masks are compared. Default: as for `declip eval`',
  ),
  limit: optional(whole(1), 'only the first so many pictures. Default: all'),
  keepBest: preset(
    flag,
    false,
    'the weights with the best headline so far are kept in `best/`: AP50 of novel classes, of rare ones AP for lvis, else AP50; cat-seg: mIoU',
  ),
})

export const OBJECTIVES = [
  'clipself',
  'declip',
  'region-text',
  'contrastive',
  'fvit',
  'cat-seg',
] as const
const TEMPLATE_SETS = ['imagenet', 'vild', 'subset', 'tcl', 'none'] as const

export const trainConfig = v.strictObject({
  objective: field(
    v.picklist(OBJECTIVES),
    'clipself: regions imitate crops (arXiv:2310.01403); declip: the same, and relations of a foundation model\u2019s features (arXiv:2505.04410); region-text: regions and class names (CLIPSelf\u2019s RegionCLIP form); contrastive: pictures and captions (CLIP, arXiv:2103.00020); fvit: a detector\u2019s heads on the frozen model (CLIPSelf\u2019s F-ViT); cat-seg: segmentation by aggregated costs, with the towers\u2019 attention (arXiv:2303.11797)',
  ),
  out: field(text, 'run folder; everything is written here'),
  model: optional(text, 'checkpoint to start from, as loadModel takes it'),
  newModel: optional(newModel, 'instead of `model`: sizes of a model that has learnt nothing'),
  pretrained: optional(
    text,
    'what crops are encoded with and ensembling mixes in. Default: `model`',
  ),
  modelConfig: optional(told, 'what the weights of `model` and `pretrained` cannot tell'),
  data: field(data, 'what is learnt from'),
  batch: preset(whole(1), 16, 'pictures of a step and process; fvit: 8, cat-seg: 4'),
  accumulate: preset(whole(1), 1, 'such batches whose gradients make one step'),
  epochs: preset(
    whole(1),
    6,
    'passes over the data; `steps` overrides it. fvit: 3 for coco, 48 for lvis',
  ),
  steps: optional(whole(1), 'steps in all. cat-seg: 80000'),
  imageSize: optional(
    whole(1),
    'side of the student\u2019s square picture in pixels. Default: the model\u2019s own; the papers: 1024 (B/16), 896 (L/14), DeCLIP\u2019s scripts 560. fvit: 640 for coco, 1024 for lvis, 896 with patches of 14 pixels. cat-seg: of the crop, `catSeg.cut`',
  ),
  multiscale: optional(
    v.pipe(v.array(whole(1)), v.minLength(1, 'must name at least one side')),
    'clipself: sides one of which is drawn for every step (`multiscale`; the program: 320, 640, 896, 1024). Default: `imageSize` always',
  ),
  mode: preset(
    v.picklist(['qq', 'kk', 'vv', 'csa', 'all']),
    'qq',
    'declip: attention of the last block, and which projections imitate the teacher',
  ),
  contentWeight: preset(real(0), 1, 'declip: weight of the content loss'),
  contextWeight: preset(
    real(0),
    0.1,
    'declip: weight of the context loss; the scripts 0.1, the paper 0.25',
  ),
  teacher: optional(
    teacher,
    'declip: the foundation model, or a CLIP with good dense features in its place; without it there is no context loss',
  ),
  regions: preset(regions, {}, 'boxes and crops'),
  classes: optional(
    v.union([text, v.array(text)]),
    'region-text, fvit, cat-seg: class names, or a file with one a line. Default: the names that the data bring; cat-seg: `classes.txt` of `data.path`, of a line of several words the first',
  ),
  classFeatures: optional(
    text,
    'region-text: unit features of the classes [C, E] from a safetensors file, instead of the text tower\u2019s; fvit: those of the classes and of \u201cbackground\u201d, by name or in this order, from a .npy, safetensors or torch file',
  ),
  templates: preset(
    v.union([v.picklist(TEMPLATE_SETS), v.pipe(v.array(text), v.minLength(1))]),
    'imagenet',
    'prompts around class names: imagenet, vild, subset, tcl, none, or a list with {} for the name. region-text and fvit take the mean of all, contrastive draws one per class and step. fvit: vild',
  ),
  leastClasses: preset(whole(1), 100, 'region-text: classes that a loss is made of at least'),
  regionLoss: preset(
    v.picklist(['sigmoid', 'softmax']),
    'sigmoid',
    'region-text: the programs\u2019 binary cross-entropies, or one over the classes',
  ),
  regionWeight: preset(
    real(0),
    0,
    'contrastive: weight of a region-text loss over the boxes of the data; 0: none',
  ),
  trainText: preset(flag, true, 'contrastive: the text tower and the logit scale learn too'),
  unlockedGroups: optional(
    whole(1),
    'last groups of the image tower that learn (`lock-image-unlocked-groups`). Default: all blocks; contrastive: everything',
  ),
  augment: optional(augment, 'region-text, contrastive: random changes of the pictures'),
  detector: optional(detector, 'fvit: the heads and how they learn'),
  catSeg: optional(catSeg, 'cat-seg: the head, what learns, and how pictures are changed'),
  evaluate: optional(
    evaluation,
    'fvit: average precision on the way; cat-seg: mIoU, of the whole picture as one window and with the pooling of training',
  ),
  schedule: preset(schedule, {}, 'learning rate'),
  optimizer: preset(optimizer, {}, 'AdamW'),
  alpha: preset(
    real(0, 1),
    1,
    'share of the student in exported weights, the rest is the pretrained model\u2019s; the papers: 0.7 (B/16), 0.95 (L/14)',
  ),
  device: preset(
    v.pipe(v.string(), v.regex(/^(cpu|cuda(:\d+)?)$/, "must be 'cpu', 'cuda' or 'cuda:1'")),
    'cpu',
    'where it computes',
  ),
  dtype: preset(v.picklist(['float32', 'bfloat16']), 'float32', 'number format of the products'),
  checkpointActivations: preset(flag, false, 'compute blocks again on the way back: less memory'),
  seed: preset(whole(0, 2 ** 32 - 1), 0, 'of weights, order, regions and augmentation'),
  threads: optional(whole(1), 'CPU threads to compute with'),
  prefetch: preset(whole(1, 64), 2, 'batches that are made ahead'),
  logEvery: preset(whole(1), 1, 'steps between lines of the log'),
  saveEvery: preset(whole(1), 500, 'steps between saved states'),
  exportEvery: optional(whole(1), 'steps between exported weights. Default: at the end only'),
})

/** A configuration as it is written. */
export type TrainConfig = v.InferInput<typeof trainConfig>
/** A configuration with its defaults. @internal */
export type ResolvedConfig = v.InferOutput<typeof trainConfig>
/** Of {@link ResolvedConfig}, with objective 'cat-seg'. @internal */
export type CatSegFields = NonNullable<ResolvedConfig['catSeg']>
/** Of {@link ResolvedConfig}, with objective 'fvit'. @internal */
export type DetectorFields = NonNullable<ResolvedConfig['detector']>
