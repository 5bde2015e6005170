#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <map>
#include <string>

#include "declip/checkpoint.h"

namespace declip {

/// What the authors' files have in front of most names.
inline constexpr char kCatSegPrefix[] = "sem_seg_head.predictor.";

/// The name in the authors' files of one of the head's tensors, which are
/// called `transformer.*` and `upsample*` elsewhere.
std::string cat_seg_name(const std::string& name);

/// A model's towers under the names that CAT-Seg's files give them:
/// `sem_seg_head.predictor.clip_model.*`. On plain towers q, k and v are
/// tensors of their own, as they learn apart.
///
/// joined  the internal name of each tensor that was taken apart, with the
///         names of its parts
struct CatSegTowerTensors {
  std::map<std::string, at::Tensor> tensors;  // by file name
  std::map<std::string, std::string> whole;   // internal name to file name
  std::map<std::string, std::array<std::string, 3>> joined;

  /// Under internal names, put together again; gradients flow through it.
  std::map<std::string, at::Tensor> internal() const;
};

/// The tensors as they are in the checkpoint.
/// Throws Error(kInvalidArg) for what the layout has no name for.
CatSegTowerTensors cat_seg_tower_tensors(const Checkpoint& student);

/// Whether a tensor of the towers, by its file name, learns with CLIP's
/// attention: q and v of both towers, on EVA the whole in-projection of the
/// text tower.
bool learns_attention(const std::string& name);

/// Whether a tensor of the head is a norm's, and therefore does not decay.
bool is_cat_seg_norm(const std::string& name);

}  // namespace declip
