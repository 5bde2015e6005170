#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace declip {

enum class Family { kPlain, kEva };           // OpenAI/OpenCLIP ViT, EVA02 ViT
enum class Activation { kQuickGelu, kGelu };  // of the MLP; EVA's is SwiGLU

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

/// Pixel statistics on the 0..1 scale.
struct PixelStats {
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
};

struct ModelConfig {
  Family family = Family::kPlain;
  VisionConfig vision;
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
