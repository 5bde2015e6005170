#include "families/clip_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "declip/error.h"

namespace declip {
namespace {

const std::string kClipPatches = "visual.conv1.weight";

// OpenCLIP's H, g and bigG towers are the exceptions from 64 channels a head;
// all three have 16 heads.
struct HeadWidth {
  int64_t width;
  int64_t head_width;
};
constexpr std::array<HeadWidth, 3> kOpenClipHeadWidths{
    {{1280, 80}, {1408, 88}, {1664, 104}}};

int64_t usual_head_width(int64_t tower_width) {
  for (const HeadWidth& known : kOpenClipHeadWidths) {
    if (known.width == tower_width) return known.head_width;
  }
  return kUsualHeadWidth;
}

int64_t positive(const TowerTensors& weights,
                 const std::string& name,
                 int64_t size) {
  if (size < 1) weights.reject(name, "must not be empty");
  return size;
}

[[noreturn]] void reject_override(const std::string& name,
                                  const std::string& expected,
                                  int64_t found) {
  throw Error(ErrorCode::kInvalidArg,
              "config." + name + " must be " + expected + ", received " +
                  std::to_string(found) + ".");
}

// `width` / `head_width`, where only the caller can know the latter.
int64_t divide_heads(const TowerTensors& weights,
                     const std::string& name,
                     int64_t width,
                     int64_t head_width,
                     const std::string& option) {
  if (width % head_width != 0) {
    weights.reject(name,
                   "has width " + std::to_string(width) +
                       ", which is no multiple of " +
                       std::to_string(head_width) +
                       " channels a head; give config." + option);
  }
  return width / head_width;
}

void set_vision_heads(const CheckpointSource& source,
                      const std::string& patches,
                      int64_t head_width,
                      VisionConfig& v) {
  const auto& given = source.overrides.head_width;
  if (given) {
    if (*given < 1 || v.width % *given != 0) {
      reject_override(
          "headWidth",
          "a divisor of the vision width " + std::to_string(v.width),
          *given);
    }
    v.heads = v.width / *given;
  } else if (v.heads == 0) {
    v.heads =
        divide_heads(source.weights, patches, v.width, head_width, "headWidth");
  }
}

void set_text_heads(const CheckpointSource& source,
                    const std::optional<int64_t>& told,
                    TextConfig& t) {
  if (source.overrides.text_heads) {
    t.heads = *source.overrides.text_heads;
    if (t.heads < 1 || t.width % t.heads != 0) {
      reject_override("textHeads",
                      "a divisor of the text width " + std::to_string(t.width),
                      t.heads);
    }
  } else if (told && t.width % *told == 0) {
    t.heads = *told;
  } else if (t.heads == 0) {
    t.heads = divide_heads(source.weights,
                           "text.token_embedding.weight",
                           t.width,
                           kUsualHeadWidth,
                           "textHeads");
  }
}

// Weights do not tell QuickGELU from GELU. Files with OpenAI's key names and no
// config beside them are taken for what those names come from: OpenAI's
// weights, and fine-tuned descendants, which are QuickGELU.
void set_activations(const ConfigOverrides& overrides,
                     bool told,
                     ModelConfig& config,
                     std::vector<std::string>& notes) {
  if (overrides.activation) {
    config.vision.activation = *overrides.activation;
    if (config.text) config.text->activation = *overrides.activation;
  } else if (!told) {
    notes.emplace_back(
        "activation assumed quick_gelu (OpenAI's); weights do not tell it. "
        "OpenCLIP models trained on LAION-2B or DataComp need config "
        "{ activation: 'gelu' }");
  }
  if (config.text && overrides.text_activation) {
    config.text->activation = *overrides.text_activation;
  }
}

}  // namespace

void read_patch_embedding(const TowerTensors& weights,
                          const std::string& name,
                          VisionConfig& v) {
  const at::Tensor& kernel = weights.need(name, 4);
  v.width = positive(weights, name, kernel.size(0));
  v.patch = positive(weights, name, kernel.size(3));
  if (kernel.size(1) != 3 || kernel.size(2) != kernel.size(3)) {
    weights.reject(name,
                   "must have shape [width, 3, patch, patch], found " +
                       c10::str(kernel.sizes()));
  }
}

void read_grid(const TowerTensors& weights,
               const std::string& name,
               int64_t rows,
               VisionConfig& v) {
  const int64_t cells = rows - (v.class_token ? 1 : 0);
  const auto grid = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(cells, 0)))));
  if (cells < 1 || grid * grid != cells) {
    weights.reject(
        name,
        std::string("must have ") +
            (v.class_token ? "1 + grid * grid rows (class token and a square "
                             "grid)"
                           : "grid * grid rows (a square grid)") +
            ", found " + std::to_string(rows));
  }
  v.grid = grid;
  v.image_size = grid * v.patch;
}

