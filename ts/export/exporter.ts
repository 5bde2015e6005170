import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ioError, writeFileAtomic } from '../base/files.js'
import { withLock } from '../base/lock.js'
import type { Shard } from '../base/shard.js'
import { warnOnce } from '../base/warn.js'
import { aborted, DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import type { Segmentation } from '../result/segmentation.js'
import { annotate } from './annotations.js'
import type { Format } from './format.js'
import { FORMATS } from './formats.js'
import { checkName } from './names.js'
import { PARTS, PartIndex, PartWriter, partFiles, partName } from './parts.js'
import { putPicture } from './pictures.js'
import {
  checkEmpty,
  checkSame,
  type ExportSettings,
  readSettings,
  SETTINGS_FILE,
  writeSettings,
} from './settings.js'

/** Where a data set is written and what becomes of one that is there. */
export interface ExporterOptions {
  readonly out: string
  readonly settings: ExportSettings
  readonly shard?: Shard | undefined
  /** Goes on with a data set that is there. */
  readonly skipExisting: boolean
  /** Removes a data set that is there. */
  readonly overwrite: boolean
  readonly signal?: AbortSignal | undefined
}

/** What was written for a picture. */
export interface Exported {
  readonly annotations: number
  /** Paths below the data set's folder. */
  readonly files: readonly string[]
}

/** Pieces of text that are written at a time, in characters. */
const WRITE_AT = 1 << 16

/**
 * A data set that is being written. Every picture's own files come first, then its line in the files of parts:
 * what has a line is done, whenever the process ends. The files that tell of all pictures are made of the
 * lines at the end, in the order of names, so that they are the same whatever was interrupted or done elsewhere.
 */
export class Exporter {
  readonly #out: string
  readonly #settings: ExportSettings
  readonly #format: Format
  readonly #index: PartIndex
  readonly #writer: PartWriter
  readonly #begun = new Set<string>()

  private constructor({ out, settings }: ExporterOptions, index: PartIndex, writer: PartWriter) {
    this.#out = out
    this.#settings = settings
    this.#format = FORMATS[settings.to]
    this.#index = index
    this.#writer = writer
  }

  /**
   * Calls `work` with the data set open, while no other process writes the same part of it.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for a folder that is in use otherwise or has other settings,
   * ERR_DECLIP_IO
   */
  static async run<T>(
    options: ExporterOptions,
    work: (exporter: Exporter) => Promise<T>,
  ): Promise<T> {
    const { out, settings, shard, overwrite, signal } = options
    await checkFolder(options)
    await mkdir(join(out, PARTS), { recursive: true }).catch(error => {
      throw ioError('write', out, error)
    })
    const path = join(out, PARTS, partName(shard))
    const onWait = () => warnOnce(`Another process writes to ${out}; waiting for it.`)
    return withLock(`${path}.lock`, { signal, onWait }, async () => {
      if (overwrite) await removeData(out)
      await writeSettings(out, settings)
      const index = new PartIndex()
      let size = 0
      for (const file of new Set([...(await partFiles(out)), path])) {
        const whole = await index.read(file)
        if (file === path) size = whole
      }
      const writer = await PartWriter.open(path, index, size)
      try {
        return await work(new Exporter(options, index, writer))
      } finally {
        await writer.close()
      }
    })
  }

  /** Number of pictures that are done. */
  get count(): number {
    return this.#index.count
  }

  /** Whether a picture is done. */
  has(name: string): boolean {
    return this.#index.has(name)
  }

  /**
   * Writes what is known of a picture.
   *
   * @param name - names it; a path below a folder, with slashes
   * @param file - what it is called in the data set
   * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO or ERR_DECLIP_ABORTED
   */
  async add(
    picture: { readonly name: string; readonly file: string; readonly image: ImageInput },
    segmentation: Segmentation,
    signal?: AbortSignal,
  ): Promise<Exported> {
    const { name } = picture
    if (this.has(name) || this.#begun.has(name)) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `Two pictures are called '${name}'; give each a name of its own.`,
      )
    }
    this.#begun.add(name)
    try {
      return await this.#write(picture, segmentation, signal)
    } finally {
      this.#begun.delete(name)
    }
  }

  async #write(
    { name, file: given, image }: Parameters<Exporter['add']>[0],
    segmentation: Segmentation,
    signal: AbortSignal | undefined,
  ): Promise<Exported> {
    const file = checkName(given)
    const { width, height } = segmentation
    const annotations = await annotate(segmentation, this.#settings, { signal })
    const written = await this.#format.write(
      { file, width, height, annotations, segmentation },
      this.#settings,
    )
    if (signal?.aborted) throw aborted(signal)
    const files: string[] = []
    if (this.#settings.pictures !== 'none') {
      const path = this.#format.placeOf(file, this.#settings)
      await putPicture(image, join(this.#out, path), this.#settings.pictures)
      files.push(path)
    }
    for (const { path, bytes } of written.files) {
      const target = join(this.#out, path)
      await mkdir(dirname(target), { recursive: true }).catch(error => {
        throw ioError('write', target, error)
      })
      await writeFileAtomic(target, bytes)
      files.push(path)
    }
    const { data } = written
    await this.#writer.append({
      name,
      file,
      width,
      height,
      annotations: annotations.length,
      files,
      ...(data !== undefined && { data }),
    })
    return { annotations: annotations.length, files }
  }

  /**
   * Writes the files that tell of all pictures.
   *
   * @returns their paths
   */
  async finish(signal?: AbortSignal): Promise<string[]> {
    await removeRemains(this.#out)
    return finish(this.#out, this.#index, this.#settings, signal)
  }
}

/** Writes the final files of a data set. */
export async function finish(
  out: string,
  index: PartIndex,
  settings: ExportSettings,
  signal?: AbortSignal,
): Promise<string[]> {
  const paths: string[] = []
  for (const { path, text } of FORMATS[settings.to].finish(index, settings)) {
    const target = join(out, path)
    await mkdir(dirname(target), { recursive: true }).catch(error => {
      throw ioError('write', target, error)
    })
    await writeFileAtomic(target, inPieces(text, signal))
    paths.push(target)
  }
  return paths
}

/** Larger pieces of a text. */
async function* inPieces(
  text: AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let piece = ''
  for await (const next of text) {
    if (signal?.aborted) throw aborted(signal)
    piece += next
    if (piece.length < WRITE_AT) continue
    yield Buffer.from(piece)
    piece = ''
  }
  yield Buffer.from(piece)
}

async function checkFolder(options: ExporterOptions): Promise<void> {
  const { out, settings, shard, skipExisting, overwrite } = options
  if (skipExisting && overwrite) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'skipExisting goes on with a data set and overwrite begins it anew; give one of them.',
    )
  }
  const there = await readSettings(out)
  if (!there) return checkEmpty(out)
  if (overwrite) return
  // Parts may share a folder; whichever comes first has said what the data set is.
  const isNewPart = shard !== undefined && !(await partFiles(out)).some(isPart(shard))
  if (!skipExisting && !isNewPart) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `There is a data set in ${out} already: skipExisting (--skip-existing) goes on with it, overwrite (--overwrite) begins it anew.`,
    )
  }
  checkSame(settings, there, out, 'give the same, or another folder')
}

function isPart(shard: Shard): (path: string) => boolean {
  return path => basename(path) === partName(shard)
}

/** Removes temporary files that a process left which was killed. */
async function removeRemains(out: string): Promise<void> {
  const names = await readdir(out, { recursive: true }).catch(() => [])
  for (const name of names) {
    if (/^\.declip-[0-9a-f]{16}\.tmp$/.test(basename(name)))
      await rm(join(out, name), { force: true })
  }
}

/** Removes what an export wrote, and nothing else. */
async function removeData(out: string): Promise<void> {
  const settings = await readSettings(out)
  if (!settings) return
  const index = new PartIndex()
  const parts = await partFiles(out)
  for (const path of parts) await index.read(path)
  for await (const { files } of index.records()) {
    for (const file of files) await rm(join(out, file), { force: true })
  }
  for (const { path } of FORMATS[settings.to].finish(index, settings)) {
    await rm(join(out, path), { force: true })
  }
  for (const path of [...parts, join(out, SETTINGS_FILE)]) await rm(path, { force: true })
}
