import { checkCall } from '../base/call.js'
import { invalid, toDeclipError } from '../errors.js'
import type { TrainConfig } from './config-fields.js'
import { checkProcessGroup } from './process-group.js'
import type { TrainCallOptions, TrainResult } from './types.js'

/**
 * Trains a model: CLIPSelf, DeCLIP, region-text, contrastive, a detector or CAT-Seg, as the configuration says.
 *
 * Everything is written into the folder `config.out`: `config.json`, `log.jsonl`, `state.safetensors`, from
 * which a run goes on bit for bit, and the trained weights in `model/`.
 *
 * @param config - every field is in docs/guides/training.md; relative paths start at the working folder
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG with a sentence per wrong field, for a folder that has
 * a run already, or another configuration than the run's that is resumed; ERR_DECLIP_ABORTED;
 * ERR_DECLIP_IO where something cannot be read or written; ERR_DECLIP_IMAGE if most pictures cannot be
 * used; ERR_DECLIP_DIVERGED for a loss that is not finite; ERR_DECLIP_PEER where another process of
 * the group failed or is lost; and what {@link loadModel} throws. The last
 * saved state is left as it is.
 *
 * @example
 * ```ts
 * await train({
 *   objective: 'clipself',
 *   model: 'ViT-B-16.pt',
 *   data: { kind: 'folder', path: 'photos' },
 *   imageSize: 560,
 *   alpha: 0.7,
 *   out: 'runs/clipself',
 * })
 * const model = await loadModel('runs/clipself/model')
 * ```
 */
export async function train(
  config: TrainConfig,
  options: TrainCallOptions = {},
): Promise<TrainResult> {
  const { signal, onProgress, resume = false, processGroup } = options
  checkCall({ signal, onProgress: onProgress as never })
  if (typeof resume !== 'boolean') throw invalid('resume', 'true or false', resume)
  // Loaded at the first call: programs that do not train start without these modules.
  const [{ resolveConfig }, { run }] = await Promise.all([
    import('./config.js'),
    import('./run/run.js'),
  ])
  try {
    return await run(
      resolveConfig(config),
      { signal, onProgress, resume },
      processGroup && checkProcessGroup(processGroup),
    )
  } catch (error) {
    throw toDeclipError(error)
  }
}
