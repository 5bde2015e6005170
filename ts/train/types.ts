import type { ProcessGroup } from './process-group.js'

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
  /**
   * Figures of an evaluation after this step, as fractions, by their place in {@link evaluate}'s result ('ap50.novel');
   * the headline is the first.
   */
  readonly evaluation?: Readonly<Record<string, number>>
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
  /** The weights that were best by the headline of an evaluation, with `evaluate.keepBest`. */
  readonly best: string | null
  /** JSON lines, one per logged step. */
  readonly log: string
  /** The course of the losses, an SVG. */
  readonly plot: string
}