VisionConfig read_clip_vision(const TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, kClipPatches, v);
  read_grid(weights,
            "visual.positional_embedding",
            weights.need("visual.positional_embedding", 2).size(0),
            v);
  v.layers = weights.count_blocks("visual.transformer.resblocks.");
  v.mlp_hidden =
      weights.need("visual.transformer.resblocks.0.mlp.c_fc.weight", 2).size(0);
  v.embed_dim = weights.need("visual.proj", 2).size(1);
  positive(weights, "visual.proj", v.embed_dim);
  return v;
}

bool has_text_tower(const TowerTensors& weights) {
  const auto first = weights.tensors.lower_bound("text.");
  return first != weights.tensors.end() && first->first.starts_with("text.");
}

std::optional<TextConfig> read_text_tower(const TowerTensors& weights,
                                          bool projection) {
  if (!has_text_tower(weights)) return std::nullopt;
  TextConfig t;
  const at::Tensor& tokens = weights.need("text.token_embedding.weight", 2);
  t.vocab = positive(weights, "text.token_embedding.weight", tokens.size(0));
  t.width = positive(weights, "text.token_embedding.weight", tokens.size(1));
  t.context = positive(weights,
                       "text.positional_embedding",
                       weights.need("text.positional_embedding", 2).size(0));
  t.layers = weights.count_blocks("text.transformer.resblocks.");
  if (!projection && weights.has("text.text_projection")) {
    weights.reject("text.text_projection",
                   "is in the file, and the configuration beside it says that "
                   "texts are not projected (proj_type)");
  }
  t.embed_dim =
      projection ? weights.need("text.text_projection", 2).size(1) : t.width;
  return t;
}

void check_one_space(const TowerTensors& weights, const ModelConfig& config) {
  if (!config.text || config.text->embed_dim == config.vision.embed_dim) return;
  weights.reject("text.text_projection",
                 "must project to the vision tower's " +
                     std::to_string(config.vision.embed_dim) +
                     " dimensions, found " +
                     std::to_string(config.text->embed_dim));
}

void set_heads(const CheckpointSource& source,
               const std::string& patches,
               int64_t head_width,
               const ToldOfTowers& told,
               ModelConfig& config) {
  set_vision_heads(
      source, patches, told.head_width.value_or(head_width), config.vision);
  if (config.text) set_text_heads(source, told.text_heads, *config.text);
}

void complete_clip_config(const CheckpointSource& source,
                          const ToldOfTowers& told,
                          Checkpoint& out) {
  ModelConfig& config = out.config;
  const ConfigOverrides& overrides = source.overrides;
  check_one_space(source.weights, config);
  set_heads(source,
            kClipPatches,
            usual_head_width(config.vision.width),
            told,
            config);
  set_activations(overrides, told.activation, config, out.notes);
  if (const auto eps = overridden_epsilon(overrides)) {
    config.vision.layer_norm_eps = *eps;
    if (config.text) config.text->layer_norm_eps = *eps;
  }
  if (overrides.pixels) config.pixels = *overrides.pixels;
}

std::optional<double> overridden_epsilon(const ConfigOverrides& overrides) {
  const auto& eps = overrides.layer_norm_eps;
  if (eps && (!(*eps > 0) || *eps > 1)) {
    throw Error(ErrorCode::kInvalidArg,
                "config.layerNormEps must be above 0 and at most 1, received " +
                    std::to_string(*eps) + ".");
  }
  return eps;
}

void check_clip_vocabulary(const TowerTensors& weights,
                           const ModelConfig& config) {
  constexpr int64_t kClipTokens = 49408;
  constexpr int64_t kAdded =
      64;  // by people who fine-tune, for tokens of theirs
  if (!config.text || config.text->vocab <= kClipTokens + kAdded) return;
  weights.reject("text.token_embedding.weight",
                 "has " + std::to_string(config.text->vocab) +
                     " rows, and CLIP's vocabulary has " +
                     std::to_string(kClipTokens) +
                     ": its texts need another tokenizer than CLIP's, which "
                     "this package does not have");
}

}  // namespace declip
