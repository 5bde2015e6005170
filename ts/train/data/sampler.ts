import { DeclipError } from '../../errors.js'
import { permutation, randomFor } from './seeds.js'

/** Where a picture is in a run. */
export interface Visit {
  readonly epoch: number
  /** Of the sample, in its source. */
  readonly index: number
}

/** A part of the work when several processes share a run; one alone is rank 0 of 1. */
export interface Share {
  readonly rank: number
  readonly worldSize: number
}

/**
 * Which samples a step learns from: a pure function of (seed, step), so that a run goes on anywhere.
 *
 * Every epoch has its own random order, the same for all ranks. As in PyTorch's DistributedSampler it is
 * filled up from its own start to a multiple of the ranks, and rank r takes every worldSize-th sample
 * from the r-th on. A last incomplete step is dropped: floor(ceil(N / worldSize) / perStep) steps an
 * epoch (CLIPSelf, training/data.py).
 */
export class Sampler {
  readonly stepsPerEpoch: number
  readonly #length: number
  readonly #perStep: number
  readonly #seed: number
  readonly #share: Share
  #epoch = -1
  #order: Uint32Array = new Uint32Array()

  /**
   * @param length - samples of the source
   * @param perStep - samples of a step and rank
   * @throws DeclipError ERR_DECLIP_INVALID_ARG if there are too few for a step
   */
  constructor(length: number, perStep: number, seed: number, share: Share) {
    this.#length = length
    this.#perStep = perStep
    this.#seed = seed
    this.#share = share
    this.stepsPerEpoch = Math.floor(Math.ceil(length / share.worldSize) / perStep)
    if (this.stepsPerEpoch === 0) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `A step takes ${perStep} pictures (batch times accumulate), but data has only ` +
          `${Math.ceil(length / share.worldSize)} for each process; make the batch smaller.`,
      )
    }
  }

  /** The samples of step 0, 1, ... */
  step(step: number): Visit[] {
    const epoch = Math.floor(step / this.stepsPerEpoch)
    if (epoch !== this.#epoch) {
      this.#order = permutation(this.#length, randomFor('order', this.#seed, epoch))
      this.#epoch = epoch
    }
    const { rank, worldSize } = this.#share
    const first = (step % this.stepsPerEpoch) * this.#perStep
    return Array.from({ length: this.#perStep }, (_, i) => {
      const at = (rank + worldSize * (first + i)) % this.#length
      return { epoch, index: this.#order[at] as number }
    })
  }
}
