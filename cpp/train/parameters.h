#pragma once

#include <map>
#include <string>
#include <vector>

#include "declip/config.h"
#include "declip/train.h"

namespace declip {

/// Names of a student's tensors that learn. CLIPSelf and DeCLIP,
/// training/main and `lock` of their towers:
///
/// EVA    groups are the blocks; the last `unlocked_groups` learn. Patch
///        embedding, class token, positions, final norm and head never do.
/// plain  groups are, in order: convolution, class token and ln_pre; positions;
///        every block. ln_post and the projection never learn.
///
/// DeCLIP also locks what its last block does not use: the MLP and its norm,
/// and in EVA's modes 'qq' the keys, 'kk' the queries. Contrastive training
/// without `unlocked_groups` locks nothing of the image tower.
///
/// Throws Error(kInvalidArg) if there are no such groups.
std::vector<std::string> trainable_parameters(
    const ModelConfig& config,
    const std::map<std::string, at::Tensor>& tensors,
    const TrainOptions& options);

/// Weight decay is for tensors of two or more dimensions whose name holds none
/// of 'bn', 'ln', 'bias', 'logit_scale'.
bool has_weight_decay(const std::string& name, const at::Tensor& tensor);

}  // namespace declip
