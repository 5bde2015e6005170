#include "checkpoint/foundation_config.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kHeadWidth = 64;  // SAM's relative positions tell its own

const std::string kPatches = "visual.patch_embed.proj.weight";
const std::string kPositions = "visual.pos_embed";

/// g for g * g cells, 0 if `cells` is no square.
int64_t square_side(int64_t cells) {
  const auto side = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(cells, 0)))));
  return side * side == cells ? side : 0;
}

void read_patches(const TowerTensors& weights, VisionConfig& v) {
  const at::Tensor& kernel = weights.need(kPatches, 4);
  if (kernel.numel() == 0 || kernel.size(1) != 3 ||
      kernel.size(2) != kernel.size(3)) {
    weights.reject(kPatches,
                   "must have shape [width, 3, patch, patch], found " +
                       c10::str(kernel.sizes()));
  }
  v.width = kernel.size(0);
  v.patch = kernel.size(3);
}

/// fc1 [h, C] or, gated, [2 h, C]; fc2 [C, h].
void read_mlp(const TowerTensors& weights, ModelConfig& config) {
  const std::string last = "visual.blocks.0.mlp.fc2.weight";
  config.vision.mlp_hidden = weights.need(last, 2).size(1);
  if (config.vision.mlp_hidden < 1) {
    weights.reject(last, "must not be empty");
  }
  config.foundation.gated_mlp =
      config.family == Family::kDino2 &&
      weights.need("visual.blocks.0.mlp.fc1.weight", 2).size(0) ==
          2 * config.vision.mlp_hidden;
}

void read_dino(const TowerTensors& weights, ModelConfig& config) {
  VisionConfig& v = config.vision;
  if (config.family == Family::kDino2 &&
      weights.has("visual.register_tokens")) {
    config.foundation.registers =
        weights.need("visual.register_tokens", 3).size(1);
    if (config.foundation.registers < 1) {
      weights.reject("visual.register_tokens", "must not be empty");
    }
  }
  // timm adds the class token's position to the token where there are
  // registers, and leaves its row out.
  const int64_t rows = weights.need(kPositions, 3).size(1);
  v.grid = square_side(rows - 1);
  config.foundation.class_position =
      v.grid > 0 || config.foundation.registers == 0;
  if (!config.foundation.class_position) v.grid = square_side(rows);
  if (v.grid < 1) {
    weights.reject(kPositions,
                   "must have 1 + grid * grid rows (class token and a square "
                   "grid), found " +
                       std::to_string(rows));
  }
  v.embed_dim = v.width;
}

void read_sam(const TowerTensors& weights,
              const Sidecar& sidecar,
              ModelConfig& config) {
  VisionConfig& v = config.vision;
  FoundationConfig& f = config.foundation;
  const at::Tensor& positions = weights.need(kPositions, 4);
  v.grid = positions.size(1);
  if (v.grid < 1 || positions.size(2) != v.grid) {
    weights.reject(kPositions,
                   "must have shape [1, grid, grid, width], found " +
                       c10::str(positions.sizes()));
  }
  v.embed_dim = weights.need("visual.neck.conv1.weight", 4).size(0);
  if (v.embed_dim < 1) {
    weights.reject("visual.neck.conv1.weight", "must not be empty");
  }

  // A table has 2 a - 1 rows for an attention over a x a tokens.
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string name =
        "visual.blocks." + std::to_string(i) + ".attn.rel_pos_h";
    const int64_t rows = weights.need(name, 2).size(0);
    const bool told = sidecar.foundation.has_value();
    const auto& listed =
        told ? sidecar.foundation->global_blocks : std::vector<int64_t>();
    const bool global =
        told ? std::find(listed.begin(), listed.end(), i) != listed.end()
             : rows == 2 * v.grid - 1;
    f.global_blocks.push_back(global);
    if (global) continue;
    const int64_t window = (rows + 1) / 2;
    if (rows % 2 == 0 || (f.window != 0 && f.window != window) ||
        (told && sidecar.foundation->window != window)) {
      weights.reject(name,
                     "must have the same odd number of rows in every block "
                     "with attention windows, found " +
                         std::to_string(rows));
    }
    f.window = window;
  }
}

void set_heads(const TowerTensors& weights,
               const Sidecar& sidecar,
               const ConfigOverrides& overrides,
               ModelConfig& config) {
  VisionConfig& v = config.vision;
  int64_t head_width = kHeadWidth;
  if (config.family == Family::kSam) {
    const std::string name = "visual.blocks.0.attn.rel_pos_h";
    head_width = weights.need(name, 2).size(1);
    if (head_width < 1 || v.width % head_width != 0) {
      weights.reject(name,
                     "must have a divisor of the width " +
                         std::to_string(v.width) + " as its columns, found " +
                         std::to_string(head_width));
    }
  } else if (sidecar.foundation) {
    const int64_t heads = sidecar.foundation->heads;
    if (v.width % heads != 0) {
      weights.reject(kPatches,
                     "has width " + std::to_string(v.width) +
                         ", which is no multiple of num_attention_heads in "
                         "config.json, " +
                         std::to_string(heads));
    }
    head_width = v.width / heads;
  }
  if (overrides.head_width) {
    const int64_t given = *overrides.head_width;
    const bool fits = given >= 1 && v.width % given == 0;
    if (!fits || (config.family == Family::kSam && given != head_width)) {
      throw Error(
          ErrorCode::kInvalidArg,
          config.family == Family::kSam
              ? "config.headWidth must be " + std::to_string(head_width) +
                    ", as the relative positions have it, received " +
                    std::to_string(given) + "."
              : "config.headWidth must be a divisor of the vision width " +
                    std::to_string(v.width) + ", received " +
                    std::to_string(given) + ".");
    }
    head_width = given;
  }
  if (v.width % head_width != 0) {
    weights.reject(kPatches,
                   "has width " + std::to_string(v.width) +
                       ", which is no multiple of " +
                       std::to_string(head_width) +
                       " channels a head; give config.headWidth");
  }
  v.heads = v.width / head_width;
}

}  // namespace

ModelConfig derive_foundation_config(const TowerTensors& weights,
                                     Family family,
                                     const Sidecar& sidecar,
                                     const ConfigOverrides& overrides) {
  ModelConfig config;
  config.family = family;
  VisionConfig& v = config.vision;
  v.activation = Activation::kGelu;
  v.layer_norm_eps =
      sidecar.foundation ? sidecar.foundation->layer_norm_eps : 1e-6;
  v.layers = weights.count_blocks("visual.blocks.");
  read_patches(weights, v);
  if (family == Family::kSam) {
    read_sam(weights, sidecar, config);
  } else {
    read_dino(weights, config);
  }
  read_mlp(weights, config);
  v.image_size = v.grid * v.patch;
  set_heads(weights, sidecar, overrides, config);
  if (overrides.layer_norm_eps) {
    v.layer_norm_eps = *overrides.layer_norm_eps;
    if (!(v.layer_norm_eps > 0) || v.layer_norm_eps > 1) {
      throw Error(ErrorCode::kInvalidArg,
                  "config.layerNormEps must be above 0 and at most 1, "
                  "received " +
                      std::to_string(v.layer_norm_eps) + ".");
    }
  }
  config.pixels =
      overrides.pixels.value_or(sidecar.pixels.value_or(kImageNetPixels));
  return config;
}

}  // namespace declip
