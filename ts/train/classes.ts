import type { CallOptions } from '../base/call.js'
import { nativePath } from '../base/native-path.js'
import type { NativeAddon, NativeTensor } from '../engine/addon-types.js'
import { DeclipError } from '../errors.js'
import type { ResolvedSource } from '../hub/resolve-source.js'
import { loadResolved } from '../model/load.js'
import { readEmbeddings, unitRows } from '../words/embeddings.js'
import { encodeTexts } from '../words/word-features.js'
import { withoutUndefined } from './config.js'
import type { ResolvedConfig } from './config-fields.js'
import type { Source } from './data/sources/source.js'
import { namesOf } from './detector-classes.js'

/** What regions are compared with. */
export interface Classes {
  /** In the order of their labels. */
  readonly names: readonly string[]
  /** Unit rows [C, E]; to be disposed of. */
  readonly features: NativeTensor
}

/**
 * The classes of region-text training, from the model's own text tower or a file.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, and what loadModel throws
 */
export async function openClasses(
  addon: NativeAddon,
  config: ResolvedConfig,
  source: Source,
  student: ResolvedSource,
  call: Pick<CallOptions, 'signal'>,
): Promise<Classes> {
  const names = await classNames(config, source)
  checkLabels(names, source)
  if (config.objective === 'fvit') return detectorWords(addon, config, names, student, call)
  const rows = config.classFeatures
    ? await readRows(addon, config.classFeatures)
    : await encodeNames(config, student, names, call)
  if (rows.length !== names.length) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `classFeatures must have a row for each of the ${names.length} classes, in their order; ${config.classFeatures} has ${rows.length}.`,
    )
  }
  return { names, features: unitTensor(addon, rows) }
}

function unitTensor(addon: NativeAddon, rows: readonly Float32Array[]): NativeTensor {
  const width = rows[0]?.length ?? 0
  const flat = new Float32Array(rows.length * width)
  for (const [i, row] of rows.entries()) {
    const length = Math.hypot(...row)
    for (const [j, x] of row.entries()) flat[i * width + j] = x / Math.max(length, 1e-12)
  }
  return addon.tensor(flat, [rows.length, width], 'float32')
}

/** What stands for everything that is no class: an ordinary text (F-ViT's class embeddings). */
const BACKGROUND = 'background'

/** The classes of a detector; their features have one row more, the background's, at the end. */
async function detectorWords(
  addon: NativeAddon,
  config: ResolvedConfig,
  names: readonly string[],
  student: ResolvedSource,
  call: Pick<CallOptions, 'signal'>,
): Promise<Classes> {
  if (names.includes(BACKGROUND)) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `A detector's classes cannot have the name '${BACKGROUND}', which stands for everything else; rename that category or leave it out with classes.`,
    )
  }
  const all = [...names, BACKGROUND]
  const path = config.classFeatures
  if (path === undefined) {
    return { names, features: unitTensor(addon, await encodeNames(config, student, all, call)) }
  }
  const read = await readEmbeddings(addon, path, all, call)
  const rows = await unitRows(read, `classFeatures: ${path}`)
  return { names, features: addon.tensor(rows, [all.length, read.columns], 'float32') }
}

async function classNames(
  { classes, objective }: ResolvedConfig,
  source: Source,
): Promise<readonly string[]> {
  // A detector's data have them in the order of their ids, however they were given.
  const given = objective === 'fvit' ? undefined : classes
  const names = given === undefined ? (source.classes ?? []) : await namesOf(given)
  if (names.length === 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'There is no class: neither classes nor the data name one.',
    )
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice === undefined) return names
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `classes must be different, '${twice}' comes twice.`,
  )
}

/** Whether every label of the data is a class. */
function checkLabels(names: readonly string[], { labels }: Source): void {
  const known = new Set(names)
  for (const [label, picture] of labels) {
    if (known.has(label)) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${picture} has a box of class '${label}', which is not among classes.`,
    )
  }
}

async function encodeNames(
  { modelConfig, templates }: ResolvedConfig,
  student: ResolvedSource,
  names: readonly string[],
  call: Pick<CallOptions, 'signal'>,
): Promise<readonly Float32Array[]> {
  const tower = await loadResolved(student, {
    dtype: 'float32',
    device: 'cpu',
    config: withoutUndefined(modelConfig),
    ...call,
  })
  try {
    const texts = names.map(text => ({ text, owner: `class '${text}'` }))
    return await encodeTexts(tower.textModel, texts, templates, call)
  } finally {
    tower.dispose()
  }
}

async function readRows(addon: NativeAddon, path: string): Promise<Float32Array[]> {
  const { tensors } = await addon.readSafetensors({ path: nativePath(path) })
  try {
    const all = Object.values(tensors)
    const [features] = all
    if (all.length !== 1 || features?.shape.length !== 2 || features.dtype === 'int64') {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `classFeatures: ${path} must hold one float tensor [classes, features].`,
      )
    }
    const float = await features.to({ dtype: 'float32' })
    const values = new Float32Array(await float.data())
    float.dispose()
    const [count, width] = features.shape as [number, number]
    return Array.from({ length: count }, (_, i) => values.subarray(i * width, (i + 1) * width))
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose()
  }
}
