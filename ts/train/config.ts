import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import * as v from 'valibot'
import { ioError } from '../base/files.js'
import { DeclipError, describe } from '../errors.js'
import type { ConfigOptions } from '../model/options.js'
import { templateList } from '../text/templates.js'
import { notOfCatSeg, withReleasedCatSeg } from './cat-seg-fields.js'
import { type ResolvedConfig, type TrainConfig, trainConfig } from './config-fields.js'
import { notOfDetectors, withReleasedDetector } from './detector-fields.js'
import { isFields } from './released.js'

/**
 * Checks a configuration and fills in its defaults.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG with a sentence for every field that is wrong
 */
export function resolveConfig(config: unknown): ResolvedConfig {
  const result = v.safeParse(trainConfig, withReleased(config))
  if (!result.success) throw wrong(result.issues.map(sentence))
  const problems = [
    ...contradictions(result.output),
    ...notOfDetectors(config, result.output),
    ...notOfCatSeg(config, result.output),
  ]
  if (problems.length > 0) throw wrong(problems)
  templateList(result.output.templates)
  return result.output
}

/** With the values of the objective's released configuration below what it gives. */
function withReleased(config: unknown): unknown {
  if (!isFields(config)) return config
  if (config['objective'] === 'fvit') return withReleasedDetector(config)
  return config['objective'] === 'cat-seg' ? withReleasedCatSeg(config) : config
}

function wrong(problems: readonly string[]): DeclipError {
  const text =
    problems.length === 1
      ? problems[0]
      : `The configuration has ${problems.length} mistakes:${problems.map(p => `\n- ${p}`).join('')}`
  return new DeclipError('ERR_DECLIP_INVALID_ARG', text as string)
}

/** What is wrong with a field, in words. */
function sentence(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? ''
  const name = path === '' ? 'The configuration' : path
  if (issue.type === 'strict_object') {
    if (issue.expected === 'never') {
      const known = Object.keys(fieldsAt(path))
      return `${name} is no field; there are ${known.join(', ')}.`
    }
  }
  if (path !== '' && issue.input === undefined) return `${name} is missing.`
  const got = describe(issue.input)
  if (issue.kind === 'validation') return `${name} ${issue.message}, received ${got}.`
  return `${name} must be ${expected(issue)}, received ${got}.`
}

function expected(issue: v.BaseIssue<unknown>): string {
  const names: Record<string, string> = {
    string: 'a text',
    number: 'a number',
    boolean: 'true or false',
    array: 'a list',
    strict_object: 'an object',
  }
  if (issue.type === 'union') return 'a text or a list of texts'
  return (
    names[issue.type] ??
    (issue.expected ?? '')
      .replaceAll('"', "'")
      .replace(/^\((.*)\)$/, '$1')
      .replaceAll(' | ', ', ')
  )
}

/** The fields beside the one that `path` names. */
function fieldsAt(path: string): Readonly<Record<string, unknown>> {
  let schema: unknown = trainConfig
  for (const key of path.split('.').slice(0, -1)) schema = entriesOf(schema)?.[key]
  return entriesOf(schema) ?? {}
}

/** The fields of an object, through its wrappers. @internal */
export function entriesOf(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  const { entries, wrapped, pipe } = schema as {
    entries?: Record<string, unknown>
    wrapped?: unknown
    pipe?: unknown[]
  }
  if (entries) return entries
  if (wrapped) return entriesOf(wrapped)
  return pipe && pipe[0] !== schema ? entriesOf(pipe[0]) : undefined
}

