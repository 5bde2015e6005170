import type { NativeCheckpointInfo, NativeModelInfo } from '../engine/addon-types.js'
import type { MethodName } from '../methods/list.js'
import { defaultMethod, methodsOf } from '../methods/preset.js'

/** What a checkpoint is. */
export interface CheckpointInfo extends NativeCheckpointInfo {
  /** Channels of the vision tower. */
  readonly width: number
  /** Blocks of the vision tower. */
  readonly layers: number
  /** Attention heads of the vision tower. */
  readonly heads: number
  /** Longest text in tokens; null without a text tower. */
  readonly contextLength: number | null
  /** The towers that the file holds. */
  readonly towers: readonly ('vision' | 'text')[]
  /** Methods that run on it; none of a vision foundation model, which knows no words. */
  readonly methods: readonly MethodName[]
  /** The one of a call that names none; null without any. */
  readonly defaultMethod: MethodName | null
}

/** What a loaded model is. */
export interface ModelInfo extends CheckpointInfo {
  /** Number format that the towers compute in. */
  readonly dtype: NativeModelInfo['dtype']
  /** What the layers run on, chosen for this processor when the model was loaded. */
  readonly engine: string
  /** 'cpu' or 'cuda:0'. */
  readonly device: string
  /** Why this device. */
  readonly deviceReason: string
}

/**
 * The addon's description with what callers ask for most in front.
 *
 * @param license - as the hub states it
 * @internal
 */
export function describeCheckpoint<T extends NativeCheckpointInfo>(
  info: T,
  license: string | undefined,
): T & CheckpointInfo {
  const { vision, text } = info
  return Object.freeze({
    ...info,
    width: vision.width,
    layers: vision.layers,
    heads: vision.heads,
    contextLength: text?.contextLength ?? null,
    towers: Object.freeze(text ? (['vision', 'text'] as const) : (['vision'] as const)),
    denseModes: Object.freeze([...info.denseModes]),
    methods: Object.freeze(methodsOf(info)),
    defaultMethod: info.textSpace ? defaultMethod(info) : null,
    license: info.license ?? license ?? null,
    notes: Object.freeze([...info.notes]),
  })
}
