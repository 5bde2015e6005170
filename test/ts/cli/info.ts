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
    vision: {
      width: 768,
      layers: 12,
      heads: 12,
      mlp: 2048,
      activation: 'swiglu',
      registers: 0,
      poolingHead: null,
    },
    text: {
      width: 512,
      layers: 12,
      heads: 8,
      contextLength: 77,
      vocab: 49408,
      activation: 'gelu',
      causal: true,
      pool: 'end' as const,
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
    denseModes: ['vanilla', 'maskclip', 'csa', 'naclip'] as const,
    maskDecoder: null,
    detector: null,
    catSeg: null,
    license: null,
    notes: ['rope tables recomputed'],
  } satisfies Parameters<typeof describeCheckpoint>[0]
  const lines = describeCheckpoint(info)
  for (const line of [
    /^ {2}format {9}trainer$/m,
    /size +149\.6 million parameters in 410 tensors, float32/,
    /image +224 x 224 pixels, patches of 16/,
    /vision tower +width 768, 12 layers, 12 heads, MLP 2048 swiglu/,
    /text tower +width 512, 12 layers, 8 heads, gelu, 77 tokens of 49408 \(openai\), causal, pooled at the end of the text$/m,
    /short side to 224 \(bicubic\), middle 224 x 224, mean 0\.4815 0\.4578 0\.4082, std 0\.2686 0\.2613 0\.2758/,
    /dense mode +csa/,
    /dense modes +vanilla, maskclip, csa, naclip$/m,
    /methods +declip by default; declip, clipself, naclip, maskclip, vanilla run$/m,
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
  const head = { heads: 16, mlp: 4304, activation: 'gelu_tanh' }
  const siglip = describeCheckpoint({
    ...info,
    family: 'siglip',
    denseMode: null,
    denseModes: ['vanilla', 'maskclip', 'qq', 'declip'],
    vision: { ...info.vision, poolingHead: head },
    text: { ...info.text, causal: false, pool: 'last' },
  })
  t.match(siglip, /swiglu, pooling head of 16 heads, MLP 4304 gelu_tanh$/m)
  t.match(siglip, /both ways, pooled at the last of all tokens$/m)
  t.match(siglip, /methods +maskclip by default; declip, clipself, maskclip, vanilla run$/m)
  const dino = describeCheckpoint({
    ...info,
    ...bare,
    family: 'dinov3',
    textSpace: false,
    denseModes: [],
    vision: { ...info.vision, registers: 4 },
  })
  t.match(dino, /swiglu, 4 registers$/m)
  t.notMatch(dino, /methods|dense modes/)
  t.notMatch(vision, /epoch |note {2}|logit bias/)
  t.match(describeCheckpoint({ ...info, logitBias: -12.9 }), /logit bias +-12\.900/)
  t.notMatch(lines, /CAT-Seg/)
  const catSeg = {
    channels: 128,
    layers: 2,
    prompts: 1,
    blocks: [3, 7],
    mode: 'csa' as const,
    unitPatches: true,
    side: 384,
    canvas: 640,
    cut: 384,
    stride: 256,
    window: 12,
    heads: 4,
    wordLimit: 256,
    prompt: 'A photo of a {} in the scene',
    names: [],
  }
  const trained = describeCheckpoint({ ...info, catSeg })
  for (const line of [
    /methods +cat-seg by default; declip, clipself, naclip, maskclip, cat-seg, vanilla run$/m,
    /CAT-Seg +head of 2 layers, 128 channels in 4 heads, attention in windows of 12 x 12 of 24 x 24 patches$/m,
    /sees +4 windows of 384 every 256 pixels of 640 x 640, and the whole picture, each as 384 x 384$/m,
    /tower +last block 'csa', patches of length 1; blocks 3 and 7 \(from 0\) guide the decoder$/m,
    /words +any, by 'A photo of a \{\} in the scene'; at most 256 of a window$/m,
    /learned +classes that the file does not name$/m,
  ]) {
    t.match(trained, line)
  }
  t.match(
    describeCheckpoint({ ...info, catSeg: { ...catSeg, names: ['cat', 'dog', 'sky'] } }),
    /learned +3 classes from cat to sky$/m,
  )
  t.end()
})
