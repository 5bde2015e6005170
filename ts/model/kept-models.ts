import type { Device, ModelDType } from '../base/names.js'
import type { Model } from './model.js'

/** Models that calls named by source, kept for the calls that follow. */
const kept = new Map<string, Promise<Model>>()

/** The model of a source, loaded at the first call that names it. @internal */
export function keptModel(
  source: string,
  device: Device,
  dtype: ModelDType,
  load: () => Promise<Model>,
): Promise<Model> {
  const key = JSON.stringify([source, device, dtype])
  let loading = kept.get(key)
  if (!loading) {
    loading = load()
    kept.set(key, loading)
    loading.catch(() => kept.delete(key))
  }
  return loading
}

/**
 * Disposes the models that {@link segment}, {@link segmentMany} and `proxy.model` loaded by name and
 * kept.
 *
 * @example
 * ```ts
 * await segment('photo.jpg', ['cat', 'background'])
 * await releaseModels()
 * ```
 */
export async function releaseModels(): Promise<void> {
  const models = [...kept.values()]
  kept.clear()
  for (const result of await Promise.allSettled(models)) {
    if (result.status === 'fulfilled') result.value.dispose()
  }
}
