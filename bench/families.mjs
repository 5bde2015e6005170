/** Full-size models of every family of checkpoints, as data: kinds/families.mjs runs them. */

/** Programs of one model; `int8` and `bfloat16` take part where the processor has units for them. */
const programs = [
  { label: 'PyTorch', program: 'original' },
  { label: 'declip', program: 'declip', dtype: 'float32', agree: 0.9999 },
  { label: 'declip bfloat16', program: 'declip', dtype: 'bfloat16', agree: 0.98 },
  { label: 'declip int8', program: 'declip', dtype: 'int8', agree: 0.9 },
]

/** Names in peers/pytorch/families/full_size.py, and which library theirs is. */
const MODELS = [
  { model: 'siglip-base-patch16-224', library: 'transformers' },
  { model: 'siglip-so400m-patch14-384', library: 'transformers', turns: 1 },
  { model: 'siglip2-base-patch16-224', library: 'transformers' },
  { model: 'siglip2-base-patch16-naflex', library: 'transformers' },
  { model: 'ViT-B-16-SigLIP', library: 'open_clip' },
  { model: 'dinov3-vitb16', library: 'transformers' },
  { model: 'dinov3-vitl16', library: 'transformers' },
  { model: 'vit_base_patch16_dinov3', library: 'timm' },
  { model: 'tipsv2-b14', library: 'transformers', turns: 1 },
  { model: 'PE-Core-B-16', library: 'open_clip' },
  { model: 'PE-Core-L-14-336', library: 'open_clip', turns: 1 },
  { model: 'eva02-base-patch16-clip-224', library: 'open_clip' },
  { model: 'metaclip-2-b16', library: 'transformers' },
  { model: 'MobileCLIP2-L-14', library: 'open_clip' },
  { model: 'clip-vit-base-patch16', library: 'transformers' },
]

export const familyCases = MODELS.map(({ model: original, library, turns = 3 }) => ({
  name: `families/${original}`,
  kind: 'families',
  slow: '1 minute',
  original,
  library,
  programs,
  repeat: turns,
}))
