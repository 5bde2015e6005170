import { DeclipError, invalid } from '../errors.js'

/** One of the processes that train a model together. */
export interface ProcessGroup {
  /** Of this process: 0..worldSize-1. Rank 0 logs and saves. */
  readonly rank: number
  readonly worldSize: number
  /** Host where rank 0 listens, as the others reach it. */
  readonly address: string
  /** Its port, 1..65535. */
  readonly port: number
  /** Among the processes of this machine: the index of its GPU. Default 0. */
  readonly localRank?: number | undefined
  /** Processes of this machine, which share its CPU threads. Default 1. */
  readonly localWorldSize?: number | undefined
  /** How long a process waits for the others, in milliseconds. Default 600 000. */
  readonly timeoutMs?: number | undefined
  /**
   * 'auto', the default: NCCL between GPUs where the build has it, gloo between CPUs. 'gloo': gloo for
   * both, such as for two processes on one GPU.
   */
  readonly backend?: 'auto' | 'gloo' | undefined
}

/** A group whose optional members are filled in. @internal */
export type Ranks = { readonly [K in keyof ProcessGroup]-?: NonNullable<ProcessGroup[K]> }

/**
 * Reads the variables by which torchrun, Slurm scripts and Kubernetes operators tell a process its
 * place: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and if they are there LOCAL_RANK and
 * LOCAL_WORLD_SIZE. Returns undefined without WORLD_SIZE or where it is 1.
 *
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a variable that is missing or no whole number
 */
export function processGroupFromEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): ProcessGroup | undefined {
  if (env['WORLD_SIZE'] === undefined || env['WORLD_SIZE'] === '1') return undefined
  const text = (name: string) => {
    const value = env[name]
    if (value) return value
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `WORLD_SIZE is set, but ${name} is not. Set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or unset WORLD_SIZE to train in one process.`,
    )
  }
  const whole = (name: string) => {
    const value = text(name)
    if (/^\d{1,9}$/.test(value)) return Number(value)
    throw invalid(`The environment variable ${name}`, 'a whole number', value)
  }
  return {
    rank: whole('RANK'),
    worldSize: whole('WORLD_SIZE'),
    address: text('MASTER_ADDR'),
    port: whole('MASTER_PORT'),
    ...(env['LOCAL_RANK'] && { localRank: whole('LOCAL_RANK') }),
    ...(env['LOCAL_WORLD_SIZE'] && { localWorldSize: whole('LOCAL_WORLD_SIZE') }),
  }
}

/** Checks a group. @throws DeclipError ERR_DECLIP_INVALID_ARG @internal */
export function checkProcessGroup(group: ProcessGroup): Ranks {
  const whole = (name: keyof ProcessGroup, value: unknown, low: number, high: number): number => {
    const fits = Number.isInteger(value) && (value as number) >= low && (value as number) <= high
    if (fits) return value as number
    throw invalid(`processGroup.${name}`, `a whole number ${low}..${high}`, value)
  }
  const {
    address,
    localRank = 0,
    localWorldSize = 1,
    timeoutMs = 600_000,
    backend = 'auto',
  } = group
  if (typeof address !== 'string' || address === '') {
    throw invalid('processGroup.address', 'a host name or address', address)
  }
  if (backend !== 'auto' && backend !== 'gloo') {
    throw invalid('processGroup.backend', "'auto' or 'gloo'", backend)
  }
  const worldSize = whole('worldSize', group.worldSize, 1, 2 ** 20)
  return {
    rank: whole('rank', group.rank, 0, worldSize - 1),
    worldSize,
    address,
    port: whole('port', group.port, 1, 65535),
    localRank: whole('localRank', localRank, 0, 2 ** 20),
    localWorldSize: whole('localWorldSize', localWorldSize, 1, 2 ** 20),
    timeoutMs: whole('timeoutMs', timeoutMs, 1, 7 * 24 * 3600 * 1000),
    backend,
  }
}

/** CPU threads of one of a machine's processes. @internal */
export function threadsOf(threads: number, ranks: Ranks | undefined): number {
  return Math.max(1, Math.floor(threads / (ranks?.localWorldSize ?? 1)))
}

/** The device of a rank: its own GPU, unless one is named. @internal */
export function deviceOf(device: string, ranks: Ranks | undefined, cudaDevices: number): string {
  if (!ranks) return device
  if (device === 'cuda' || (device === 'auto' && cudaDevices > 0)) return `cuda:${ranks.localRank}`
  return device
}
