/** SAM's file as transformers keeps it: the same tensors under other names. */

const PAIRS: readonly (readonly [RegExp, string])[] = [
  [/^image_encoder\.patch_embed\.proj\./, 'vision_encoder.patch_embed.projection.'],
  [/^image_encoder\.blocks\.(\d+)\.norm(\d)\./, 'vision_encoder.layers.$1.layer_norm$2.'],
  [/^image_encoder\.blocks\./, 'vision_encoder.layers.'],
  [/^image_encoder\.neck\.0\./, 'vision_encoder.neck.conv1.'],
  [/^image_encoder\.neck\.1\./, 'vision_encoder.neck.layer_norm1.'],
  [/^image_encoder\.neck\.2\./, 'vision_encoder.neck.conv2.'],
  [/^image_encoder\.neck\.3\./, 'vision_encoder.neck.layer_norm2.'],
  [/^image_encoder\./, 'vision_encoder.'],
  [
    /^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$/,
    'shared_image_embedding.positional_embedding',
  ],
  [/^prompt_encoder\.point_embeddings\./, 'prompt_encoder.point_embed.'],
  [/^prompt_encoder\.mask_downscaling\.0\./, 'prompt_encoder.mask_embed.conv1.'],
  [/^prompt_encoder\.mask_downscaling\.1\./, 'prompt_encoder.mask_embed.layer_norm1.'],
  [/^prompt_encoder\.mask_downscaling\.3\./, 'prompt_encoder.mask_embed.conv2.'],
  [/^prompt_encoder\.mask_downscaling\.4\./, 'prompt_encoder.mask_embed.layer_norm2.'],
  [/^prompt_encoder\.mask_downscaling\.6\./, 'prompt_encoder.mask_embed.conv3.'],
  [/^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\./, '$1.layer_norm$2.'],
  [/^(mask_decoder\.transformer)\.norm_final_attn\./, '$1.layer_norm_final_attn.'],
  [/^mask_decoder\.output_upscaling\.0\./, 'mask_decoder.upscale_conv1.'],
  [/^mask_decoder\.output_upscaling\.1\./, 'mask_decoder.upscale_layer_norm.'],
  [/^mask_decoder\.output_upscaling\.3\./, 'mask_decoder.upscale_conv2.'],
]

/** The name that a tensor of the authors' file has in transformers'. */
export function transformersName(name: string, all: Iterable<string>): string {
  const mlp =
    /^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.(\d+)\.(.*)$/.exec(
      name,
    )
  if (mlp) {
    const [, at = '', layer = '', rest = ''] = mlp
    const last = Math.max(
      ...[...all].flatMap(other => {
        const found = other.startsWith(`${at}.layers.`) && other.slice(at.length + 8).split('.')[0]
        return found ? [Number(found)] : []
      }),
    )
    const place = Number(layer)
    if (place === 0) return `${at}.proj_in.${rest}`
    return place === last ? `${at}.proj_out.${rest}` : `${at}.layers.${place - 1}.${rest}`
  }
  for (const [from, to] of PAIRS) if (from.test(name)) return name.replace(from, to)
  return name
}

/** `config.json` of a model of these sizes, as the manifest tells them. */
export function transformersConfig(config: Record<string, unknown>): object {
  return {
    model_type: 'sam',
    architectures: ['SamModel'],
    vision_config: {
      hidden_size: config['width'],
      num_hidden_layers: config['depth'],
      num_attention_heads: config['heads'],
      hidden_act: 'gelu',
      layer_norm_eps: config['encoder_layer_norm_eps'],
      window_size: config['window'],
      global_attn_indexes: config['global_blocks'],
    },
    mask_decoder_config: {
      num_attention_heads: config['decoder_heads'],
      layer_norm_eps: 1e-6, // what its files say and its authors' code does not do
    },
  }
}
