#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace declip {

/// OpenAI/OpenCLIP ViT and EVA02 ViT; then vision foundation models, which have
/// no text space.
enum class Family { kPlain, kEva, kDino, kDino2, kSam };
enum class Activation { kQuickGelu, kGelu };  // of the MLP; EVA's is SwiGLU

inline bool is_foundation(Family family) {
  return family != Family::kPlain && family != Family::kEva;
}

/// As `info.family` has it.
inline const char* family_name(Family family) {
  switch (family) {
    case Family::kEva:
      return "eva";
    case Family::kDino:
      return "dino";
    case Family::kDino2:
      return "dinov2";
    case Family::kSam:
      return "sam";
    case Family::kPlain:
      break;
  }
  return "clip";
}

/// Shape of a vision tower. `grid` = image_size / patch at training time.
struct VisionConfig {
  int64_t image_size = 0;
  int64_t patch = 0;
  int64_t grid = 0;
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t mlp_hidden = 0;
  int64_t embed_dim = 0;
  Activation activation = Activation::kQuickGelu;  // plain family only
  double layer_norm_eps = 1e-5;                    // 1e-6 for EVA
};

/// Shape of a text tower (both families share the graph).
struct TextConfig {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t context = 0;
  int64_t vocab = 0;
  int64_t embed_dim = 0;
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  /// Token whose first occurrence is pooled; -1: the largest id (argmax).
  int64_t eot_token = -1;
};

/// What VisionConfig does not say of a vision foundation model. `embed_dim` is
/// the channels of its features: `width`, or those of SAM's neck.
struct FoundationConfig {
  int64_t registers = 0;       // DINOv2: tokens beside the class token
  bool class_position = true;  // the positional table has a row for it
  bool gated_mlp = false;      // DINOv2 g: SwiGLU
  int64_t window = 0;  // SAM: tokens along a side of an attention window
  std::vector<bool> global_blocks;  // SAM: blocks that attend to everything
};

/// Pixel statistics on the 0..1 scale.
struct PixelStats {
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
};

/// ImageNet's, which every vision foundation model here was trained with.
inline constexpr PixelStats kImageNetPixels{{0.485, 0.456, 0.406},
                                            {0.229, 0.224, 0.225}};

struct ModelConfig {
  Family family = Family::kPlain;
  VisionConfig vision;
  FoundationConfig foundation;     // vision foundation models only
  std::optional<TextConfig> text;  // absent: vision-only file
  PixelStats pixels;
};

/// What weights cannot tell, given by the caller (`loadModel(..., {config})`).
struct ConfigOverrides {
  /// What the checkpoint is called where its path does not say, such as the hub
  /// repository of a cached download. DeCLIP's names hold the dense mode.
  std::optional<std::string> name;
  std::optional<int64_t> head_width;
  std::optional<int64_t> text_heads;
  std::optional<Activation> activation;
  std::optional<Activation> text_activation;
  std::optional<double> layer_norm_eps;
  std::optional<PixelStats> pixels;
};

}  // namespace declip
