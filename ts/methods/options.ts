import type { DenseMode, ModelFamily, Positions } from '../base/names.js'
import type { NativeBank, NativeModel } from '../engine/addon-types.js'
import type { Tensor } from '../engine/tensor.js'
import type { TemplateSetName } from '../text/templates.js'
import type { MethodName } from './list.js'
import type { PamrOptions } from './method.js'

/** Options of the last block, for {@link Model.encodeDense} and the pipelines. */
export interface DenseOptions {
  /**
   * Dense mode: how the last block makes patch features. Default: the mode the checkpoint was fine-tuned for,
   * else the preset's or 'vanilla'.
   */
  mode?: DenseMode | undefined
  /** How the positional table is resized to another grid. Default: the rule of the mode's own code base. */
  positions?: Positions | undefined
  /**
   * Keeps (true) or drops (false) the residual connection around the last attention. Default: as the mode's
   * paper.
   */
  residual?: boolean | undefined
  /** Keeps (true) or drops (false) the last block's MLP. Default: as the mode's paper. */
  feedForward?: boolean | undefined
  /**
   * 'itaclip': blocks, counted from 1, whose attention maps are averaged with the last one's: a list with at
   * least one item, each a whole number of at least 1. Default: [7, 8, 10], in towers of fewer than 12 blocks
   * those at the same relative depths.
   */
  layers?: readonly number[] | undefined
  /** 'itaclip': true for self-self attention maps, false for ordinary q-k maps. Default: true. */
  selfAttention?: boolean | undefined
  /** 'naclip': standard deviation of the Gaussian neighbourhood, in patches: a finite number above 0. Default: 5. */
  gaussianStd?: number | undefined
  /** 'naclip': true leaves only the neighbourhood term in the attention logits. Default: false. */
  neighboursOnly?: boolean | undefined
  /** 'proxyclip' and 'corrclip': a vision foundation model, or its features of the same pixels. */
  proxy?: ProxyOptions | undefined
  /** 'corrclip': how its regions are merged and what its branches weigh. */
  corrclip?: CorrClipOptions | undefined
  /**
   * 'corrclip': int32 Tensor [B, H, W] with the region of every pixel of the pictures as the model gets them, 0
   * for none. Pipelines, which cut windows, take `masks` of the whole picture instead.
   */
  regions?: Tensor | undefined
  /** 'scclip': its blocks and numbers, which models of other depths than 12 and 24 blocks need. */
  scclip?: ScClipOptions | undefined
}

/** CorrCLIP's own options; what is left out is as published. */
export interface CorrClipOptions {
  /** Regions whose features are alike become one. Default: true. */
  merge?: boolean | undefined
  /** Most that two regions' mean directions may be apart to become one, in cosine: a finite number above 0. Default: 0.2. */
  mergeDistance?: number | undefined
  /** Factor on the similarities before the softmax: a finite number above 0. Default: 4. */
  gain?: number | undefined
  /** Weight of the mean of earlier blocks; 0 leaves that branch out: a finite number. Default: 1. */
  spatialWeight?: number | undefined
  /** Weight of the class token of every region: a finite number. Default: 0.5. */
  semanticWeight?: number | undefined
  /**
   * How many blocks before the last but one are averaged for the spatial branch: a whole number of at least 1.
   * Default: 5 of 12 blocks, 12 of 24, 28 of 32, else all but 4.
   */
  spatialBlocks?: number | undefined
  /**
   * What is not segmented: 'zero' for pixels of region 0, 'smallest' for the smallest number of a window, as the
   * authors' code has it. Default: 'zero'.
   */
  unsegmented?: 'zero' | 'smallest' | undefined
}

/**
 * SC-CLIP's numbers. Blocks are counted from 1. What was published is for models of 12 and of 24 blocks; a model
 * of another depth is refused until `middleBlock`, `earlyBlock`, `fusedBlocks` and `classWeight` are given, and the
 * message says what lies at the same relative depths.
 */
