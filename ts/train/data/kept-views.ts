import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../../base/files.js'
import { nativePath } from '../../base/native-path.js'
import type { NativeAddon, NativeDetectorSample, NativeTensor } from '../../engine/addon-types.js'

/** A view of a picture: what the frozen tower makes of it, and the objects in it. */
export interface KeptView {
  /** Four of [1, C, G, G]. */
  readonly maps: readonly NativeTensor[]
  readonly sample: Omit<NativeDetectorSample, 'seed'>
}

/**
 * Keeps views of pictures by (sample, view), as many as it has room for. What it gives is the same whether it was kept
 * or is new: maps are rounded to the number format in which they are kept in either case.
 */
export interface ViewStore {
  /** To be released. */
  get(index: number, view: number): Promise<KeptView | undefined>
  /** Takes a new view; gives what `get` would. The maps must not be used any more. */
  put(index: number, view: number, made: KeptView): Promise<KeptView>
  release(view: KeptView): void
  dispose(): void
}

export interface StoreOptions {
  readonly addon: NativeAddon
  readonly dtype: 'float32' | 'bfloat16'
  /** Bytes that may be kept. */
  readonly room: number
}

function disposeView({ maps, sample }: KeptView): void {
  for (const map of maps) map.dispose()
  sample.masks?.dispose()
}

/** A view with its maps in a number format. */
async function rounded({ addon, dtype }: StoreOptions, made: KeptView): Promise<KeptView> {
  const maps: NativeTensor[] = []
  try {
    for (const map of made.maps) maps.push(await addon.joinMaps({ maps: [map], dtype }))
    return { maps, sample: made.sample }
  } catch (error) {
    for (const map of maps) map.dispose()
    throw error
  } finally {
    for (const map of made.maps) map.dispose()
  }
}

const WIDTHS: Readonly<Record<string, number>> = { float32: 4, bfloat16: 2, uint8: 1 }

function sizeOf({ maps, sample }: KeptView): number {
  const tensors = sample.masks ? [...maps, sample.masks] : maps
  return tensors.reduce(
    (sum, { shape, dtype }) => sum + shape.reduce((n, side) => n * side, 1) * (WIDTHS[dtype] ?? 8),
    16 * sample.labels.length,
  )
}

/** Keeps views in memory, the first ones that come. */
export class MemoryStore implements ViewStore {
  readonly #options: StoreOptions
  readonly #kept = new Map<string, KeptView>()
  readonly #own = new Set<KeptView>()
  #room: number

  constructor(options: StoreOptions) {
    this.#options = options
    this.#room = options.room
  }

  async get(index: number, view: number): Promise<KeptView | undefined> {
    return this.#kept.get(`${index} ${view}`)
  }

  async put(index: number, view: number, made: KeptView): Promise<KeptView> {
    const key = `${index} ${view}`
    const own = await rounded(this.#options, made)
    const size = sizeOf(own)
    // Another batch may have made it at the same time: then this one is not kept.
    if (size <= this.#room && !this.#kept.has(key)) {
      this.#room -= size
      this.#kept.set(key, own)
      this.#own.add(own)
    }
    return own
  }

  release(view: KeptView): void {
    if (!this.#own.has(view)) disposeView(view)
  }

  dispose(): void {
    for (const view of this.#own) disposeView(view)
    this.#kept.clear()
    this.#own.clear()
  }
}

const NAME = /^(\d+)-(\d+)\.safetensors$/

/** Keeps views in files, which a run that goes on finds again; each is written whole or not at all. */
export class FileStore implements ViewStore {
  readonly #options: StoreOptions
  readonly #folder: string
  readonly #there: Set<string>
  #room: number

  private constructor(
    options: StoreOptions,
    folder: string,
    found: { readonly names: readonly string[]; readonly bytes: number },
  ) {
    this.#options = options
    this.#folder = folder
    this.#there = new Set(found.names)
    this.#room = options.room - found.bytes
  }

  /**
   * @param folder - made where it is missing; what a killed process left there is removed
   * @param shared - how many processes write there
   * @throws DeclipError ERR_DECLIP_IO
   */
  static async open(options: StoreOptions, folder: string, shared = 1): Promise<FileStore> {
    try {
      await mkdir(folder, { recursive: true })
      const all = await readdir(folder)
      const names = all.filter(name => NAME.test(name))
      // What others are writing at this moment is theirs.
      const left = shared > 1 ? [] : all.filter(name => !NAME.test(name))
      await Promise.all(left.map(name => rm(join(folder, name), { force: true, recursive: true })))
      const sizes = await Promise.all(
        names.map(async name => (await stat(join(folder, name))).size),
      )
      const bytes = sizes.reduce((sum, size) => sum + size, 0)
      return new FileStore(options, folder, { names, bytes: bytes / shared })
    } catch (error) {
      throw ioError('write', folder, error)
    }
  }

  async get(index: number, view: number): Promise<KeptView | undefined> {
    const name = `${index}-${view}.safetensors`
    if (!this.#there.has(name)) return undefined
    try {
      return await this.#read(join(this.#folder, name))
    } catch {
      // Power may have failed before it was on the disk: it is made again.
      this.#there.delete(name)
      return undefined
    }
  }

  async #read(path: string): Promise<KeptView> {
    const { tensors, metadata } = await this.#options.addon.readSafetensors({
      path: nativePath(path),
    })
    const { width, height, boxes, labels } = JSON.parse(metadata['view'] as string)
    const maps = Object.keys(tensors)
      .filter(name => name.startsWith('map.'))
      .sort()
      .map(name => tensors[name] as NativeTensor)
    return {
      maps,
      sample: {
        width,
        height,
        boxes: Float32Array.from(boxes as number[]),
        labels: Int32Array.from(labels as number[]),
        masks: tensors['masks'],
      },
    }
  }

  async put(index: number, view: number, made: KeptView): Promise<KeptView> {
    const name = `${index}-${view}.safetensors`
    const own = await rounded(this.#options, made)
    const size = sizeOf(own)
    if (size > this.#room || this.#there.has(name)) return own
    this.#room -= size
    const { boxes, labels, masks, ...rest } = own.sample
    const maps = Object.fromEntries(own.maps.map((map, i) => [`map.${i}`, map]))
    const path = join(this.#folder, name)
    try {
      await this.#options.addon.writeSafetensors({
        path: nativePath(path),
        tensors: masks && labels.length > 0 ? { ...maps, masks } : maps,
        metadata: { view: JSON.stringify({ ...rest, boxes: [...boxes], labels: [...labels] }) },
      })
      this.#there.add(name)
    } catch (error) {
      disposeView(own)
      throw error
    }
    return own
  }

  release(view: KeptView): void {
    disposeView(view)
  }

  dispose(): void {}
}
