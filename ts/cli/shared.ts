/** What the commands share: options with their parsers, the progress bar, output. */
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import cliProgress from 'cli-progress'
import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { Progress } from '../base/call.js'
import { ioError } from '../base/files.js'
import type { Device, ModelDType } from '../base/names.js'
import { packagePath } from '../base/package-files.js'
import { loadAddon } from '../engine/load-addon.js'
import { DeclipError, ERROR_CODES } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { parseClasses, parseInlineClasses, readClassFile } from '../text/class-files.js'
import type { TemplateSetName } from '../text/templates.js'
import { TEMPLATES } from '../text/templates.js'
import { duration, perSecond } from './durations.js'

/** The run of one command. */
export interface Run {
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal
  /** Writes a line to stdout, below which the progress bar comes back. */
  print(line: string): void
  /** Writes a line to stderr. */
  tell(line: string): void
  /** Writes the line of an error that does not end the command to stderr. */
  complain(error: unknown): void
  /** Shows how far a call is, on a terminal only. */
  readonly progress: ProgressBar
}

/** Wrong usage that commander cannot see. */
export function usage(message: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', message)
}

/** A parser of whole numbers of at least `min`. */
export function whole(min: number): (text: string) => number {
  return text => {
    if (/^\d+$/.test(text) && Number(text) >= min && Number.isSafeInteger(Number(text))) {
      return Number(text)
    }
    throw new InvalidArgumentError(`Expected a whole number from ${min}.`)
  }
}

/** A parser of numbers from `min` to `max`. */
export function real(min: number, max = Number.POSITIVE_INFINITY): (text: string) => number {
  return text => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (value >= min && value <= max && Number.isFinite(value)) return value
    const range = max === Number.POSITIVE_INFINITY ? `from ${min}` : `from ${min} to ${max}`
    throw new InvalidArgumentError(`Expected a number ${range}.`)
  }
}

/** Parses a side in pixels; 0, for which 'none' may stand, is the picture's own size. */
export function side(text: string): number {
  if (text === '0' || text === 'none') return 0 // null would arrive as '' from commander
  try {
    return whole(1)(text)
  } catch {
    throw new InvalidArgumentError("Expected a number of pixels, or 'none'.")
  }
}

/** Parses 'auto', 'cpu', 'cuda' or 'cuda:N'. */
export function device(text: string): Device {
  if (/^(auto|cpu|cuda(:\d+)?)$/.test(text)) return text as Device
  throw new InvalidArgumentError("Expected 'auto', 'cpu', 'cuda' or 'cuda:1'.")
}

/** Options of every command that computes. */
export interface ModelFlags {
  model?: string
  device?: Device
  dtype?: ModelDType
  threads?: number
}

/** Adds {@link ModelFlags}. */
export function addModelOptions(command: Command): Command {
  return command
    .optionsGroup('Model:')
    .option(
      '--model <source>',
      "checkpoint file or folder, hub id, or bundled model; default: what 'declip model' says",
    )
    .addOption(
      new Option('--device <device>', "'auto', 'cpu', 'cuda' or 'cuda:1'").argParser(device),
    )
    .addOption(
      new Option('--dtype <type>', 'number format of the towers').choices([
        'auto',
        'float32',
        'bfloat16',
        'float16',
        'int8',
      ]),
    )
    .addOption(new Option('--threads <n>', 'CPU threads to compute with').argParser(whole(1)))
}

/** A model and the name it was loaded by. */
export interface OpenModel extends Disposable {
  readonly model: Model
  readonly source: string
}

/** Computes with as many threads as flags say. */
export function useThreads({ threads }: ModelFlags): void {
  if (threads !== undefined) loadAddon().setThreads(threads)
}

/** Loads the model that flags name, or the default one. */
export async function openModel(flags: ModelFlags, { signal, progress }: Run): Promise<OpenModel> {
  const { device, dtype } = flags
  const source = await sourceOrDefault(flags.model)
  useThreads(flags)
  const model = await loadModel(source, { device, dtype, signal, onProgress: progress.update })
  return { model, source, [Symbol.dispose]: () => model.dispose() }
}

/** Options that say which classes there are. */
export interface ClassFlags {
  classes?: string
  classesFile?: string
  separator?: keyof typeof SEPARATORS
  templates?: string
}

/** What may stand between the words of a class file's line, where it is not to be found out. */
const SEPARATORS = { comma: ', ', semicolon: '; ', 'bare-comma': ',' } as const

/** Adds {@link ClassFlags}. */
export function addClassOptions(command: Command): Command {
  return command
    .optionsGroup('Classes:')
    .option('--classes <list>', 'classes between semicolons, each with its synonyms after commas')
    .option('--classes-file <file>', 'one class per line, synonyms after commas or semicolons')
    .addOption(
      new Option('--separator <kind>', 'of the words in that file, where it is ambiguous').choices(
        Object.keys(SEPARATORS),
      ),
    )
    .option(
      '--templates <set>',
      `prompts around each word: ${Object.keys(TEMPLATES).join(', ')}, or a file with one per line and {} for the word`,
    )
}

/** The words of every class. */
export async function readClasses(flags: ClassFlags): Promise<string[][]> {
  const { classes, classesFile, separator } = flags
  if (classes !== undefined && classesFile !== undefined) {
    throw usage('--classes and --classes-file exclude each other; give one of them.')
  }
  if (separator !== undefined && classesFile === undefined) {
    throw usage('--separator needs --classes-file.')
  }
  if (classes !== undefined) return parseClasses(parseInlineClasses(classes))
  if (classesFile !== undefined) {
    return readClassFile(classesFile, { separator: separator && SEPARATORS[separator] })
  }
  throw usage('Classes are missing; give --classes "cat, feline; sofa" or --classes-file.')
}

