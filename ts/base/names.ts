/** Where a model computes: 'auto' takes CUDA when this build and machine have it, else the CPU. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

/**
 * Number format of the towers: 'auto' is float32 on the CPU and float16 on CUDA. 'int8' keeps the
 * weights of the linear layers in 8 bits and rounds what goes into them to 8 bits per token; it needs a
 * processor with VNNI instructions.
 */
export type ModelDType = 'auto' | 'float32' | 'bfloat16' | 'float16' | 'int8'

/** Every {@link ModelDType}. @internal */
export const MODEL_DTYPES = [
  'auto',
  'float32',
  'bfloat16',
  'float16',
  'int8',
] as const satisfies readonly ModelDType[]

/**
 * What kind of model a checkpoint holds: 'clip' (OpenAI, OpenCLIP and MetaCLIP ViTs), 'eva' (EVA02), 'siglip'
 * (SigLIP and SigLIP 2), 'pe' (Perception Encoder) and 'tips' (TIPSv2) have a space that pictures and texts
 * share; 'dino', 'dinov2', 'dinov3' and 'sam' are vision foundation models, which make patch features only.
 */
export type ModelFamily =
  | 'clip'
  | 'eva'
  | 'siglip'
  | 'pe'
  | 'tips'
  | 'dino'
  | 'dinov2'
  | 'dinov3'
  | 'sam'

/**
 * How a checkpoint's texts become ids: 'openai' and 'open_clip' have CLIP's own vocabulary and differ in the
 * spelling of its special tokens; all others have the vocabulary in the files beside the weights: 'folder' a CLIP
 * model's, 'siglip', 'siglip2', 'xlm-v' (MetaCLIP 2) and 'tips' (TIPSv2) their family's, as transformers makes
 * ids of it, 'open_clip-folder' as `open_clip_config.json` says.
 */
export type TokenizerKind =
  | 'openai'
  | 'open_clip'
  | 'folder'
  | 'siglip'
  | 'siglip2'
  | 'open_clip-folder'
  | 'xlm-v'
  | 'tips'

/**
 * How the last block of the vision tower makes patch features; see docs/architecture.md. Models with a
 * pooling head ('siglip', 'pe') have 'vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa' and 'proxyclip', which
 * change the head instead, and of their own 'declip', 'maskclip-projection' and 'qq-projection'.
 */
export const DENSE_MODES = [
  'vanilla',
  'maskclip',
  'qq',
  'kk',
  'vv',
  'csa',
  'all',
  'itaclip',
  'sclip',
  'clearclip',
  'naclip',
  'proxyclip',
  'corrclip',
  'scra',
  'scclip',
  'cat-seg',
  'declip',
  'maskclip-projection',
  'qq-projection',
] as const

/** One of {@link DENSE_MODES}. */
export type DenseMode = (typeof DENSE_MODES)[number]

/**
 * How the positional table is resized to another grid: 'scale-factor' is the rule of ITACLIP,
 * SCLIP, NACLIP, ClearCLIP and ProxyCLIP (bicubic with the factor (h + 0.1) / g), 'size' the one of
 * DeCLIP, CLIPSelf and Hugging Face (bicubic to exactly h x w).
 */
export type Positions = 'scale-factor' | 'size'

/** Element type of a {@link Tensor}. */
export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'uint8'
  | 'uint16'
  | 'int32'
  | 'int64'
  | 'bool'
