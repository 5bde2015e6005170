#include "families/foundation_config.h"

#include <algorithm>
#include <cmath>

#include "checkpoint/processor_config.h"
#include "declip/error.h"
#include "families/clip_config.h"

namespace declip {
namespace {

constexpr int64_t kHeadWidth = 64;

const std::string kPatches = "visual.patch_embed.proj.weight";
const std::string kPositions = "visual.pos_embed";

int64_t divide_heads(const TowerTensors& weights,
                     int64_t width,
                     int64_t head_width) {
  if (width % head_width != 0) {
    weights.reject(kPatches,
                   "has width " + std::to_string(width) +
                       ", which is no multiple of " +
                       std::to_string(head_width) +
                       " channels a head; give config.headWidth");
  }
  return width / head_width;
}

}  // namespace

void set_foundation_heads(const CheckpointSource& source,
                          const FoundationFields& told,
                          int64_t usual,
                          VisionConfig& v) {
  int64_t head_width = usual;
  if (told.heads) {
    if (v.width % *told.heads != 0) {
      source.weights.reject(
          kPatches,
          "has width " + std::to_string(v.width) +
              ", which is no multiple of num_attention_heads in config.json, " +
              std::to_string(*told.heads));
    }
    head_width = v.width / *told.heads;
  }
  if (const auto given = source.overrides.head_width) {
    if (*given < 1 || v.width % *given != 0) {
      throw Error(ErrorCode::kInvalidArg,
                  "config.headWidth must be a divisor of the vision width " +
                      std::to_string(v.width) + ", received " +
                      std::to_string(*given) + ".");
    }
    head_width = *given;
  }
  v.heads = divide_heads(source.weights, v.width, head_width);
}

Fields FoundationFields::encoder() const {
  const Fields top(file ? &file->json : nullptr, file ? file->path : "");
  return top.find("vision_config") != nullptr ? top.inner("vision_config")
                                              : top;
}

FoundationFields read_foundation_fields(const CheckpointSource& source,
                                        double usual_eps,
                                        Checkpoint& out) {
  FoundationFields told;
  told.transformers = true;
  told.file = read_json_if_there(source.files.folder, "config.json");
  if (!told.file) {
    out.notes.emplace_back(kNoConfig);
    return told;
  }
  const Fields f = told.encoder();
  told.heads = f.size("num_attention_heads", 12);
  told.layer_norm_eps = f.epsilon("layer_norm_eps", usual_eps);
  if (f.find("hidden_act") != nullptr &&
      f.activation("hidden_act") != Activation::kGelu) {
    f.reject("hidden_act", "\"gelu\"");
  }
  return told;
}

void read_foundation_blocks(const TowerTensors& weights,
                            bool may_be_gated,
                            ModelConfig& config) {
  VisionConfig& v = config.vision;
  v.activation = Activation::kGelu;
  v.layers = weights.count_blocks("visual.blocks.");
  const at::Tensor& kernel = weights.need(kPatches, 4);
  if (kernel.numel() == 0 || kernel.size(1) != 3 ||
      kernel.size(2) != kernel.size(3)) {
    weights.reject(kPatches,
                   "must have shape [width, 3, patch, patch], found " +
                       c10::str(kernel.sizes()));
  }
  v.width = kernel.size(0);
  v.patch = kernel.size(3);
  const std::string last = "visual.blocks.0.mlp.fc2.weight";
  v.mlp_hidden = weights.need(last, 2).size(1);
  if (v.mlp_hidden < 1) weights.reject(last, "must not be empty");
  config.foundation.gated_mlp =
      may_be_gated &&
      weights.need("visual.blocks.0.mlp.fc1.weight", 2).size(0) ==
          2 * v.mlp_hidden;
}

int64_t square_side(int64_t cells) {
  const auto side = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(cells, 0)))));
  return side * side == cells ? side : 0;
}

void complete_dino_config(const CheckpointSource& source,
                          const FoundationFields& told,
                          Checkpoint& out) {
  ModelConfig& config = out.config;
  VisionConfig& v = config.vision;
  // timm adds the class token's position to the token where there are
  // registers, and leaves its row out.
  const int64_t rows = source.weights.need(kPositions, 3).size(1);
  v.grid = square_side(rows - 1);
  config.foundation.class_position =
      v.grid > 0 || config.foundation.registers == 0;
  if (!config.foundation.class_position) v.grid = square_side(rows);
  if (v.grid < 1) {
    source.weights.reject(kPositions,
                          "must have 1 + grid * grid rows (class token and a "
                          "square grid), found " +
                              std::to_string(rows));
  }
  v.embed_dim = v.width;
  v.image_size = v.grid * v.patch;
  set_foundation_heads(source, told, kHeadWidth, v);
  std::optional<PixelStats> pixels;
  if (told.transformers) {
    if (const auto processor =
            read_processor_config(source.files.folder, kImageNetPixels)) {
      pixels = processor->pixels;
      config.preprocess = processor->preprocess;
    }
  }
  complete_foundation_config(source, told, pixels, out);
}

void complete_foundation_config(const CheckpointSource& source,
                                const FoundationFields& told,
                                const std::optional<PixelStats>& pixels,
                                Checkpoint& out) {
  ModelConfig& config = out.config;
  config.vision.layer_norm_eps =
      overridden_epsilon(source.overrides).value_or(told.layer_norm_eps);
  config.pixels =
      source.overrides.pixels.value_or(pixels.value_or(kImageNetPixels));
}

void check_foundation_block(ShapeChecker& check,
                            const std::string& block,
                            const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const int64_t inner = v.mlp_hidden * (config.foundation.gated_mlp ? 2 : 1);
  check.need_pair(block + "norm1", {v.width});
  check.need_pair(block + "attn.qkv", {3 * v.width, v.width});
  check.need_pair(block + "attn.proj", {v.width, v.width});
  check.need_pair(block + "norm2", {v.width});
  check.need_pair(block + "mlp.fc1", {inner, v.width});
  check.need_pair(block + "mlp.fc2", {v.width, v.mlp_hidden});
}

void check_dino_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const FoundationConfig& f = config.foundation;
  check.need("visual.cls_token", {1, 1, v.width});
  check.need("visual.pos_embed",
             {1, (f.class_position ? 1 : 0) + v.grid * v.grid, v.width});
  if (f.registers > 0) {
    check.need("visual.register_tokens", {1, f.registers, v.width});
  }
  check.need_pair("visual.patch_embed.proj", {v.width, 3, v.patch, v.patch});
  for (int64_t i = 0; i < v.layers; ++i) {
    check_foundation_block(
        check, "visual.blocks." + std::to_string(i) + ".", config);
  }
  check.need_pair("visual.norm", {v.width});
}

}  // namespace declip
