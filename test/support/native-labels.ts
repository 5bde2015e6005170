import type { NativeAddon, NativeLabels } from '../../ts/engine/addon-types.js'
import { loadAddon } from '../../ts/engine/load-addon.js'
import type { LabelMap } from '../../ts/image/label-map.js'

/** Hands a label map to the addon for as long as `use` takes. */
export async function withLabels<T>(
  { data, width, height }: LabelMap,
  classes: number,
  use: (addon: NativeAddon, native: NativeLabels) => Promise<T>,
): Promise<T> {
  const addon = loadAddon()
  const dtype = data instanceof Uint8Array ? 'uint8' : 'uint16'
  const labels = addon.tensor(data, [height, width], dtype)
  try {
    return await use(addon, { labels, classes })
  } finally {
    labels.dispose()
  }
}
