import { checkCall } from '../engine/call-native.js'
import { invalid, toDeclipError } from '../errors.js'
import type { TrainConfig } from './config-fields.js'
import { checkProcessGroup, type ProcessGroup } from './process-group.js'

/** How far a run is: told after every step. */
export interface TrainProgress {
  /** Steps done. */
  readonly step: number
  /** Steps in all. */
  readonly steps: number
  /** Passes over the data so far, the running one included. */
  readonly epoch: number
  /** Weighted losses of the step by name; their sum is `loss`. */
  readonly losses: Readonly<Record<string, number>>
  readonly loss: number
  /** L2 norm of all gradients, before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
  /** Since this call began. */
  readonly picturesPerSecond: number
  readonly secondsLeft: number
  /** Pictures that were replaced because they cannot be used, since this call began. */
  readonly skipped: number
}

/** Options of {@link train}. */
export interface TrainCallOptions {
  /**
   * Ends the run after the step that is running: its state is saved and the call rejects with
   * ERR_DECLIP_ABORTED.
   */
  signal?: AbortSignal | undefined
  /** Told after every step. */
  onProgress?: ((progress: TrainProgress) => void) | undefined
  /** Goes on with the run in the folder `out`, bit for bit. Default false: the folder has no run. */
  resume?: boolean | undefined
  /**
   * This process is one of several that train the model together; every one makes the same call. Their
   * batches make one step, with the mean of their gradients, and rank 0 writes the folder. Default: the
   * only one. See {@link processGroupFromEnvironment}.
   */
  processGroup?: ProcessGroup | undefined
}

/** What a run has made. */
export interface TrainResult {
  /** Steps done in all. */
  readonly steps: number
  /** Folder with the trained weights, for {@link loadModel}. */
  readonly model: string
  /** The same of the running average, if one was kept. */
  readonly average: string | null
  /** JSON lines, one per logged step. */
  readonly log: string
  /** The course of the losses, an SVG. */
  readonly plot: string
}

/**
 * Trains a model: CLIPSelf, DeCLIP, region-text or contrastive, as the configuration says.
 *
 * Everything is written into the folder `config.out`: `config.json`, `log.jsonl`, `state.safetensors`, from
 * which a run goes on bit for bit, and the trained weights in `model/`.
 *
 * @param config - every field is in docs/guides/training.md; relative paths start at the working folder
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG with a sentence per wrong field, for a folder that has
 * a run already, or another configuration than the run's that is resumed; ERR_DECLIP_ABORTED;
 * ERR_DECLIP_IO where something cannot be read or written; ERR_DECLIP_IMAGE if most pictures cannot be
 * used; ERR_DECLIP_INTERNAL for a loss that is not finite; ERR_DECLIP_PEER where another process of
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
  // Only here: whoever does not train shall not wait for what it needs.
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
