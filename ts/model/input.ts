import type { Call } from '../base/call.js'
import type {
  NativeAddon,
  NativeModel,
  NativePreprocess,
  NativeTensor,
} from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import type { NativeImage } from '../image/source.js'

/** A model and the addon that has it. @internal */
export interface Engine {
  readonly addon: NativeAddon
  readonly native: NativeModel
}

/** How a picture becomes a model's input: 'own' is what the checkpoint's configuration says. @internal */
export type InputFit = NativePreprocess['fit'] | 'own'

/** A picture as a model's input, [1, 3, S, S]; `size` is for fits other than 'own'. @internal */
export function toInput(
  { addon, native }: Engine,
  { pixels }: NativeImage,
  { fit, size }: { fit: InputFit; size: number },
  call: Call,
): Promise<NativeTensor> {
  const { mean, std } = native.info
  return callNative(addon, call, job =>
    fit === 'own'
      ? native.preprocess({ ...job, ...pixels })
      : addon.preprocess({ ...job, ...pixels, fit, size, mean, std }),
  )
}
