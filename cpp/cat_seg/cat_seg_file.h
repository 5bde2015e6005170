#pragma once

#include "checkpoint/family.h"

namespace declip {

/// CAT-Seg's head beside the towers that were fine-tuned with it, under the
/// authors' names (`sem_seg_head.predictor.transformer.*`, `upsample1.*`,
/// `upsample2.*`). Fills `out.cat_seg`, or says in `out.cat_seg_fault` what is
/// wrong with a head that is not whole or not CAT-Seg's of 2024, whose towers
/// can be used all the same.
///
/// Sizes come from shapes, also the window of attention over places and the
/// side of the tower's input where the file has the masks of shifted windows;
/// what shapes do not tell from the safetensors metadata `declip.catSeg`:
///   { side, canvas, cut, stride, heads, window, wordLimit, blocks, mode,
///     unitPatches, prompt, names }
/// Fields may be missing. What nobody says is as the released configurations
/// have it (the constants in the source).
///
/// out.config  already read: the head must fit the towers
///
/// The tensors leave `source.weights.unused`, unless there is a fault.
void read_cat_seg(const CheckpointSource& source, Checkpoint& out);

/// Blocks whose maps guide, counted from 0: 3, 7 of 12 and 7, 15 of 24 as
/// released; for other depths in like places.
std::vector<int64_t> usual_guiding_blocks(int64_t depth);

/// The side of the tower's input as released, in pixels: 336 for towers of 1024
/// channels, else 384.
int64_t usual_cat_seg_side(const VisionConfig& tower);

}  // namespace declip
