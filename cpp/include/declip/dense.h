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
  kScra,  // of blocks with a class token, as the two that follow
  kScClip,
  kCorrClip,
  kCatSeg,
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

/// SC-CLIP, Bai et al., github.com/SuleBai/SC-CLIP. Blocks are counted from 1;
/// 0: as published for towers of 12 and of 24 blocks, which nobody has said of
/// any other depth.
struct ScClipOptions {
  int64_t middle_block = 0;  // its similarities are attention and weights
  int64_t early_block = 0;   // its similarities smooth what comes out
  int64_t first_fused = 0, last_fused = 0;  // their sum is the second input
  std::optional<double> class_weight;       // share of the class token
  double threshold = 0.4;                   // cosines below it are 0
  double gain = 3;                          // factor on shifted similarities
  int64_t neighbours = 30;                  // of the local outlier factor
  double anomalous_share = 0.05;            // of the tokens
};

/// Which features of a vision foundation model patches are compared by.
enum class ProxyPart {
  kPatches,   // those it gives
  kQueryKey,  // q + k of its last block: CorrCLIP on DINO
};

/// CorrCLIP, Zhang et al., arXiv:2411.10086.
struct CorrClipOptions {
  bool merge = true;             // regions alike become one
  double merge_distance = 0.2;   // most between two of them
  double gain = 4;               // factor on the similarities
  double spatial_weight = 1;     // of the mean of earlier blocks
  double semantic_weight = 0.5;  // of a class token per region
  /// Blocks of that mean; as published for towers of 12, 24 and 32 blocks, else
  /// all but 4.
  std::optional<int64_t> spatial_blocks;
  /// As the authors' code has it: the smallest number of a window's regions is
  /// what is not segmented, whether it is 0 or not.
  bool smallest_is_unsegmented = false;
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
  ProxyPart proxy_part = ProxyPart::kPatches;
  ScClipOptions scclip;
  CorrClipOptions corrclip;
  /// CorrCLIP: int32 [B, H, W], the region of every pixel of the pictures, 0
  /// for none; undefined: nothing is segmented.
  at::Tensor regions;
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
