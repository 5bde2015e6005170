/**
 * The split of open-vocabulary detection on COCO: 48 base and 17 novel classes (Bansal et al., Zero-Shot Object
 * Detection, ECCV 2018; as OVR-CNN, F-ViT and CLIPSelf use it). The other 15 of COCO's 80 are not used.
 */
import { COCO_THINGS, list } from './benchmarks.js'

export const NOVEL: ReadonlySet<string> = new Set(
  list(`airplane, bus, cat, dog, cow, elephant, umbrella, tie, snowboard, skateboard, cup, knife,
cake, couch, keyboard, sink, scissors`),
)

const UNUSED: ReadonlySet<string> = new Set(
  list(`traffic light, fire hydrant, stop sign, parking meter, sports ball, baseball bat,
baseball glove, tennis racket, wine glass, hot dog, potted plant, dining table, cell phone,
teddy bear, hair drier`),
)

/** The 65 classes in the order of COCO's ids, which is that of the labels. */
export const OV_COCO: readonly { readonly name: string; readonly split: 'novel' | 'base' }[] =
  COCO_THINGS.filter(name => !UNUSED.has(name)).map(name => ({
    name,
    split: NOVEL.has(name) ? 'novel' : 'base',
  }))