/** Fields that do not go together. */
function contradictions(config: ResolvedConfig): string[] {
  const { objective } = config
  const distils = objective === 'clipself' || objective === 'declip'
  const detects = objective === 'fvit'
  const segments = objective === 'cat-seg'
  const rules: [boolean, string][] = [
    [
      (config.model === undefined) === (config.newModel === undefined),
      'Give either model or newModel: what training starts from.',
    ],
    [
      config.newModel !== undefined && objective !== 'contrastive',
      `newModel is for objective 'contrastive'; '${objective}' needs a pretrained model.`,
    ],
    [
      config.newModel !== undefined && config.pretrained !== undefined,
      'pretrained does not go with newModel, which has nothing to be mixed with.',
    ],
    [
      config.newModel !== undefined && config.alpha !== 1,
      'alpha must be 1 with newModel, which has nothing to be mixed with.',
    ],
    [config.teacher !== undefined && objective !== 'declip', "teacher is for objective 'declip'."],
    [
      config.multiscale !== undefined && objective !== 'clipself',
      "multiscale is for objective 'clipself'.",
    ],
    [
      config.augment !== undefined && distils,
      `augment is for 'region-text' and 'contrastive'; '${objective}' has none, as in the papers.`,
    ],
    [
      objective !== 'region-text' &&
        !detects &&
        !segments &&
        (config.classes !== undefined || config.classFeatures !== undefined),
      "classes and classFeatures are for objectives 'region-text' and 'fvit', classes for 'cat-seg' too.",
    ],
    [
      config.regionWeight > 0 && objective !== 'contrastive',
      "regionWeight is for objective 'contrastive'.",
    ],
    [
      config.regions.source === 'proposals' && config.data.kind === 'folder' && distils,
      "regions.source 'proposals' needs data with boxes: data.kind 'coco' or 'shards'.",
    ],
    [
      objective === 'contrastive' && (config.data.kind === 'folder' || config.data.kind === 'coco'),
      "objective 'contrastive' needs captions: data.kind 'captions' or 'shards'.",
    ],
    [
      objective === 'region-text' && config.data.kind !== 'coco' && config.data.kind !== 'shards',
      "objective 'region-text' needs labelled boxes: data.kind 'coco' or 'shards'.",
    ],
    [
      objective === 'region-text' && config.data.kind === 'shards' && config.classes === undefined,
      "objective 'region-text' on shards needs classes: the names that labels can have.",
    ],
    [!detects && config.detector !== undefined, "detector is for objective 'fvit'."],
    [
      !detects && !segments && config.evaluate !== undefined,
      "evaluate is for objectives 'fvit' and 'cat-seg'.",
    ],
    [
      config.schedule.milestones !== undefined && config.schedule.kind !== 'step',
      "schedule.milestones are for schedule.kind 'step'.",
    ],
    [
      detects && config.data.kind !== 'coco',
      "objective 'fvit' needs annotated objects: data.kind 'coco'.",
    ],
    [
      config.detector?.cache !== undefined && config.detector.views === undefined,
      'detector.cache is for detector.views: without them every view of a picture is new.',
    ],
  ]
  return rules.filter(([holds]) => holds).map(([, text]) => text)
}

/**
 * Reads a configuration from a JSON file; its relative paths start at the file's folder.
 *
 * @param changes - 'name.of.field=value' with a JSON value, or a text that is none
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG
 */
export async function readConfig(
  path: string,
  changes: readonly string[] = [],
): Promise<TrainConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw ioError('read', path, error)
  }
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (cause) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${path} is not JSON: ${(cause as Error).message}.`,
      { cause },
    )
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw wrong([`${path} must hold an object, found ${describe(config)}.`])
  }
  const changed = structuredClone(config) as Record<string, unknown>
  for (const change of changes) applyChange(changed, change)
  return fromFolder(changed, dirname(resolve(path))) as TrainConfig
}

function applyChange(config: Record<string, unknown>, change: string): void {
  const [, name, text] = /^([\w.]+)=(.*)$/s.exec(change) ?? []
  if (name === undefined || text === undefined) {
    throw wrong([`--set must be name=value, such as schedule.rate=1e-4, received '${change}'.`])
  }
  let value: unknown = text
  try {
    value = JSON.parse(text)
  } catch {}
  const keys = name.split('.')
  let at = config
  for (const key of keys.slice(0, -1)) {
    const inner = Object.hasOwn(at, key) ? at[key] : undefined
    const next = typeof inner === 'object' && inner !== null ? inner : {}
    Object.defineProperty(at, key, {
      value: next,
      enumerable: true,
      writable: true,
      configurable: true,
    })
    at = next as Record<string, unknown>
  }
  const last = keys.at(-1) as string
  Object.defineProperty(at, last, { value, enumerable: true, writable: true, configurable: true })
}

/** Fields that are paths; those of models only where they look like one. */
function fromFolder(config: Record<string, unknown>, folder: string): Record<string, unknown> {
  const absolute = (value: unknown) =>
    typeof value === 'string' && value !== '' && !isAbsolute(value) ? resolve(folder, value) : value
  const source = (value: unknown) =>
    typeof value === 'string' && /^\.{1,2}[\\/]/.test(value) ? resolve(folder, value) : value
  const change = (object: unknown, keys: readonly string[], to: (value: unknown) => unknown) => {
    if (typeof object !== 'object' || object === null) return
    const fields = object as Record<string, unknown>
    for (const key of keys) if (fields[key] !== undefined) fields[key] = to(fields[key])
  }
  change(config, ['out', 'classFeatures', 'classes'], absolute)
  change(config, ['model', 'pretrained'], source)
  change(config['teacher'], ['model'], source)
  change(config['data'], ['path', 'images', 'labels'], absolute)
  change(config['detector'], ['novel'], absolute)
  change(config['evaluate'], ['data'], absolute)
  return config
}

/** Without the fields that are not given, for options that may not be undefined. @internal */
export function withoutUndefined(config: ResolvedConfig['modelConfig']): ConfigOptions {
  return JSON.parse(JSON.stringify(config ?? {})) as ConfigOptions
}
