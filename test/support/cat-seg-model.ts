/** A CAT-Seg that has learned nothing: the bundled model's towers and a small head of random weights. */
import { callNative } from '../../ts/engine/call-native.js'
import { loadAddon } from '../../ts/engine/load-addon.js'
import { loadModel } from '../../ts/index.js'

/** Its head sees 96 pixels in patches of 8: a grid of 12, in windows of 6. */
export const CAT_SEG_SIZES = {
  side: 96,
  canvas: 160,
  cut: 96,
  stride: 64,
  window: 6,
  wordLimit: 8,
  blocks: [1, 3],
} as const

export const CAT_SEG_PROMPT = 'A photo of a {} in the scene'

/** Writes it, and says where. */
export async function writeCatSeg(path: string, names = ['cat', 'dog', 'sky']): Promise<string> {
  using model = await loadModel('words-tiny', { dtype: 'float32' })
  using tokens = model.tokenize(names.map(name => CAT_SEG_PROMPT.replace('{}', name)))
  const addon = loadAddon()
  const trainer = await callNative(addon, {}, call =>
    addon.createCatSegTrainer({
      ...call,
      student: model.info.path,
      config: {},
      train: {
        head: {
          ...CAT_SEG_SIZES,
          channels: 16,
          layers: 2,
          heads: 4,
          guidance: [24, 16],
          decoder: [32, 16],
          decoderGuidance: [8, 8],
          imageGuidance: 16,
          textGuidance: 16,
          prompt: CAT_SEG_PROMPT,
        },
        tokens: tokens.native,
        classes: names,
        clip: 'none',
        clipRate: 0.01,
        pooling: 2,
        sampledWords: 0,
        schedule: {
          kind: 'constant',
          rate: 1e-4,
          warmup: 0,
          total: 1,
          cooldown: 0,
          cooldownPower: 1,
          cooldownEnd: 0,
          milestones: [],
          decay: 0.1,
        },
        weightDecay: 0,
        clipNorm: 1,
        emaDecay: 0,
        checkpointActivations: false,
        device: 'cpu',
        dtype: 'float32',
        seed: 3,
      },
    }),
  )
  await callNative(addon, {}, call => trainer.exportCheckpoint({ ...call, path, average: false }))
  trainer.dispose()
  return path
}
