#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "declip/call.h"
#include "declip/cat_seg.h"

namespace declip::cat_seg {

/// The head's tensors under the authors' names without
/// `sem_seg_head.predictor.` : `transformer.conv1.weight`, `upsample1.weight`
/// ...
using Tensors = std::map<std::string, at::Tensor>;

/// Sees what every stage makes, under the fixtures' names ("cost",
/// "layer0.swin_block_1" ...). May be empty.
using Observer = std::function<void(const std::string&, const at::Tensor&)>;

/// Maps that do not depend on words, in LibTorch's operators: what training
/// differentiates and what the fused head is compared with.
///
/// features [n, E, g, g], first and second [n, D, g, g] of the guiding blocks
CatSegMaps plain_maps(const CatSegConfig& config,
                      const Tensors& weights,
                      const at::Tensor& features,
                      const at::Tensor& first,
                      const at::Tensor& second,
                      const Observer& observe = {});

/// text [T, P, E], or [n, T, P, E] where windows have words of their own ->
/// [n, T, 4 g, 4 g]. `word_limit` only pads here (0: it does not); who asks has
/// chosen the words. `block` words, and as many places of attention over words,
/// are worked off at a time (0: all): memory is that of one block beside x and
/// the result, which do not depend on it but for rounding.
at::Tensor plain_logits(const CatSegConfig& config,
                        const Tensors& weights,
                        const CatSegMaps& maps,
                        const at::Tensor& text,
                        int64_t pooling,
                        int64_t word_limit,
                        const Observer& observe = {},
                        int64_t block = 0);

}  // namespace declip::cat_seg