export interface ScClipOptions {
  /** Block whose similarities patches are averaged and attend by: a whole number of at least 1. Default: 9 of 12 blocks, 17 of 24. */
  middleBlock?: number | undefined
  /** Block whose similarities what comes out is averaged by: a whole number of at least 1. Default: 4 of 12 blocks, 7 of 24. */
  earlyBlock?: number | undefined
  /** Blocks whose sum goes through the last block too. Default: [4, 10] of 12 blocks, [9, 19] of 24. */
  fusedBlocks?: readonly [first: number, last: number] | undefined
  /** Share of the class token in every patch: a finite number. Default: 0.3 with 12 blocks, 0.1 with 24. */
  classWeight?: number | undefined
  /** Cosines that are lower have no weight in averages: a finite number. Default: 0.4. */
  threshold?: number | undefined
  /** Factor on the similarities that patches attend by: a finite number above 0. Default: 3. */
  gain?: number | undefined
  /** Nearest tokens that a token's loneliness is measured by: a whole number of at least 1. Default: 30. */
  neighbours?: number | undefined
  /** Share of the tokens that are made again of those around them: a number from 0 to 1. Default: 0.05. */
  anomalousShare?: number | undefined
}

/** How CAT-Seg's head sees a picture and answers; what is left out is the head's own ({@link CheckpointInfo.catSeg}). */
export interface CatSegOptions {
  /**
   * Sees windows and the whole picture, as published figures have it; false: the whole picture alone, about five times
   * as fast. Default: true.
   */
  sliding?: boolean | undefined
  /** Side in pixels of what goes through the tower: a whole number, 1 to 65535. Default: the head's. */
  side?: number | undefined
  /** Side in pixels of the square that windows are cut from: a whole number, 1 to 65535. Default: the head's. */
  canvas?: number | undefined
  /** Side in pixels of a window, before it is resized to `side`: a whole number, 1 to 65535. Default: the head's. */
  cut?: number | undefined
  /** Step of the windows in pixels: a whole number, 1 to 65535. Default: the head's. */
  stride?: number | undefined
  /** Blocks of the tower, counted from 0, whose maps guide the decoder. Default: the head's. */
  blocks?: readonly [first: number, last: number] | undefined
  /** Form of the tower's last block. Default: the head's. */
  mode?: 'cat-seg' | 'csa' | 'qq' | 'kk' | 'vv' | 'all' | 'maskclip' | 'vanilla' | undefined
  /**
   * Side in patches of what is averaged before words attend to each other: 1 as published figures have it, 2 as heads
   * were trained, which is faster. Default: 1.
   */
  pooling?: 1 | 2 | undefined
  /**
   * Words of a window that are aggregated, those that its patches are most like; others cannot be found there. Fewer are
   * filled up to as many by the head's own padding; 0: all words, and no padding: a whole number, 0 to 65536. Default:
   * the head's.
   */
  wordLimit?: number | undefined
}

/** A loaded vision foundation model: what {@link loadModel} gives for a DINO, DINOv2, DINOv3 or SAM. */
export interface FoundationModel {
  /** What the pipeline has to know of it. */
  readonly info: {
    readonly family: ModelFamily
    readonly textSpace: boolean
    readonly patchSize: number
  }
  /** @internal */
  readonly native: NativeModel
}

