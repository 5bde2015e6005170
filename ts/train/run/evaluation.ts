import type { Device } from '../../base/names.js'
import { DeclipError, toDeclipError } from '../../errors.js'
import type { ReportResult } from '../../evaluate/report/parts.js'
import { loadModel } from '../../model/load.js'
import type { Model } from '../../model/model.js'
import type { ResolvedConfig } from '../config-fields.js'

/** Figures of an evaluation as fractions, by their place in the result ('ap50.novel'); the headline is the first. */
export type EvaluationFigures = Readonly<Record<string, number>>

/**
 * Measures exported weights on the configuration's data set, as `declip eval` would.
 *
 * @param path - of the weights; every evaluation loads them anew, as a path's model may be kept for the next call
 * @param novel - classes that were not learned; the published sets have splits of their own
 * @returns undefined where the caller wants the run to stop meanwhile
 * @throws DeclipError as evaluate(), naming the field `evaluate`
 */
export async function evaluateExport(
  path: string,
  { evaluate: options, device, objective, catSeg }: ResolvedConfig,
  novel: readonly string[],
  signal: AbortSignal | undefined,
): Promise<EvaluationFigures | undefined> {
  if (!options) return undefined
  const [{ evaluate }, { headlineFigures }] = await Promise.all([
    import('../../evaluate/evaluate.js'),
    import('../../evaluate/report/headline.js'),
  ])
  const { dataset, data, kind, limit } = options
  let model: Model | undefined
  try {
    model = await loadModel(path, { device: device as Device, signal })
    const common = { dataset, data, limit, model, signal }
    const result = await (objective === 'cat-seg'
      ? evaluate({
          ...common,
          task: 'semantic',
          method: 'cat-seg',
          // As the authors evaluate on the way; published figures are of windows, with a pooling of 1.
          catSeg: { sliding: false, pooling: catSeg?.pooling as 1 | 2 },
        })
      : evaluate({
          ...common,
          task: 'detection',
          kind,
          ...(dataset === 'folder' && novel.length > 0 && { novel }),
        }))
    const known = headlineFigures(result as ReportResult).flatMap(({ path, value }) =>
      value === null ? [] : [[path, value] as const],
    )
    return Object.fromEntries(known)
  } catch (error) {
    if (signal?.aborted) return undefined
    const { code, message } = toDeclipError(error)
    throw new DeclipError(code, `evaluate: ${message}`, { cause: error })
  } finally {
    model?.dispose()
  }
}

/** What runs are compared by; undefined where nothing could be measured. */
export function headlineOf(figures: EvaluationFigures): number | undefined {
  return Object.values(figures)[0]
}
