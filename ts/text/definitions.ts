import { onAbort } from '../base/abort.js'
import type { CallOptions } from '../base/call.js'
import { aborted, DeclipError, describe, invalid } from '../errors.js'
import { parseClassList } from './class-files.js'

/** What a language model is asked to write about a class. */
export type AuxiliaryKind = 'definition' | 'synonym'

/** Answers one prompt, such as a call of a language model. */
export type Answer = (prompt: string) => Promise<string>

interface Question {
  readonly ask: (name: string) => string
  /** Longest answer in characters; a sentence of 300 fits the 77 tokens of CLIP's context. */
  readonly longest: number
}

const QUESTIONS: Readonly<Record<AuxiliaryKind, Question>> = {
  definition: {
    ask: name =>
      `Define "${name}" in one short sentence that tells what it looks like. Answer with the sentence only.`,
    longest: 300,
  },
  synonym: {
    ask: name =>
      `Name one synonym of "${name}" as a thing seen in photographs. Answer with a single word only.`,
    longest: 40,
  },
}

/** Prompts in flight at the same time. */
const CONCURRENCY = 4

/**
 * Lets a language model write the definitions or synonyms that ITACLIP mixes into class names, as
 * the content of a definition file. Classes named 'background' are left out.
 *
 * @param classes - Class names; of 'cat, feline' the first word is used.
 * @param answer - Answers one prompt; four run at the same time.
 * @param options - `kind`: 'definition' (default) or 'synonym'.
 * @returns Lines `name >=text`, one per foreground class.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the class whose answer failed, was empty
 *   or too long; ERR_DECLIP_ABORTED.
 *
 * @example
 * ```ts
 * const text = await writeDefinitions(['cat', 'sofa'], prompt => languageModel.ask(prompt))
 * await writeFile('definitions.txt', text)
 * ```
 */
export async function writeDefinitions(
  classes: readonly string[],
  answer: Answer,
  options: CallOptions & { kind?: AuxiliaryKind | undefined } = {},
): Promise<string> {
  const { kind = 'definition', ...call } = options
  if (!Object.hasOwn(QUESTIONS, kind)) throw invalid('kind', "'definition' or 'synonym'", kind)
  if (!Array.isArray(classes) || classes.some(line => typeof line !== 'string')) {
    throw invalid('classes', 'a list of class names', classes)
  }
  const names = (classes.length > 0 ? parseClassList(classes) : [])
    .map(words => words[0] as string)
    .filter(name => name.toLowerCase() !== 'background')
  const texts = await askAll(kind, names, answer, call)
  return texts.map((text, i) => `${names[i]} >=${text}\n`).join('')
}

/** The cleaned answer for every class name, in order. @internal */
export async function askAll(
  kind: AuxiliaryKind,
  names: readonly string[],
  answer: Answer,
  { signal, onProgress }: CallOptions,
): Promise<string[]> {
  if (typeof answer !== 'function') throw invalid('answer', 'an async function of a prompt', answer)
  if (signal?.aborted) throw aborted(signal)
  const texts: string[] = new Array(names.length)
  let next = 0
  let done = 0
  const work = async () => {
    while (next < names.length) {
      const i = next++
      texts[i] = await askOne(kind, names[i] as string, answer)
      onProgress?.({ step: `${kind}s`, done: ++done, total: names.length })
    }
  }
  let forget = () => {}
  const stopped = new Promise<never>((_, reject) => {
    forget = onAbort(signal, () => reject(aborted(signal as AbortSignal)))
  })
  try {
    await Promise.race([Promise.all(Array.from({ length: CONCURRENCY }, work)), stopped])
    return texts
  } finally {
    next = names.length // after a failure or an abort nothing more is asked
    forget()
  }
}

async function askOne(kind: AuxiliaryKind, name: string, answer: Answer): Promise<string> {
  const { ask, longest } = QUESTIONS[kind]
  let text: unknown
  try {
    text = await answer(ask(name))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw failed(kind, name, `could not be had: ${reason}`, error)
  }
  if (typeof text !== 'string')
    throw failed(kind, name, `must be a string, received ${describe(text)}`)
  const clean = cleanAnswer(kind, text)
  if (clean === '') throw failed(kind, name, 'is empty')
  if (clean.length > longest) {
    throw failed(kind, name, `has ${clean.length} characters, more than ${longest}`)
  }
  if (clean.includes('>='))
    throw failed(kind, name, "contains '>=', which definition files cannot hold")
  return clean
}

/** One trimmed line without surrounding quotes; a synonym also loses its full stop. */
function cleanAnswer(kind: AuxiliaryKind, answer: string): string {
  const line = answer.replace(/\s+/g, ' ').trim()
  const bare = line.replace(/^(["'`\u201c\u2018])(.*)(["'`\u201d\u2019])$/, '$2').trim()
  return kind === 'synonym' ? bare.replace(/\.+$/, '') : bare
}

function failed(kind: AuxiliaryKind, name: string, problem: string, cause?: unknown): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `The ${kind} of class '${name}' ${problem}.`, {
    cause,
  })
}
