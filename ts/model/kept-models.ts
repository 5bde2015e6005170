import { realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Device, ModelDType } from '../base/names.js'
import { gauges } from '../engine/stats.js'
import { isBundled } from '../hub/resolve-source.js'
import type { Model } from './model.js'

interface Kept {
  /** The source without what depends on the working folder. */
  readonly place: string
  /** What was asked for, as a text. */
  readonly asked: string
  readonly loading: Promise<Model>
}

/** Models that calls named by source, kept for the calls that follow. */
let kept: Kept[] = []
gauges.models = () => kept.length

/**
 * The model of a source, loaded at the first call that names it. One that runs on the device and in the
 * number format that is asked for is taken whatever it was asked for with.
 *
 * @internal
 */
export async function keptModel(
  source: string,
  device: Device,
  dtype: ModelDType,
  load: () => Promise<Model>,
): Promise<Model> {
  const place = await placeOf(source)
  const asked = JSON.stringify([device, dtype])
  const known = kept.find(one => one.place === place && one.asked === asked)
  if (known) return known.loading
  const others = kept.filter(one => one.place === place)
  const entry = { place, asked, loading: loadOnce(others, device, dtype, load) }
  kept.push(entry)
  entry.loading.catch(() => {
    kept = kept.filter(one => one !== entry)
  })
  return entry.loading
}

/** A model among `others` that is the same, else a new one. */
async function loadOnce(
  others: readonly Kept[],
  device: Device,
  dtype: ModelDType,
  load: () => Promise<Model>,
): Promise<Model> {
  const results = await Promise.allSettled(others.map(({ loading }) => loading))
  const loaded = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const same = (at: { device: string; dtype: string }) =>
    loaded.find(({ info }) => info.device === at.device && info.dtype === at.dtype)
  // 'cuda' and 'auto' say too little to look for; what they load may be there nevertheless.
  const found = same({ device, dtype })
  if (found) return found
  const model = await load()
  const twin = same(model.info)
  if (!twin) return model
  model.dispose()
  return twin
}

/** The real path of a source that is a file or folder; any other as it is. */
async function placeOf(source: string): Promise<string> {
  if (isBundled(source)) return source
  const path = source.startsWith('~/') ? join(homedir(), source.slice(2)) : source
  try {
    return await realpath(path.startsWith('file:') ? fileURLToPath(path) : resolve(path))
  } catch {
    return source
  }
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
  const models = kept
  kept = []
  for (const result of await Promise.allSettled(models.map(({ loading }) => loading))) {
    if (result.status === 'fulfilled') result.value.dispose()
  }
}
