import type { DenseMode } from '../base/names.js'
import type { NativeDense } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import type { FoundationModel, ProxyOptions } from './options.js'

/**
 * The foundation model of `proxy.model`, which has been loaded by now; undefined without one.
 * @internal
 */
export function proxyModel(proxy: ProxyOptions | undefined): FoundationModel | undefined {
  const model = proxy?.model as FoundationModel | undefined
  if (model === undefined) return undefined
  const family = model?.info?.family
  if (family === undefined || model.native === undefined) {
    throw invalid('proxy.model', FOUNDATION_MODEL, model)
  }
  if (!model.info.textSpace) return model
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `proxy.model must be ${FOUNDATION_MODEL}, received a model of family '${family}'.`,
  )
}

/** @internal */
export const FOUNDATION_MODEL =
  'a vision foundation model (DINO, DINOv2, DINOv3 or SAM), loaded or as loadModel() takes it'

/** Modes whose attention comes from another model. @internal */
export const PROXY_MODES: readonly DenseMode[] = ['proxyclip', 'corrclip']

/** Where their attention comes from, for the addon; empty where neither source is given. @internal */
export function toNativeProxy(
  proxy: ProxyOptions | undefined,
  mode: DenseMode,
): Pick<NativeDense, 'proxyFeatures' | 'proxyModel' | 'proxyPart'> {
  const model = proxyModel(proxy)
  const features = proxy?.features
  if (features === undefined) {
    return { proxyModel: model?.native, proxyPart: model && partOf(proxy, model, mode) }
  }
  const ofModel = proxy?.part !== undefined ? 'part' : proxy?.sees !== undefined ? 'sees' : null
  if (ofModel !== null) {
    const message = `proxy.${ofModel} says what a proxy.model is asked for; proxy.features are there already. Leave it out.`
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', message)
  }
  if (!(features instanceof Tensor)) throw invalid('proxy.features', PROXY_FEATURES, features)
  if (model) {
    const message = 'proxy.features and proxy.model exclude each other; give one of them.'
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', message)
  }
  return { proxyFeatures: features.native }
}

/** What of the model's features is taken. */
function partOf(
  { part, sees }: ProxyOptions = {},
  { info }: FoundationModel,
  mode: DenseMode,
): ProxyOptions['part'] {
  if (sees === 'picture') {
    if (part !== 'query-key') return 'patches'
    const message =
      "proxy.part 'query-key' is of windows; with sees 'picture' the model gives its patches: leave `part` or `sees` out."
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', message)
  }
  return part ?? (mode === 'corrclip' && info.family === 'dino' ? 'query-key' : 'patches')
}

const PROXY_FEATURES = 'a Tensor [B, C, Hv, Wv]'