/** The name of a built-in list, or the lines of a file. */
export async function readTemplates(
  templates: string | undefined,
): Promise<TemplateSetName | string[] | undefined> {
  if (templates === undefined || Object.hasOwn(TEMPLATES, templates)) {
    return templates as TemplateSetName | undefined
  }
  try {
    const lines = (await readFile(templates, 'utf8')).split(/\r?\n/)
    return lines.filter(line => line.trim() !== '')
  } catch (error) {
    throw ioError('read', templates, error)
  }
}

/** How often a line says how far long work is where there is no terminal, in milliseconds. */
const LINE_EVERY = 10_000
/** The same for many pictures, which tell of every tenth of their number too. */
const PICTURES_LINE_EVERY = 30_000

/**
 * A bar on stderr where that is a terminal; it vanishes when it is cleared, and comes back with the
 * next update. Elsewhere a line now and then, none in the first seconds.
 */
export class ProgressBar {
  #bar: cliProgress.SingleBar | undefined
  #printed: number | undefined
  #tenths = 0
  readonly #stream: NodeJS.WriteStream
  readonly #every: number

  constructor(stream: NodeJS.WriteStream = process.stderr, every = LINE_EVERY) {
    this.#stream = stream
    this.#every = every
  }

  readonly update = (progress: Progress): void => {
    if (this.#stream.isTTY) this.#draw(progress)
    else this.#print(progress)
  }

  /**
   * Shows how many pictures are done, how many a second, and how long the others will take. Elsewhere than
   * on a terminal that is a line for every tenth of them and every half minute, none in the first seconds.
   *
   * @param seconds - since the first was begun
   */
  readonly updatePictures = (done: number, total: number, seconds: number): void => {
    const left = done > 0 ? duration((seconds / done) * (total - done)) : ''
    const rate = done > 0 ? `${perSecond(done, seconds)}, ${left} left` : ''
    if (this.#stream.isTTY) {
      this.#draw({ step: `${done} of ${total} pictures`, done, total }, rate)
      return
    }
    const now = performance.now()
    const tenths = Math.floor((done / total) * 10)
    const isDue = tenths > this.#tenths || now - (this.#printed ?? now) >= PICTURES_LINE_EVERY
    this.#printed ??= now
    this.#tenths = tenths
    if (!isDue || done === total || seconds * 1000 < this.#every) return
    this.#printed = now
    const percent = Math.floor((done / total) * 100)
    this.#stream.write(`declip: ${done} of ${total} pictures (${percent} %), ${rate}\n`)
  }

  #draw({ step, done, total }: Progress, note = ''): void {
    const value = total > 0 ? Math.round((done / total) * 1000) : 0
    if (!this.#bar) {
      this.#bar = new cliProgress.SingleBar({
        stream: this.#stream,
        format: '{step} {bar} {percentage}% {note}',
        barCompleteChar: '\u2588',
        barIncompleteChar: '\u2591',
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
      })
      this.#bar.start(1000, value, { step, note })
    } else this.#bar.update(value, { step, note })
  }

  #print({ step, done, total }: Progress): void {
    const now = performance.now()
    this.#printed ??= now
    if (now - this.#printed < this.#every) return
    this.#printed = now
    const share = total > 0 ? ` ${Math.floor((done / total) * 100)} %` : ''
    this.#stream.write(`declip: ${step}${share}\n`)
  }

  clear(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}

/** Aligned lines 'name  value'. */
export function table(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`.trimEnd()).join('\n')
}

/** Shares from 0 to 1 as lines with a bar, the largest first; below `least` they are left out. */
export function shareTable(names: readonly string[], shares: readonly number[], least = 0): string {
  const width = Math.max(...names.map(name => name.length))
  return names
    .map((name, i) => ({ name, share: shares[i] ?? 0 }))
    .filter(({ share }) => share >= least)
    .sort((a, b) => b.share - a.share)
    .map(({ name, share }) => {
      const percent = `${(share * 100).toFixed(1)} %`.padStart(7)
      return `  ${name.padEnd(width)}  ${percent}  ${'\u2588'.repeat(Math.round(share * 24))}`.trimEnd()
    })
    .join('\n')
}

/** A bundled picture as seen from the working folder, for examples that run as written. */
export function examplePicture(name: string): string {
  const path = packagePath('models/scenes', name)
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short
}

/** Help text below the options. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  $ ${line}`).join('\n')}`
}

/** A message without line breaks; list items are joined by semicolons. */
export function oneLine(message: string): string {
  return message
    .replace(/:\s*\n\s*- /g, ': ')
    .replace(/\s*\n\s*- /g, '; ')
    .replace(/([^.:;,])\s*\n\s*(?=[A-Z])/g, '$1. ')
    .replace(/\s*\n\s*/g, ' ')
    .trim()
}

/** An error as one line: code, cause, way out. */
export function errorLine(error: unknown): string {
  const message = oneLine(error instanceof Error ? error.message : String(error))
  if (error instanceof CommanderError) {
    const cause = message.replace(/^error: /, '').replace(/([^.!?)])$/, '$1.')
    return `declip: ERR_DECLIP_INVALID_ARG: ${cause} See 'declip --help'.`
  }
  const code = (error as { code?: unknown } | null)?.code
  return `declip: ${ERROR_CODES.find(known => known === code) ?? 'ERR_DECLIP_INTERNAL'}: ${message}`
}
