import type { Call, CallOptions } from '../base/call.js'
import { toPath } from '../base/files.js'
import { nativePath } from '../base/native-path.js'
import { refuseClones } from '../base/uncloneable.js'
import type { NativeBank } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon, prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import type { BankSource } from '../methods/options.js'
import { type About, type BankPart, checkModel, type KnownModel, parseAbout } from './about.js'

/** What a bank holds. */
export interface BankInfo {
  readonly pictures: number
  readonly regions: number
  /** Of the file or in memory. */
  readonly bytes: number
  /** Additions that it was built by. */
  readonly parts: number
  /** Bytes of an interrupted addition at the file's end, which are not used and will be written over. */
  readonly unfinished: number
  /** What regions are found by. */
  readonly keys: BankPart
  /** What encoders say of them; the first is the model that segments. */
  readonly values: readonly BankPart[]
}

/** A picture in a bank. */
export interface BankPicture {
  /** Its file's name without folder and ending. Its regions are `name#0`, `name#1` and so on. */
  readonly name: string
  /** Number of its first region in the bank. */
  readonly first: number
  readonly regions: number
}

/** Parts of a bank that was made elsewhere, see {@link Bank.fromParts}. */
export interface BankParts {
  /** float Tensor [N, C]: one row for each region. */
  readonly keys: Tensor
  /** float Tensor [N, E] of the model that segments, and those of further encoders. */
  readonly values: Tensor | readonly Tensor[]
  /** In order; CorrCLIP's registry has them as lines of name, first number and number of regions. */
  readonly pictures: string | readonly { readonly name: string; readonly regions: number }[]
}

const ADVICE =
  'A Bank is native memory of this thread and cannot be cloned or sent in a message. Open its file with Bank.open() where it is needed: processes share what is read of it.'

/**
 * Regions of unlabelled pictures that help to name those of others: see {@link buildBank}. Its file is mapped, so
 * that a bank may be larger than memory and processes share what is read.
 *
 * @example
 * ```ts
 * using bank = await Bank.open('photos.bank')
 * const seg = await segment('photo.jpg', words, { model, proxy, method: 'corrclip', masks: 'masks', bank })
 * ```
 */
export class Bank implements BankSource {
  /** What it holds and which models made it. */
  readonly info: BankInfo
  /** @internal */
  readonly native: NativeBank
  readonly #about: About
  /** Removes what nobody else needs. */
  readonly #release: (() => void) | undefined

