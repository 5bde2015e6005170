#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "cat_seg/plain_head.h"
#include "declip/call.h"
#include "declip/cat_seg.h"
#include "model/layers.h"

namespace declip::cat_seg {

/// The part of the head that is done for every word, in kernels of our own:
/// windows of a picture and words one after the other, so that what is at work
/// stays in the cache. CPU; with bfloat16 the aggregator's products are in it
/// where the processor has instructions for that, all else is float32.
class FusedHead {
 public:
  /// Whether it takes such a head: numerics are fused, the convolutions of the
  /// decoder have multiples of 16 channels.
  static bool fits(const CatSegConfig& config,
                   const Tensors& weights,
                   const Numerics& numerics);

  FusedHead(const CatSegConfig& config,
            const Tensors& weights,
            const Numerics& numerics);
  ~FusedHead();

  /// Whether maps are square and windows of attention divide them.
  bool takes(const CatSegMaps& maps) const;

  /// As plain_logits(), for any number of words: beside the result it keeps
  /// maps of the words of one window (295 KB for a word of the released heads),
  /// or of several windows where these have few.
  at::Tensor logits(const CatSegMaps& maps,
                    const at::Tensor& text,
                    int64_t pooling,
                    int64_t word_limit,
                    const Call& call) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace declip::cat_seg
