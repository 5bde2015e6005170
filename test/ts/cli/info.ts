import t from 'tap'
import { describeCheckpoint } from '../../../ts/cli/info.js'

t.test('describeCheckpoint', t => {
  const info = {
    path: 'epoch_6.pt',
    format: 'trainer',
    family: 'eva',
    textSpace: true,
    tokenizer: 'openai',
    imageSize: 224,
    patchSize: 16,
    embedDim: 512,
    vision: { width: 768, layers: 12, heads: 12, mlp: 2048, activation: 'swiglu' },
    text: {
      width: 512,
      layers: 12,
      heads: 8,
      contextLength: 77,
      vocab: 49408,
      activation: 'gelu',
      endToken: null,
    },
    preprocess: {
      resize: 'shortest',
      size: 224,
      crop: 224,
      maxPatches: null,
      interpolation: 'bicubic',
    } as const,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
    storedDtype: 'float32',
    parameters: 149_600_000,
    tensors: 410,
    logitScale: 100,
    logitBias: null,
    epoch: 6,
    denseMode: 'csa' as const,
    license: null,
    notes: ['rope tables recomputed'],
  } satisfies Parameters<typeof describeCheckpoint>[0]
  const lines = describeCheckpoint(info)
  for (const line of [
    /^ {2}format {9}trainer$/m,
    /size +149\.6 million parameters in 410 tensors, float32/,
    /image +224 x 224 pixels, patches of 16/,
    /vision tower +width 768, 12 layers, 12 heads, MLP 2048 swiglu/,
    /text tower +width 512, 12 layers, 8 heads, gelu, 77 tokens of 49408/,
    /short side to 224 \(bicubic\), middle 224 x 224, mean 0\.4815 0\.4578 0\.4082, std 0\.2686 0\.2613 0\.2758/,
    /dense mode +csa/,
    /licence +not stated/,
    /epoch +6/,
    /logit scale +100\.000/,
    /note +rope tables recomputed/,
  ]) {
    t.match(lines, line)
  }
  const bare = { text: null, epoch: null, denseMode: null, logitScale: null, notes: [] }
  const vision = describeCheckpoint({ ...info, ...bare })
  t.match(vision, /text tower +none/)
  t.notMatch(vision, /epoch |note |logit bias/)
  t.match(describeCheckpoint({ ...info, logitBias: -12.9 }), /logit bias +-12\.900/)
  t.end()
})