/** The external attention of ProxyCLIP and CorrCLIP: give `model` or `features`. */
export interface ProxyOptions {
  /**
   * The vision foundation model (DINO, DINOv2, DINOv3 or SAM) that makes the features of every window: a loaded
   * one, or what {@link loadModel} takes, which is then loaded on the CLIP model's device, in its number
   * format, and kept for later calls. ProxyCLIP's own choice is DINO ViT-B/8.
   */
  model?: FoundationModel | string | undefined
  /** Float tensor [B, C, Hv, Wv]: one map per picture or, in a pipeline, per window (row by row). */
  features?: Tensor | undefined
  /** Shift of the similarities, as a multiple of their mean: a finite number. Default: 1.2. */
  beta?: number | undefined
  /** Factor on the shifted similarities: a finite number above 0. Default: 3. */
  gamma?: number | undefined
  /**
   * Which of the model's features patches are compared by: those it gives, or q + k of its last block (DINO,
   * DINOv2 and DINOv3). Default: 'query-key' for CorrCLIP on windows with a DINO, else 'patches'.
   */
  part?: 'patches' | 'query-key' | undefined
  /**
   * What the model is shown: every window, or the whole picture once, in its own size, with features on twice
   * the patch grid of a window (CorrCLIP's second version). Default: 'window'.
   */
  sees?: 'window' | 'picture' | undefined
}

/** A loaded model with a text tower: what {@link loadModel} gives for a CLIP. */
export interface TextTowerModel {
  /** What it is. */
  readonly info: { readonly family: ModelFamily; readonly textSpace: boolean }
  /** @internal */
  readonly native: NativeModel
}

/** Where method 'talk2dino' has its words from. */
export interface TextOptions {
  /**
   * The CLIP whose text tower embeds the words: a loaded one, or what {@link loadModel} takes, which is then
   * loaded beside the DINOv2 and kept for later calls. ViT-B/16 for the authors' projections.
   */
  model?: TextTowerModel | string | undefined
  /** The file that brings its words into the DINOv2's space: the authors' `.pth`, or the same as safetensors. */
  projection?: string | URL | undefined
}

/** Aggregation over the whole picture, as RADSeg does it. */
export interface AggregateOptions {
  /** Factor on the similarities, less their mean, before the softmax over patches: a finite number above 0. Default: 10. */
  gain?: number | undefined
}

/** How words become features. */
export interface PromptOptions {
  /** 'talk2dino': the text tower and the projection that words go through. */
  text?: TextOptions | undefined
  /** 'imagenet' (80, the default but of CAT-Seg, which has its head's prompt), 'vild' (63), 'subset' (7), 'tcl' (9), 'none' (the bare words), or own prompts with `{}` for the word. */
  templates?: TemplateSetName | readonly string[] | undefined
  /** Share of the definitions or synonyms in a word's features: a number from 0 to 1. Default: the preset's. */
  definitionWeight?: number | undefined
  /**
   * Which words of a class are compared: its first one alone, or all, of which the best counts; the background's always
   * all. Default: the preset's, else 'all'.
   */
  classWords?: 'first' | 'all' | undefined
}

/** A loaded bank of regions: what Bank.open() and buildBank() give. */
export interface BankSource {
  /** @internal */
  readonly native: NativeBank
  /** Refuses models that did not make it. @internal */
  check(model: BankAsker, keyModel: BankAsker): Promise<void>
}

/** A model that asks a bank. */
interface BankAsker {
  readonly info: {
    readonly path: string
    readonly family: ModelFamily
    readonly embedDim: number
  }
}

/** How a bank of other pictures' regions takes part; see the guide on banks. */
export interface BankOptions {
  /**
   * Regions of unlabelled pictures: what {@link buildBank} or {@link Bank.open} gives. Needs `masks`, and the models
   * that built it: `model`, and as `proxy.model` the one that made its keys.
   */
  bank?: BankSource | undefined
  /**
   * Regions of the bank whose mean stands for a region of the picture: a whole number, 1 to 65536. Default: 20.
   */
  bankNeighbours?: number | undefined
  /** Share of the bank in the scores of every pixel: a number from 0 to 1. Default: 0.5. */
  bankShare?: number | undefined
}

/** Features of words: a {@link Vocabulary}. */
export interface BankWords {
  readonly features: Tensor
  readonly wordClass: Int32Array
}

