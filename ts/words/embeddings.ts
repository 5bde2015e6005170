import { readFile } from 'node:fs/promises'
import { until } from '../base/abort.js'
import type { CallOptions } from '../base/call.js'
import { inTurns } from '../base/event-loop.js'
import { ioError } from '../base/files.js'
import { nativePath } from '../base/native-path.js'
import type { NativeAddon } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { DeclipError, describe, invalid } from '../errors.js'
import { readClassFile } from '../text/class-files.js'
import { isNpy, type Matrix, readNpy } from './npy.js'

/** Names of rows: a list, or the path of a class file, of whose lines the first words count. */
export type RowNames = readonly string[] | string

/** Text embeddings with the name of every row. @internal */
export interface Embeddings extends Matrix {
  readonly names: readonly string[]
}

/**
 * Reads published text embeddings: a NumPy array, what torch.save() or safetensors wrote.
 *
 * @param given - the rows' names in their order; of a file that has names, which of them are wanted and in what order
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS for a damaged torch or safetensors file,
 * ERR_DECLIP_INVALID_ARG
 * @internal
 */
export async function readEmbeddings(
  addon: Pick<NativeAddon, 'CancelToken' | 'readEmbeddings'>,
  path: string,
  given: RowNames | undefined,
  call: CallOptions,
): Promise<Embeddings> {
  const wanted = given === undefined ? undefined : await namesOf(given)
  const { names, ...matrix } = await readRows(addon, path, call)
  if (names.length > 0) {
    checkNames(names, path)
    return wanted ? chosen({ names, ...matrix }, wanted, path) : { names, ...matrix }
  }
  if (wanted) return { names: wanted, ...matrix }
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${path} has ${matrix.rows} rows without names; give the names in the order of the rows (Vocabulary.fromFile(path, names); --classes).`,
  )
}

/** Names as they are given, all different. @internal */
export async function namesOf(given: RowNames): Promise<readonly string[]> {
  if (typeof given === 'string') {
    const names = (await readClassFile(given)).map(([name]) => name as string)
    checkNames(names, given)
    return names
  }
  if (!Array.isArray(given) || given.length === 0) {
    throw invalid('names', 'a list of names or the path of a class file', given)
  }
  const names = [...given]
  checkNames(names, 'names')
  return names
}

function checkNames(names: readonly unknown[], source: string): void {
  const first = new Map<unknown, number>()
  for (const [i, name] of names.entries()) {
    if (typeof name !== 'string' || name.trim() === '') {
      throw invalid(`${source}: name ${i}`, 'a text that is not empty', name)
    }
    const before = first.get(name)
    if (before !== undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${source}: names must be different, ${describe(name)} is name ${before} and name ${i}.`,
      )
    }
    first.set(name, i)
  }
}

async function readRows(
  addon: Pick<NativeAddon, 'CancelToken' | 'readEmbeddings'>,
  path: string,
  call: CallOptions,
): Promise<Embeddings> {
  const bytes = await until(
    readFile(path, { signal: call.signal }).catch(error => {
      throw ioError('read', path, error)
    }),
    call.signal,
  )
  if (isNpy(bytes)) return { names: [], ...readNpy(bytes, path) }
  const { names, features } = await callNative(addon, call, job =>
    addon.readEmbeddings({ ...job, path: nativePath(path) }),
  )
  try {
    const [rows = 0, columns = 0] = features.shape
    return { names, values: new Float32Array(await features.data()), rows, columns }
  } finally {
    features.dispose()
  }
}

/** The rows of these names, in this order. */
function chosen(all: Embeddings, wanted: readonly string[], path: string): Embeddings {
  const places = new Map(all.names.map((name, i) => [name, i]))
  const { columns } = all
  const values = new Float32Array(wanted.length * columns)
  for (const [i, name] of wanted.entries()) {
    const row = places.get(name)
    if (row === undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${path} has no embedding named ${describe(name)} (name ${i}); it has ${all.names.length}, from ${describe(all.names[0])} to ${describe(all.names.at(-1))}.`,
      )
    }
    values.set(all.values.subarray(row * columns, (row + 1) * columns), i * columns)
  }
  return { names: wanted, values, rows: wanted.length, columns }
}

/**
 * Rows scaled to length 1.
 *
 * @param source - a file, or what else the rows are of, for errors
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for other than one row per name, and for a row that has no direction
 * @internal
 */
export async function unitRows(
  { names, values, rows, columns }: Embeddings,
  source: string,
): Promise<Float32Array> {
  if (rows !== names.length) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${source} must have a row for each of the ${names.length} names, it has ${rows}.`,
    )
  }
  const out = new Float32Array(values.length)
  await inTurns(
    names,
    (name, i) => {
      const row = values.subarray(i * columns, (i + 1) * columns)
      const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0))
      if (!(length > 0 && Number.isFinite(length))) {
        const problem = length === 0 ? 'is all zeros' : 'has a value that is not a finite number'
        throw new DeclipError(
          'ERR_DECLIP_INVALID_ARG',
          `${source}: row ${i} (${describe(name)}) ${problem}, so nothing can be compared with it; leave the class out, or make its embedding again.`,
        )
      }
      for (const [j, x] of row.entries()) out[i * columns + j] = x / length
    },
    16,
  )
  return out
}
