#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace declip {

class Model;

/// How the last block of a vision tower, or its pooling head, makes patch
/// features. What each does, who published it and which towers have it is the
/// table in cpp/model/recipe.cpp.
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
  kDeClip,  // of pooling heads only, as the two that follow
  kMaskClipProjection,
  kQqProjection,
};

/// Throws Error(kInvalidArg) for a name that is none of the modes.
DenseMode dense_mode_from(const std::string& name);
const char* dense_mode_name(DenseMode mode);

/// How a learned positional table is resized to another patch grid.
enum class Positions {
  /// Bicubic with the factor (h + 0.1) / g, used when the token count differs:
  /// ITACLIP, SCLIP, NACLIP, ClearCLIP, ProxyCLIP (from DINO's code).
  kScaleFactor,
  /// Bicubic to exactly (h, w), used when the grid differs: DeCLIP, CLIPSelf,
  /// Hugging Face.
  kSize,
};

/// Options of the last block; what is unset takes the mode's own value.
struct DenseOptions {
  DenseMode mode = DenseMode::kVanilla;
  std::optional<Positions> positions;
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

/// Which blocks' tokens are wanted.
struct StageOptions {
  std::vector<int64_t> blocks{};  // counted from 0, in any order
  DenseOptions dense{};           // of the last block, as everywhere
  bool features = false;          // patch features too
};

/// Tokens after one block, before any final norm, float32.
struct Stage {
  at::Tensor map;     // [B, C, h, w], the patches
  at::Tensor prefix;  // [B, P, C], class token, then registers; P may be 0
};

struct Stages {
  std::vector<Stage> blocks;  // in the order asked for
  at::Tensor features;        // [B, E, h, w], not normalised, if asked for
};

}  // namespace declip
