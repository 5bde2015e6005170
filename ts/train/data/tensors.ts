import type { NativeAddon, NativeTensor } from '../../engine/addon-types.js'
import type { DecodedImage } from '../../image/decode.js'

/** Tensors along their first dimension, as one; they are disposed of. */
export async function joined(
  addon: Pick<NativeAddon, 'concatenate'>,
  tensors: readonly NativeTensor[],
): Promise<NativeTensor> {
  if (tensors.length === 1) return tensors[0] as NativeTensor
  try {
    return await addon.concatenate({ tensors })
  } finally {
    for (const tensor of tensors) tensor.dispose()
  }
}

/**
 * Pictures as a model's input [B, 3, S, S]: the long side becomes `size` (Pillow bicubic), black at the
 * right and bottom, normalised. CLIPSelf and DeCLIP, open_clip/transform.py.
 */
export async function padded(
  addon: Pick<NativeAddon, 'concatenate' | 'preprocess'>,
  images: readonly DecodedImage[],
  to: { readonly size: number; readonly mean: readonly number[]; readonly std: readonly number[] },
): Promise<NativeTensor> {
  const tensors = await Promise.all(
    images.map(({ data: pixels, width, height }) =>
      addon.preprocess({ pixels, width, height, fit: 'pad', ...to }),
    ),
  )
  return joined(addon, tensors)
}
