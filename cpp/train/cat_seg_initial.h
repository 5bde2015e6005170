#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "declip/cat_seg.h"
#include "declip/config.h"

namespace declip {

/// The sizes of a new head for a model: what `wanted` leaves 0 or empty as the
/// released configurations have it, by the tower's width and depth. On EVA the
/// mode kCatSeg, which plain towers have, stands for DeCLIP's: kCsa, and
/// patches of unit length.
/// Throws Error(kInvalidArg) that names the field for sizes that cannot be.
CatSegConfig new_cat_seg_config(CatSegConfig wanted, const ModelConfig& model);

/// Throws Error(kInvalidArg) that names the field unless a head of these sizes
/// can be trained on the model.
void check_cat_seg_config(const CatSegConfig& config, const ModelConfig& model);

/// A head that has learnt nothing, under the authors' names without
/// `sem_seg_head.predictor.`: weights and biases as PyTorch's modules begin
/// (uniform within 1 / sqrt(inputs)), norms 1 and 0, padding tokens 0. The same
/// seed gives the same head.
std::map<std::string, at::Tensor> initial_cat_seg(const CatSegConfig& config,
                                                  int64_t tower_width,
                                                  uint64_t seed);

}  // namespace declip
