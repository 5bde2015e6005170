#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/family.h"

namespace declip {

/// F-ViT's heads beside a tower, under the names that mmdetection 2 gives them
/// (`backbone.interpolate*`, `neck.*`, `rpn_head.*`, `roi_head.*`). Fills
/// `out.detector`, or says in `out.detector_fault` what is wrong with heads
/// that are not whole or not F-ViT's, whose tower can be used all the same. A
/// file without any is left as it is.
///
/// Sizes come from shapes; names of classes from mmdetection's `meta.CLASSES`
/// or, with what shapes do not tell, from the safetensors metadata
/// `declip.detector`:
///   { side, blocks, mode, classes, novel, alpha, beta, voteTemperature }
/// Fields may be missing. What nobody says is as the released configurations
/// have it (the constants in the source).
///
/// out.config  already read: heads must fit the tower
///
/// The tensors leave `source.weights.unused`, unless there is a fault. Batch
/// norms' `num_batches_tracked` and the unused `fc_cls` stay among them, for
/// files that are written again.
void read_detector(const CheckpointSource& source, Checkpoint& out);

/// The side of the network's square as released, in whole patches: 896 for
/// patches of 14 pixels, else 1024 for the LVIS variant (masks, or norms in the
/// RPN) and 640 for the COCO one.
int64_t usual_detector_side(const DetectorConfig& config);

/// Blocks whose maps are the levels, counted from 0: 3, 5, 7, 11 of 12 and 6,
/// 10, 14, 23 of 24 as released; for other depths in like places.
std::vector<int64_t> usual_detector_blocks(int64_t depth);

}  // namespace declip
