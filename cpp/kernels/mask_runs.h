#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/size.h"
#include "kernels/mask_runs_args.h"

namespace declip {

/// Measures masks of SAM's decoder in one pass over the pixels that need it,
/// without keeping any at full size. Logits are resized to the network's
/// square, cut to the picture in it, and resized to the crop (both bilinear,
/// align_corners=False, no antialias; segment-anything, Sam.postprocess_masks).
/// Both resizes are linear, and of both together every output takes three
/// samples along each axis. Where nine neighbouring samples are all above the
/// offset, or all below minus the offset, so is everything between them, which
/// is counted and not computed: the work is that of the outlines.
class MaskRuns {
 public:
  /// low      of the logits, at least 3 x 3 and not more than `side`
  /// side     of the network's square
  /// input    the part of the square that is the crop
  /// crop     in pixels of the picture
  MaskRuns(Size low, int64_t side, Size input, Size crop);

  /// logits   float32 [maps, low.height, low.width]
  /// chosen   the maps to measure
  /// offset   at least 0: logits above it are surely inside, those above minus
  ///          it possibly
  /// picture  the size of the masks, in which the crop lies at (top, left)
  std::vector<MeasuredMask> measure(const at::Tensor& logits,
                                    const std::vector<int64_t>& chosen,
                                    double offset,
                                    Size picture,
                                    int64_t top,
                                    int64_t left) const;

 private:
  struct Axis {
    Axis(int64_t low, int64_t side, int64_t cut, int64_t out);
    MaskAxisArgs args() const;

    std::vector<MaskTapGroup> groups;
    std::vector<int32_t> base;
    std::vector<float> weights;
  };

  Size low_, crop_;
  Axis rows_, columns_;
};

}  // namespace declip
