#include "checkpoint/model_config.h"

#include <array>
#include <cmath>

#include "declip/error.h"

namespace declip {
namespace {

// Channels of a head. OpenCLIP's H, g and bigG towers are the exceptions; all
// three have 16 heads.
struct HeadWidth {
  int64_t width;
  int64_t head_width;
};
constexpr int64_t kUsualHeadWidth = 64;
constexpr std::array<HeadWidth, 3> kOpenClipHeadWidths{
    {{1280, 80}, {1408, 88}, {1664, 104}}};

int64_t usual_head_width(int64_t tower_width, Family family) {
  if (family == Family::kPlain) {
    for (const HeadWidth& known : kOpenClipHeadWidths) {
      if (known.width == tower_width) return known.head_width;
    }
  }
  return kUsualHeadWidth;
}

int64_t positive(const TowerTensors& weights,
                 const std::string& name,
                 int64_t size) {
  if (size < 1) weights.reject(name, "must not be empty");
  return size;
}

// [D, 3, p, p] -> width and patch.
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
  const auto grid = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(rows - 1))));
  if (rows < 2 || grid * grid != rows - 1) {
    weights.reject(name,
                   "must have 1 + grid * grid rows (class token and a square "
                   "grid), found " +
                       std::to_string(rows));
  }
  v.grid = grid;
  v.image_size = grid * v.patch;
}

VisionConfig plain_vision(const TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, "visual.conv1.weight", v);
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

VisionConfig eva_vision(const TowerTensors& weights) {
  VisionConfig v;
  read_patch_embedding(weights, "visual.patch_embed.proj.weight", v);
  read_grid(weights,
            "visual.pos_embed",
            weights.need("visual.pos_embed", 3).size(1),
            v);
  v.layers = weights.count_blocks("visual.blocks.");
  v.mlp_hidden = weights.need("visual.blocks.0.mlp.w1.weight", 2).size(0);
  v.embed_dim = weights.need("visual.head.weight", 2).size(0);
  positive(weights, "visual.head.weight", v.embed_dim);
  v.layer_norm_eps = 1e-6;
  return v;
}

bool has_text_tower(const TowerTensors& weights) {
  const auto it = weights.tensors.lower_bound("text.");
  return it != weights.tensors.end() && it->first.starts_with("text.");
}