  /** @internal */
  constructor(native: NativeBank, name: string, release?: () => void) {
    this.native = native
    const { about, keyWidth: _, valueWidths: __, ...counts } = native.info
    this.#about = parseAbout(about, name)
    this.#release = release
    this.info = { ...counts, ...this.#about }
    refuseClones(native, ADVICE)
  }

  /** Number of regions. */
  get size(): number {
    return this.info.regions
  }

  /**
   * Opens a bank's file: its table of contents is read and checked, rows when they are needed.
   *
   * @throws {@link DeclipError} ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS for what is no bank or is damaged
   */
  static async open(path: string | URL, options: CallOptions = {}): Promise<Bank> {
    return admit(options, call => openBank(path, call), { counts: false })
  }

  /**
   * A bank in memory of keys and values that were made elsewhere, such as the tensors that CorrCLIP's authors publish.
   * Nothing says which models made them, so that only the numbers of a row are compared.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for parts that do not go together
   */
  static async fromParts(parts: BankParts, options: CallOptions = {}): Promise<Bank> {
    return admit(options, async call => {
      const { keys } = parts
      const values = Array.isArray(parts.values) ? parts.values : [parts.values as Tensor]
      for (const [name, tensor] of [
        ['keys', keys] as const,
        ...values.map(v => ['values', v] as const),
      ]) {
        if (!(tensor instanceof Tensor) || tensor.shape.length !== 2) {
          throw invalid(name, 'a float Tensor, a row for each region', tensor)
        }
      }
      const pictures =
        typeof parts.pictures === 'string' ? parseRegistry(parts.pictures) : parts.pictures
      const part = ({ shape }: Tensor): BankPart => ({
        width: shape[1] as number,
        model: null,
        how: null,
      })
      const about: About = { keys: part(keys), values: values.map(part) }
      const addon = await prepareAddon()
      const native = await callNative(addon, call, job =>
        addon.bankOf({
          ...job,
          about: JSON.stringify(about),
          names: pictures.map(({ name }) => name),
          counts: pictures.map(({ regions }) => regions),
          keys: [keys.native],
          values: values.map(({ native }) => [native]),
        }),
      )
      return new Bank(native, 'the bank')
    })
  }

  /**
   * Its pictures, in the order of their regions.
   *
   * @throws {@link DeclipError} ERR_DECLIP_DISPOSED, ERR_DECLIP_ABORTED
   */
  async pictures(options: CallOptions = {}): Promise<BankPicture[]> {
    return admit(options, async call => {
      const { names, counts } = await callNative(loadAddon(), call, job =>
        this.native.pictures(job),
      )
      let first = 0
      return names.map((name, i) => {
        const regions = counts[i] as number
        first += regions
        return { name, first: first - regions, regions }
      })
    })
  }

  /**
   * The regions whose keys are nearest: exact, best first, of equal ones the lower number.
   *
   * @param keys - float Tensor [Q, C]; rows need no unit length
   * @returns `ids` int64 [Q, K], -1 where there are no more regions, and `scores` float32 [Q, K]: cosines times the
   * length of the row of `keys`
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_DISPOSED, ERR_DECLIP_ABORTED
   */
  async search(
    keys: Tensor,
    { neighbours = 20, ...options }: CallOptions & { neighbours?: number | undefined } = {},
  ): Promise<{ ids: Tensor; scores: Tensor }> {
    return admit(options, async call => {
      if (!(keys instanceof Tensor)) throw invalid('keys', 'a float Tensor [Q, C]', keys)
      if (!Number.isInteger(neighbours)) throw invalid('neighbours', 'a whole number', neighbours)
      const found = await callNative(loadAddon(), call, job =>
        this.native.search({ ...job, queries: keys.native, neighbours }),
      )
      return { ids: new Tensor(found.ids), scores: new Tensor(found.scores) }
    })
  }

  /**
   * Keys and values of regions as they are stored: float16 Tensors, a row for each.
   *
   * @param first - number of the first region
   * @param last - number of the one behind the last
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_DISPOSED
   */
  async rows(
    first = 0,
    last = this.size,
    options: CallOptions = {},
  ): Promise<{ keys: Tensor; values: Tensor[] }> {
    return admit(options, async call => {
      if (!Number.isSafeInteger(first)) throw invalid('first', 'a whole number', first)
      if (!Number.isSafeInteger(last)) throw invalid('last', 'a whole number', last)
      const { keys, values } = await callNative(loadAddon(), call, job =>
        this.native.rows({ ...job, first, last }),
      )
      return { keys: new Tensor(keys), values: values.map(native => new Tensor(native)) }
    })
  }

  /**
   * Reads every row and compares the checksums that were written with them.
   *
   * @throws {@link DeclipError} ERR_DECLIP_WEIGHTS naming what is damaged, ERR_DECLIP_IO, ERR_DECLIP_ABORTED
   */
  async verify(options: CallOptions = {}): Promise<void> {
    return admit(options, call => callNative(loadAddon(), call, job => this.native.verify(job)))
  }

  /**
   * Writes the bank as one file, whole or not at all.
   *
   * @throws {@link DeclipError} ERR_DECLIP_IO, ERR_DECLIP_DISPOSED, ERR_DECLIP_ABORTED
   */
  async save(path: string | URL, options: CallOptions = {}): Promise<void> {
    const target = nativePath(toPath('path', path))
    return admit(options, call =>
      callNative(loadAddon(), call, job => this.native.save({ ...job, path: target })),
    )
  }

  /** What it may be asked by: the weights that made it. @internal */
  async check(model: KnownModel, keyModel: KnownModel): Promise<void> {
    await checkModel('values', this.#about.values[0] as BankPart, model)
    await checkModel('keys', this.#about.keys, keyModel)
  }

  /** Whether rows made in this way may be added. @internal */
  get about(): About {
    return this.#about
  }

  /** What JSON.stringify() takes: {@link Bank.info}. */
  toJSON(): BankInfo {
    return this.info
  }

  /** Lets go of the file once the calls in flight are done. May be called again. */
  dispose(): void {
    this.native.dispose()
    this.#release?.()
  }

  /** As {@link Bank.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** @internal */
export async function openBank(
  path: string | URL,
  call: Call,
  release?: () => void,
): Promise<Bank> {
  const file = toPath('path', path)
  const addon = await prepareAddon()
  const native = await callNative(addon, call, job =>
    addon.openBank({ ...job, path: nativePath(file) }),
  )
  return new Bank(native, file, release)
}

/**
 * CorrCLIP's text of pictures: lines of name, number of the first region and number of regions.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the line
 */
function parseRegistry(text: string): { name: string; regions: number }[] {
  let next = 0
  const lines = text.split(/\r?\n/)
  return lines.flatMap((line, i) => {
    if (line === '') return []
    const [name = '', first, count, ...more] = line.split('\t')
    const regions = Number(count)
    if (name === '' || more.length > 0 || Number(first) !== next || !(regions >= 1)) {
      throw invalid(
        `pictures, line ${i + 1},`,
        `a name, the number of its first region (${next}) and how many there are, with tabs between`,
        line,
      )
    }
    next += regions
    return [{ name, regions }]
  })
}
