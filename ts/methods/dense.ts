import type { DenseMode, Positions } from '../base/names.js'
import type { NativeCorrClip, NativeDense, NativeScClip } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import { itaclip } from './itaclip.js'
import { naclip } from './naclip.js'
import type { CorrClipOptions, DenseOptions, ScClipOptions } from './options.js'
import { PROXY_MODES, toNativeProxy } from './proxy.js'
import { proxyclip } from './proxyclip.js'

/**
 * What the addon is told of the last block. What the caller leaves out is the value of the paper that the
 * mode is from, whichever method asks for the mode.
 *
 * @param options - checked by checkDense()
 * @param positions - the preset's; undefined for the rule of the mode's own code base
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function resolveDense(
  options: DenseOptions & { mode: DenseMode },
  positions?: Positions,
): NativeDense {
  const { mode, proxy } = options
  if (PROXY_MODES.includes(mode) && proxy?.features === undefined && proxy?.model === undefined) {
    throw invalid(
      'proxy',
      `{ model } or { features } for dense mode '${mode}': the vision foundation model that makes the features of every window, or these as a Tensor [B, C, Hv, Wv]`,
      proxy,
    )
  }
  return {
    mode,
    positions: options.positions ?? positions,
    residual: options.residual,
    feedForward: options.feedForward,
    neighboursOnly: options.neighboursOnly ?? false,
    ...toNativeProxy(proxy, mode),
    ...(options.corrclip !== undefined && { corrclip: toNativeCorrClip(options.corrclip) }),
    ...(options.regions !== undefined && { regions: toNativeRegions(options.regions) }),
    ...(options.scclip && { scclip: toNativeScClip(options.scclip) }),
    ...settings(options, mode),
  }
}

function toNativeCorrClip(options: CorrClipOptions): NativeCorrClip {
  const { unsegmented, ...own } = options
  return { ...own, smallestIsUnsegmented: unsegmented === 'smallest' }
}

function toNativeRegions(regions: Tensor): NativeDense['regions'] {
  if (regions instanceof Tensor && regions.dtype === 'int32' && regions.shape.length === 3) {
    return regions.native
  }
  throw invalid('regions', 'an int32 Tensor [B, H, W]', regions)
}

function toNativeScClip({ fusedBlocks, ...numbers }: ScClipOptions): NativeScClip {
  return { ...numbers, firstFused: fusedBlocks?.[0], lastFused: fusedBlocks?.[1] }
}

/** Those of one mode mean nothing to another, and are passed on only where the caller gave them. */
function settings(
  options: DenseOptions,
  mode: DenseMode,
): Pick<NativeDense, 'layers' | 'selfAttention' | 'gaussianStd' | 'proxyBeta' | 'proxyGamma'> {
  const own = (name: DenseMode) => mode === name || undefined
  return {
    layers: options.layers, // ITACLIP's are the core's, which knows the tower's depth
    selfAttention: options.selfAttention ?? (own('itaclip') && itaclip.preset.selfAttention),
    gaussianStd: options.gaussianStd ?? (own('naclip') && naclip.preset.gaussianStd),
    proxyBeta: options.proxy?.beta ?? (own('proxyclip') && proxyclip.preset.beta),
    proxyGamma: options.proxy?.gamma ?? (own('proxyclip') && proxyclip.preset.gamma),
  }
}
