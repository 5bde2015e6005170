#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "declip/config.h"

namespace declip {

/// What the JSON files beside the weights say; each part is absent where its
/// file is.
struct Sidecar {
  /// Hugging Face config.json, its defaults filled in.
  struct HuggingFace {
    VisionConfig vision;
    std::optional<TextConfig> text;  // absent for CLIPVisionModelWithProjection
  };
  std::optional<HuggingFace> hugging_face;

  /// open_clip_config.json.
  struct OpenClip {
    Activation activation = Activation::kGelu;
    std::optional<int64_t> head_width;  // of the vision tower
    std::optional<int64_t> text_heads;
  };
  std::optional<OpenClip> open_clip;

  /// config.json of a vision foundation model; what it leaves out is absent.
  struct Foundation {
    int64_t heads = 12;
    double layer_norm_eps = 1e-6;
    std::optional<int64_t> window;       // SAM
    std::vector<int64_t> global_blocks;  // SAM
  };
  std::optional<Foundation> foundation;

  std::optional<PixelStats> pixels;  // preprocessor_config.json, open_clip's
};

/// Reads config.json and preprocessor_config.json of a Hugging Face folder.
/// Throws Error(kWeights) naming file, field, expected and found.
Sidecar read_hugging_face_sidecar(const std::string& folder);

/// Reads config.json and preprocessor_config.json of a folder in which
/// transformers keeps a vision foundation model of `family`.
Sidecar read_foundation_sidecar(const std::string& folder, Family family);

/// Reads open_clip_config.json.
Sidecar read_open_clip_sidecar(const std::string& folder);

}  // namespace declip