TextConfig text_tower(const TowerTensors& weights, Family family) {
  TextConfig t;
  const at::Tensor& tokens = weights.need("text.token_embedding.weight", 2);
  t.vocab = positive(weights, "text.token_embedding.weight", tokens.size(0));
  t.width = positive(weights, "text.token_embedding.weight", tokens.size(1));
  t.context = positive(weights,
                       "text.positional_embedding",
                       weights.need("text.positional_embedding", 2).size(0));
  t.layers = weights.count_blocks("text.transformer.resblocks.");
  t.embed_dim = weights.need("text.text_projection", 2).size(1);
  if (family == Family::kEva) t.activation = Activation::kGelu;
  return t;
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

void set_vision_heads(VisionConfig& v,
                      const TowerTensors& weights,
                      Family family,
                      const Sidecar& sidecar,
                      const ConfigOverrides& overrides) {
  if (overrides.head_width) {
    const int64_t head_width = *overrides.head_width;
    if (head_width < 1 || v.width % head_width != 0) {
      reject_override(
          "headWidth",
          "a divisor of the vision width " + std::to_string(v.width),
          head_width);
    }
    v.heads = v.width / head_width;
  } else if (v.heads == 0) {
    const bool told = sidecar.open_clip && sidecar.open_clip->head_width;
    v.heads =
        divide_heads(weights,
                     family == Family::kEva ? "visual.patch_embed.proj.weight"
                                            : "visual.conv1.weight",
                     v.width,
                     told ? *sidecar.open_clip->head_width
                          : usual_head_width(v.width, family),
                     "headWidth");
  }
}

void set_text_heads(TextConfig& t,
                    const TowerTensors& weights,
                    const Sidecar& sidecar,
                    const ConfigOverrides& overrides) {
  if (overrides.text_heads) {
    t.heads = *overrides.text_heads;
    if (t.heads < 1 || t.width % t.heads != 0) {
      reject_override("textHeads",
                      "a divisor of the text width " + std::to_string(t.width),
                      t.heads);
    }
  } else if (sidecar.open_clip && sidecar.open_clip->text_heads &&
             t.width % *sidecar.open_clip->text_heads == 0) {
    t.heads = *sidecar.open_clip->text_heads;
  } else if (t.heads == 0) {
    t.heads = divide_heads(weights,
                           "text.token_embedding.weight",
                           t.width,
                           kUsualHeadWidth,
                           "textHeads");
  }
}

// Weights do not tell QuickGELU from GELU. Files with OpenAI's key names and no
// config beside them are taken for what those names come from: OpenAI's
// weights, and fine-tuned descendants, which are QuickGELU.
void set_activations(ModelConfig& config,
                     const Sidecar& sidecar,
                     const ConfigOverrides& overrides,
                     bool activation_known,
                     std::vector<std::string>& notes) {
  if (config.family == Family::kPlain) {
    Activation& vision = config.vision.activation;
    if (overrides.activation) {
      vision = *overrides.activation;
    } else if (sidecar.open_clip) {
      vision = sidecar.open_clip->activation;
    } else if (!sidecar.hugging_face && !activation_known) {
      notes.emplace_back(
          "activation assumed quick_gelu (OpenAI's); weights do not tell it. "
          "OpenCLIP models trained on LAION-2B or DataComp need config "
          "{ activation: 'gelu' }");
    }
    if (config.text && (overrides.activation || !sidecar.hugging_face)) {
      config.text->activation = vision;
    }
  } else if (overrides.activation) {
    notes.emplace_back(
        "config.activation ignored: an EVA02 vision tower always has SwiGLU");
  }
  if (config.text && overrides.text_activation) {
    config.text->activation = *overrides.text_activation;
  }
}

}  // namespace

ModelConfig derive_config(const TowerTensors& weights,
                          Family family,
                          const Sidecar& sidecar,
                          const ConfigOverrides& overrides,
                          bool activation_known,
                          std::vector<std::string>& notes) {
  ModelConfig config;
  config.family = family;
  const bool text = has_text_tower(weights);
  if (sidecar.hugging_face) {
    config.vision = sidecar.hugging_face->vision;
    if (text) config.text = sidecar.hugging_face->text;
  } else {
    config.vision =
        family == Family::kEva ? eva_vision(weights) : plain_vision(weights);
  }
  if (text && !config.text) config.text = text_tower(weights, family);
  if (config.text && config.text->embed_dim != config.vision.embed_dim) {
    weights.reject("text.text_projection",
                   "must project to the vision tower's " +
                       std::to_string(config.vision.embed_dim) +
                       " dimensions, found " +
                       std::to_string(config.text->embed_dim));
  }

  set_vision_heads(config.vision, weights, family, sidecar, overrides);
  if (config.text) set_text_heads(*config.text, weights, sidecar, overrides);
  set_activations(config, sidecar, overrides, activation_known, notes);
  if (overrides.layer_norm_eps) {
    const double eps = *overrides.layer_norm_eps;
    if (!(eps > 0) || eps > 1) {
      throw Error(
          ErrorCode::kInvalidArg,
          "config.layerNormEps must be above 0 and at most 1, received " +
              std::to_string(eps) + ".");
    }
    config.vision.layer_norm_eps = eps;
    // EVA's two towers differ; the option speaks of the vision tower there.
    if (config.text && family == Family::kPlain) {
      config.text->layer_norm_eps = eps;
    }
  }
  if (sidecar.pixels) config.pixels = *sidecar.pixels;
  if (overrides.pixels) config.pixels = *overrides.pixels;
  return config;
}

}  // namespace declip
