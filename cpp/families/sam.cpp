#include "families/sam.h"

#include <algorithm>
#include <array>
#include <vector>

#include "checkpoint/processor_config.h"
#include "declip/error.h"
#include "families/foundation_config.h"
#include "families/sam_decoder_file.h"
#include "families/sam_encoder.h"

namespace declip::sam_family {
namespace {

// --- names ---

// facebookresearch/segment-anything, modeling/image_encoder.py: the neck is a
// numbered sequence there.
constexpr std::array kNeck{
    KeyRule{"neck.0.weight", "visual.neck.conv1.weight"},
    KeyRule{"neck.1.*", "visual.neck.norm1.*"},
    KeyRule{"neck.2.weight", "visual.neck.conv2.weight"},
    KeyRule{"neck.3.*", "visual.neck.norm2.*"},
};
constexpr std::array kMlp{
    KeyRule{"blocks.#.mlp.lin1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"blocks.#.mlp.lin2.*", "visual.blocks.#.mlp.fc2.*"},
};
constexpr std::array kTransformers{
    KeyRule{"patch_embed.projection.*", "visual.patch_embed.proj.*"},
    KeyRule{"layers.#.layer_norm1.*", "visual.blocks.#.norm1.*"},
    KeyRule{"layers.#.layer_norm2.*", "visual.blocks.#.norm2.*"},
    KeyRule{"layers.#.mlp.lin1.*", "visual.blocks.#.mlp.fc1.*"},
    KeyRule{"layers.#.mlp.lin2.*", "visual.blocks.#.mlp.fc2.*"},
    KeyRule{"layers.#.attn.*", "visual.blocks.#.attn.*"},
    KeyRule{"neck.conv1.weight", "visual.neck.conv1.weight"},
    KeyRule{"neck.layer_norm1.*", "visual.neck.norm1.*"},
    KeyRule{"neck.conv2.weight", "visual.neck.conv2.weight"},
    KeyRule{"neck.layer_norm2.*", "visual.neck.norm2.*"},
};

constexpr auto kOriginalNames = joined(kNeck, kMlp, kRestOfTower);
constexpr auto kTimmNames = joined(kNeck, kRestOfTower);
constexpr auto kTransformersNames = joined(kTransformers, kRestOfTower);

// --- configuration ---

/// What config.json says of attention; nothing without one.
struct Attention {
  int64_t window = 14;
  std::vector<int64_t> global_blocks{2, 5, 8, 11};
};

Attention read_attention(const Fields& f) {
  constexpr int64_t kMaxBlock = int64_t{1} << 24;
  Attention out;
  out.window = f.size("window_size", out.window);
  const Json* blocks = f.find("global_attn_indexes");
  if (blocks == nullptr) return out;
  const auto refuse = [&] {
    f.reject("global_attn_indexes", "a list of block numbers");
  };
  if (blocks->array() == nullptr) refuse();
  out.global_blocks.clear();
  for (const Json& item : *blocks->array()) {
    const auto block = item.integer();
    if (!block || *block < 0 || *block > kMaxBlock) refuse();
    out.global_blocks.push_back(*block);
  }
  return out;
}

// A table has 2 a - 1 rows for an attention over a x a tokens.
void read_windows(const TowerTensors& weights,
                  const std::optional<Attention>& told,
                  ModelConfig& config) {
  const VisionConfig& v = config.vision;
  FoundationConfig& f = config.foundation;
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string name =
        "visual.blocks." + std::to_string(i) + ".attn.rel_pos_h";
    const int64_t rows = weights.need(name, 2).size(0);
    const bool global = told ? std::count(told->global_blocks.begin(),
                                          told->global_blocks.end(),
                                          i) > 0
                             : rows == 2 * v.grid - 1;
    f.global_blocks.push_back(global);
    if (global) continue;
    const int64_t window = (rows + 1) / 2;
    if (rows % 2 == 0 || (f.window != 0 && f.window != window) ||
        (told && told->window != window)) {
      weights.reject(name,
                     "must have the same odd number of rows in every block "
                     "with attention windows, found " +
                         std::to_string(rows));
    }
    f.window = window;
  }
}

/// The relative positions tell the channels of a head.
int64_t read_head_width(const CheckpointSource& source, int64_t width) {
  const std::string name = "visual.blocks.0.attn.rel_pos_h";
  const int64_t head_width = source.weights.need(name, 2).size(1);
  if (head_width < 1 || width % head_width != 0) {
    source.weights.reject(
        name,
        "must have a divisor of the width " + std::to_string(width) +
            " as its columns, found " + std::to_string(head_width));
  }
  const auto& given = source.overrides.head_width;
  if (given && *given != head_width) {
    throw Error(ErrorCode::kInvalidArg,
                "config.headWidth must be " + std::to_string(head_width) +
                    ", as the relative positions have it, received " +
                    std::to_string(*given) + ".");
  }
  return head_width;
}

void read_told(const CheckpointSource& source,
               const FoundationFields& told,
               Checkpoint& out) {
  const TowerTensors& weights = source.weights;
  ModelConfig& config = out.config;
  VisionConfig& v = config.vision;
  std::optional<Attention> attention;
  if (told.file) attention = read_attention(told.encoder());
  read_foundation_blocks(weights, /*may_be_gated=*/false, config);
  const at::Tensor& positions = weights.need("visual.pos_embed", 4);
  v.grid = positions.size(1);
  if (v.grid < 1 || positions.size(2) != v.grid) {
    weights.reject("visual.pos_embed",
                   "must have shape [1, grid, grid, width], found " +
                       c10::str(positions.sizes()));
  }
  v.image_size = v.grid * v.patch;
  v.embed_dim = weights.need("visual.neck.conv1.weight", 4).size(0);
  if (v.embed_dim < 1) {
    weights.reject("visual.neck.conv1.weight", "must not be empty");
  }
  read_windows(weights, attention, config);
  v.heads = v.width / read_head_width(source, v.width);
  complete_foundation_config(source,
                             told,
                             told.transformers
                                 ? read_processor_pixels(source.files.folder)
                                 : std::nullopt,
                             out);
}

void read(const CheckpointSource& source, Checkpoint& out) {
  read_told(source, {}, out);
  read_mask_decoder(source, SamNames::kOriginal, {}, out);
}

void read_transformers(const CheckpointSource& source, Checkpoint& out) {
  const auto told = read_foundation_fields(source, 1e-6, out);
  read_told(source, told, out);
  std::optional<int64_t> heads;
  if (told.file) {
    const Fields top(&told.file->json, told.file->path);
    if (top.find("mask_decoder_config") != nullptr) {
      heads = top.inner("mask_decoder_config").size("num_attention_heads");
    }
  }
  read_mask_decoder(source, SamNames::kTransformers, heads, out);
}

constexpr Layout kOriginal{"original", kOriginalNames, read};
constexpr Layout kTimm{"timm", kTimmNames, read};
constexpr Layout kTransformersModel{
    "huggingface", kTransformersNames, read_transformers};

constexpr std::array kSignatures{
    Signature{.key = "blocks.#.mlp.lin1.weight",
              .layout = &kOriginal,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "blocks.#.attn.rel_pos_h",
              .layout = &kTimm,
              .prefixes = kFoundationPrefixes},
    Signature{.key = "layers.#.attn.rel_pos_h",
              .layout = &kTransformersModel,
              .prefixes = kFoundationPrefixes},
};

void check_shapes(ShapeChecker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const FoundationConfig& f = config.foundation;
  check.need("visual.pos_embed", {1, v.grid, v.grid, v.width});
  check.need_pair("visual.patch_embed.proj", {v.width, 3, v.patch, v.patch});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check_foundation_block(check, block, config);
    const bool global = f.global_blocks[static_cast<size_t>(i)];
    const int64_t rows = 2 * (global ? v.grid : f.window) - 1;
    for (const char* side : {"attn.rel_pos_h", "attn.rel_pos_w"}) {
      check.need(block + side, {rows, v.width / v.heads});
    }
  }
  check.need("visual.neck.conv1.weight", {v.embed_dim, v.width, 1, 1});
  check.need_pair("visual.neck.norm1", {v.embed_dim});
  check.need("visual.neck.conv2.weight", {v.embed_dim, v.embed_dim, 3, 3});
  check.need_pair("visual.neck.norm2", {v.embed_dim});
}

std::unique_ptr<VisionEncoder> make_encoder(const ModelConfig& config,
                                            const Weights& weights,
                                            const Numerics& numerics) {
  return std::make_unique<Sam>(config, weights, numerics);
}

}  // namespace
}  // namespace declip::sam_family

namespace declip {

const FamilySpec families::sam{
    .name = "sam",
    .title = "SAM",
    .signatures = sam_family::kSignatures,
    .check_shapes = sam_family::check_shapes,
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = sam_family::make_encoder,
    .proxies_native_size = true,
};

}  // namespace declip