/** Everything a pipeline can be told; what is left out comes from the method's preset. */
export interface PipelineOptions extends DenseOptions, BankOptions {
  /**
   * Preset that fills what is left out. Default: 'cat-seg' of a checkpoint with CAT-Seg's head; else the one of the
   * mode that the checkpoint was fine-tuned for; else 'declip' for an EVA tower, 'vanilla' for a model of pictures under 224
   * pixels, 'naclip' for any other.
   */
  method?: MethodName | undefined
  /** Variant of the preset for a data set of the papers, such as 'voc21'. */
  dataset?: string | undefined
  /** Dense mode; overrides the preset's. */
  denseMode?: DenseMode | undefined
  /**
   * Shorter side in pixels that the picture is resized to; null for its own size: null or a whole number of
   * pixels, 1 to 65535. Default: the preset's; of models under 224 pixels three times their size, and smaller
   * pictures keep theirs.
   */
  shortSide?: number | null | undefined
  /**
   * What the longer side of a resized picture may be at most, in pixels; the shorter one is smaller then: a whole
   * number, 1 to 65535. Default: the preset's.
   */
  longSide?: number | undefined
  /**
   * Side of the sliding window in pixels; 0 for one pass over the whole picture: a whole number, 0 to 65535.
   * Default: the preset's.
   */
  window?: number | undefined
  /** Step of the sliding window in pixels: a whole number, 1 to 65535. Default: the preset's. */
  stride?: number | undefined
  /**
   * Windows are padded with zeros to a multiple of this many pixels; 1 for none: a whole number, 1 to 65535.
   * Default: the preset's.
   */
  padTo?: number | undefined
  /** ITACLIP's image engineering: grey, blurred and flipped copies of every window. Default: the preset's. */
  augment?: boolean | undefined
  /**
   * Share of original, grey and blurred copies against the flipped ones: a number from 0 to 1. Default: the
   * preset's.
   */
  augmentWeight?: number | undefined
  /**
   * 'talk2dino': adds what the attention heads look at that look at a word, which separates it from the background.
   * Default: the preset's.
   */
  backgroundCleaning?: boolean | undefined
  /**
   * Joins the windows' features on one grid, where every patch then attends to all that are like it. Default:
   * false.
   */
  aggregate?: boolean | AggregateOptions | undefined
  /** 'cat-seg': how the head sees the picture and answers. */
  catSeg?: CatSegOptions | undefined
}

/** What is done with the class scores of every pixel. */
export interface PostprocessOptions {
  /**
   * Factor on the cosine similarities before the softmax over words: a finite number above 0. Default: the
   * preset's.
   */
  logitScale?: number | undefined
  /**
   * Refinement along the picture's edges; false for none: false or { iterations, dilations }. Default: the
   * preset's.
   */
  pamr?: PamrOptions | false | undefined
  /**
   * Pixels whose best probability is lower become background: a number from 0 to 1. Default: the preset's with
   * a background class, else 0.
   */
  probThreshold?: number | undefined
  /**
   * Foreground classes with a smaller share of the foreground pixels are removed; 0 for none: a number from 0
   * to 1. Default: the preset's with a background class, else 0.
   */
  areaThreshold?: number | undefined
  /**
   * Words whose probability is nowhere in the picture this high are left out, the background's excepted; 0 for
   * none: a number from 0 to 1. Default: 0.
   */
  wordThreshold?: number | undefined
  /** 3 x 3 morphological closing of the label map. Default: the preset's. */
  closing?: boolean | undefined
  /**
   * 'vote': last of all, every region of `masks` gets its most frequent label. Default: the preset's,
   * else false.
   */
  refine?: 'vote' | false | undefined
  /**
   * The same words by the second encoder of `bank`, a vocabulary of as many words in the same order: its scores and the
   * first one's are averaged. Default: none, and a second encoder's values are not used.
   */
  bankWords?: BankWords | undefined
  /** Also return the scores of every class and pixel; costs classes x H x W x 4 bytes. Default: false. */
  logits?: boolean | undefined
  /** Also return the class probabilities of every pixel; costs classes x H x W x 4 bytes. Default: false. */
  probabilities?: boolean | undefined
}
