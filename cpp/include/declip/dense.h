#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace declip {

class Model;

/// How the last block of a vision tower makes patch features. The table in
/// cpp/model/dense_mode.cpp tells each one's story.
enum class DenseMode {
  kVanilla,
  kMaskClip,
  kQq,
  kKk,
  kVv,
  kCsa,
  kAll,
  kItaClip,
  kSclip,
  kClearClip,
  kNaClip,
  kProxyClip,
};

/// Throws Error(kInvalidArg) for a name that is none of the modes.
DenseMode dense_mode_from(const std::string& name);
const char* dense_mode_name(DenseMode mode);

/// Options of the last block; what is unset takes the mode's own value.
struct DenseOptions {
  DenseMode mode = DenseMode::kVanilla;
  /// 'scale-factor' or 'size' in model/positions.h terms.
  std::optional<bool> scale_factor_positions;
  std::optional<bool> residual;
  std::optional<bool> feed_forward;
  /// ITACLIP: blocks counted from 1 whose maps are averaged with the last's.
  /// Empty: 7, 8 and 10 as published, or the blocks at the same relative depth
  /// in towers of fewer than 12 blocks.
  std::vector<int64_t> layers;
  /// ITACLIP: self-self maps (true) or ordinary q-k maps.
  bool self_attention = true;
  /// NACLIP: standard deviation of the neighbourhood, in patches.
  double gaussian_std = 5.0;
  /// NACLIP: the neighbourhood term alone (its ablation 'nonly').
  bool neighbours_only = false;
  /// ProxyCLIP: [B, Cv, Hv, Wv] features of a vision foundation model, or the
  /// model that makes them where there are none.
  at::Tensor proxy_features;
  std::shared_ptr<const Model> proxy_model;
  double proxy_beta = 1.2;
  double proxy_gamma = 3.0;
};

}  // namespace declip
