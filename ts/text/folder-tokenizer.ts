import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { TokenizerKind } from '../base/names.js'
import { finishInTurns, finishNow, type Steps } from '../base/steps.js'
import { DeclipError, invalid } from '../errors.js'
import { openClipFolderTokenizer } from './open-clip.js'
import type { PieceTokenizer } from './piece-tokenizer.js'
import { siglipTokenizer } from './siglip.js'
import { siglip2Tokenizer } from './siglip2.js'
import type { TextTokenizer, TokenizeOptions, Tokens } from './text-tokenizer.js'
import { tipsTokenizer } from './tips.js'
import {
  readTokenizerFiles,
  readTokenizerFilesLater,
  type TokenizerFiles,
  unusableTokenizer,
} from './tokenizer-folder.js'
import { xlmVTokenizer } from './xlm-v.js'

/** Kinds whose vocabulary is the folder's own. */
export type FolderKind = Exclude<TokenizerKind, 'openai' | 'open_clip' | 'folder'>

/** How a folder's texts become ids. */
interface KindRules {
  /** Files of a vocabulary, the preferred first. */
  readonly files: readonly string[]
  readonly make: (files: TokenizerFiles, contextLength: number) => Steps<PieceTokenizer>
}

const JSON_FILE = 'tokenizer.json'
const SIGLIP_FILES = ['spiece.model', JSON_FILE, 'tokenizer.model']

/** SigLIP and SigLIP 2 have the same model type; which vocabulary a folder has says which of them it is. */
function* eitherSiglip(files: TokenizerFiles, contextLength: number): Steps<PieceTokenizer> {
  const { bytes, name } = files.vocabulary
  const isFirst = name === JSON_FILE ? bytes.includes('"Unigram"') : name === 'spiece.model'
  return yield* (isFirst ? siglipTokenizer : siglip2Tokenizer)(files, contextLength)
}

const KINDS: Readonly<Record<FolderKind, KindRules>> = {
  siglip: { files: SIGLIP_FILES, make: eitherSiglip },
  siglip2: { files: SIGLIP_FILES, make: eitherSiglip },
  'open_clip-folder': {
    files: [JSON_FILE, 'spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model'],
    make: openClipFolderTokenizer,
  },
  'xlm-v': { files: [JSON_FILE, 'sentencepiece.bpe.model'], make: xlmVTokenizer },
  tips: { files: [JSON_FILE, 'tokenizer.model', 'spiece.model'], make: tipsTokenizer },
}

/** What the text tower expects of its tokenizer. */
export interface TextTower {
  /** Rows of its table of ids. */
  readonly vocab: number
  /** Id that it pools at; null: not by an id. */
  readonly endToken: number | null
}

/**
 * A folder's tokenizer, which reads its files when it is first needed: {@link FolderTokenizer.ready} in turns with the
 * event loop, everything else at once where nobody has waited for that.
 */
export class FolderTokenizer implements TextTokenizer {
  readonly contextLength: number
  readonly #kind: KindRules
  readonly #name: string
  readonly #folder: string
  readonly #tower: TextTower | undefined
  #made: PieceTokenizer | undefined
  #making: Promise<void> | undefined

  constructor(
    kind: FolderKind,
    folder: string,
    options: {
      contextLength: number
      tower?: TextTower | undefined
      /** What open_clip does to a text first. */
      clean?: string | undefined
    },
  ) {
    this.#kind = KINDS[kind]
    this.#name = kind === 'siglip2' ? 'siglip' : [kind, options.clean].filter(Boolean).join(' ')
    this.#folder = folder
    this.#tower = options.tower
    this.contextLength = options.contextLength
  }

  /**
   * Reads the files; once, however often it is called.
   *
   * @throws DeclipError ERR_DECLIP_WEIGHTS where they are missing, damaged or another model's, ERR_DECLIP_IO where they
   * cannot be read
   */
  async ready(): Promise<void> {
    if (this.#made) return
    this.#making ??= this.#make().catch((error: unknown) => {
      this.#making = undefined // the file may be there at the next call
      throw error
    })
    await this.#making
  }

  async #make(): Promise<void> {
    const files = await readTokenizerFilesLater(this.#folder, this.#kind.files)
    const made = await finishInTurns(this.#steps(files))
    this.#made ??= made
  }

  get #tokenizer(): PieceTokenizer {
    this.#made ??= finishNow(this.#steps(readTokenizerFiles(this.#folder, this.#kind.files)))
    return this.#made
  }

  *#steps(files: TokenizerFiles): Steps<PieceTokenizer> {
    const { path } = files.vocabulary
    let made: PieceTokenizer
    try {
      made = yield* this.#kind.make(files, this.contextLength)
    } catch (error) {
      if (error instanceof DeclipError) throw error
      throw unusableTokenizer(path, (error as Error).message, error)
    }
    if (this.#tower) checkEnd(made, this.#tower, path)
    return made
  }

  /** What is read, without reading it. */
  get key(): string {
    const found = this.#kind.files
      .map(name => ({ name, size: sizeOf(join(this.#folder, name)) }))
      .find(({ size }) => size !== undefined)
    return `${this.#name} ${found?.name} ${found?.size}`
  }

  get padId(): number {
    return this.#tokenizer.padId
  }

  encode(text: string): number[] {
    if (typeof text !== 'string') throw invalid('text', 'a string', text)
    return this.#tokenizer.encode(text)
  }

  tokenize(texts: string | readonly string[], options?: TokenizeOptions): Tokens {
    const tokens = this.#tokenizer.tokenize(texts, options)
    const { vocab = Number.POSITIVE_INFINITY } = this.#tower ?? {}
    const outside = tokens.data.find(id => id >= vocab)
    if (outside === undefined) return tokens
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      `The tokenizer in ${this.#folder} gave the id ${outside}, and the text tower's table ends at ${vocab - 1}: it is another model's tokenizer, or it has pieces that the model was not trained with. Put the model's own tokenizer files beside its weights.`,
    )
  }
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size
}

/** A tower that looks for another end than the tokenizer makes would pool anything. */
function checkEnd(tokenizer: PieceTokenizer, { endToken }: TextTower, path: string): void {
  const { endId } = tokenizer
  if (endToken === null || endToken === endId) return
  throw new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `The text tower pools token ${endToken}, and the tokenizer in ${path} ends a text with ${endId ?? 'none'}. Put the model's own tokenizer files beside its weights, or correct the configuration.`,
  )
}
