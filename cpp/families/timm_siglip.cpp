#include "families/timm_siglip.h"

#include <algorithm>
#include <array>
#include <string>

#include "checkpoint/json_fields.h"
#include "checkpoint/timm_config.h"
#include "declip/error.h"
#include "families/clip_config.h"
#include "families/open_clip_config.h"
#include "families/siglip_config.h"
#include "families/timm_names.h"
#include "files/text.h"

namespace declip::timm_siglip_layouts {
namespace {

// --- names: timm's vision_transformer.py ---

constexpr std::array kEnds{
    KeyRule{"patch_embed.proj.*", "visual.conv1.*"},
    KeyRule{"pos_embed", "visual.positional_embedding"},
    KeyRule{"norm.*", "visual.ln_post.*"},
};
constexpr auto kTower =
    joined(kEnds, kTimmBlocks, kTimmPoolingHead, kRestOfTower);
// open_clip's text head, a linear layer with a bias.
constexpr std::array kTextHead{
    KeyRule{"text.text_projection.weight",
            "text.text_projection",
            Transform::kTranspose},
    KeyRule{"text.text_projection.bias", "text.text_projection_bias"},
};
constexpr std::array kRestOfFile{KeyRule{"visual.*", "visual.*"}};
constexpr auto kWhole = joined(
    Prefixed<kTower, kTrunk>::kNames, kTextHead, kTextBesideTrunk, kRestOfFile);

// --- configuration ---

constexpr std::string_view kNoName =
    "no configuration beside the weights names the tower, from which its "
    "activation follows: assumed gelu_tanh, as in SigLIP 2's so400m of patches "
    "of 16; most others have config { activation: 'gelu' }";

/// The head is what makes the embedding.
void check_pool(const std::string& pool,
                const std::string& path,
                const std::string& field) {
  if (pool == "map") return;
  throw Error(ErrorCode::kWeights,
              path + ": " + in_quotes(field) + " is " + in_quotes(pool) +
                  ", and the image embedding of a SigLIP is made by its "
                  "attention pooling head (\"map\").");
}

/// Side of the training pictures, which may go beyond whole patches; 0 if a
/// configuration does not say.
void set_image_size(int64_t side,
                    const std::string& path,
                    const std::string& field,
                    ModelConfig& config) {
  VisionConfig& v = config.vision;
  if (side == 0) return;
  if (side / v.patch != v.grid) {
    throw Error(ErrorCode::kWeights,
                path + ": " + in_quotes(field) + " is " + std::to_string(side) +
                    ", and the tensors beside it have positions of " +
                    std::to_string(v.grid) + " x " + std::to_string(v.grid) +
                    " patches of " + std::to_string(v.patch) + " pixels.");
  }
  v.image_size = side;
}

/// [1, N, D] -> [N, D].
void flatten_positions(TowerTensors& weights) {
  const std::string name = "visual.positional_embedding";
  const at::Tensor& table = weights.need(name, 3);
  if (table.size(0) != 1) {
    weights.reject(
        name,
        "must have shape [1, tokens, width], found " + c10::str(table.sizes()));
  }
  weights.tensors[name] = table.squeeze(0);
}

/// Whether the tokenizer pads texts with their end token, as SigLIP's does and
/// SigLIP 2's does not.
bool pads_with_end(const std::string& folder) {
  const auto file = read_json_if_there(folder, "tokenizer_config.json");
  const Json* padding = file ? Fields(*file).find("pad_token") : nullptr;
  // An added token may be an object with what it is in `content`.
  if (padding != nullptr && padding->object() != nullptr) {
    padding = padding->find("content");
  }
  const std::string* text = padding == nullptr ? nullptr : padding->string();
  return text == nullptr || *text != "<pad>";
}

/// The image tower of a model called `name`, which may be empty.
std::optional<int64_t> read_tower(const CheckpointSource& source,
                                  const std::string& name,
                                  Checkpoint& out) {
  flatten_positions(source.weights);
  ModelConfig& config = out.config;
  config.vision = read_siglip_vision(source.weights);
  config.pixels = kSiglipPixels;
  config.preprocess = siglip_preprocess(/*bicubic=*/true);
  if (name.empty()) return std::nullopt;
  const TimmSiglip tower = timm_siglip(name);
  config.vision.activation = tower.activation;
  return tower.head_width;
}

void complete(const CheckpointSource& source,
              std::optional<int64_t> head_width,
              std::optional<int64_t> text_heads,
              Checkpoint& out) {
  complete_siglip_config(
      source, head_width, text_heads, /*activation_told=*/true, out);
  if (!head_width && !source.overrides.activation) {
    out.notes.emplace_back(kNoName);
  }
}

void read_open_clip(const CheckpointSource& source, Checkpoint& out) {
  const std::string& folder = source.files.folder;
  const auto told = read_open_clip_config(folder, ImageTower::kTimm);
  ModelConfig& config = out.config;
  const bool named = told && told->timm;
  const auto head_width =
      read_tower(source, named ? told->timm->model : "", out);
  config.text = read_siglip_text(source.weights);
  if (named) check_pool(told->timm->pool, told->path, "timm_pool");
  if (told) {
    apply(*told, config);
    set_image_size(told->preprocess.side, told->path, "image_size", config);
  }
  complete(source, head_width, told ? told->text_heads : std::nullopt, out);
  if (!config.text) return;
  out.tokenizer = told ? told->tokenizer : TokenizerKind::kOpenClipFolder;
  config.text->fill_token = pads_with_end(folder) ? 1 : 0;
}

/// A tower by itself, in one of timm's repositories.
void read_timm(const CheckpointSource& source, Checkpoint& out) {
  const auto told = read_timm_config(source.files.folder, kSiglipPixels);
  const auto head_width =
      read_tower(source, told ? told->architecture : "", out);
  if (told) {
    if (!told->global_pool.empty()) {
      check_pool(told->global_pool, told->path, "global_pool");
    }
    out.config.pixels = told->pixels;
    out.config.preprocess = told->preprocess;
    set_image_size(told->image_size, told->path, "input_size", out.config);
  }
  complete(source, head_width, std::nullopt, out);
}

}  // namespace
}  // namespace declip::timm_siglip_layouts

namespace declip {

const Layout kOpenClipSiglip{"open_clip",
                             timm_siglip_layouts::kWhole,
                             timm_siglip_layouts::read_open_clip};
const Layout kTimmSiglip{
    "timm", timm_siglip_layouts::kTower, timm_siglip_layouts::read_timm};

// timm's vision_transformer.py: sizes by the name's second word, `act_layer`
// by whole names.
TimmSiglip timm_siglip(std::string_view name) {
  constexpr std::array<std::string_view, 5> kTanh{
      "vit_base_patch32_siglip_256",
      "vit_large_patch16_siglip_512",
      "vit_so400m_patch16_siglip_256",
      "vit_so400m_patch16_siglip_384",
      "vit_so400m_patch16_siglip_512"};
  name = name.substr(0, name.find('.'));
  const bool tanh = name.starts_with("vit_giantopt_") ||
                    std::find(kTanh.begin(), kTanh.end(), name) != kTanh.end();
  const auto has = [&](std::string_view size) {
    return name.find(size) != std::string_view::npos;
  };
  return {has("_so400m_")     ? 72
          : has("_giantopt_") ? 96
                              : kUsualHeadWidth,
          tanh ? Activation::kGeluTanh : Activation::kGelu};
}

}  // namespace declip
