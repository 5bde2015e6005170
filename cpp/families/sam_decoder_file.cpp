#include "families/sam_decoder_file.h"

#include <array>
#include <string>
#include <utility>

#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "families/sam_decoder.h"

namespace declip {
namespace sam_masks {
namespace {

constexpr int64_t kUsualHeads = 8;  // modeling/build_sam.py
constexpr int64_t kPoints = 4;      // outside, inside, two corners of a box

// --- names: facebookresearch/segment-anything; transformers' SamModel ---

constexpr std::array kShared{
    KeyRule{"prompt_encoder.not_a_point_embed.weight", "prompts.no_point"},
    KeyRule{"prompt_encoder.no_mask_embed.weight", "prompts.no_mask"},
    KeyRule{"mask_decoder.iou_token.weight", "masks.iou_token"},
    KeyRule{"mask_decoder.mask_tokens.weight", "masks.mask_tokens"},
    KeyRule{"mask_decoder.transformer.layers.#.self_attn.*",
            "masks.layers.#.self.*"},
    KeyRule{"mask_decoder.transformer.layers.#.cross_attn_token_to_image.*",
            "masks.layers.#.to_image.*"},
    KeyRule{"mask_decoder.transformer.layers.#.cross_attn_image_to_token.*",
            "masks.layers.#.to_tokens.*"},
    KeyRule{"mask_decoder.transformer.layers.#.mlp.*", "masks.layers.#.mlp.*"},
    KeyRule{"mask_decoder.transformer.final_attn_token_to_image.*",
            "masks.final.*"},
    KeyRule{"mask_decoder.output_hypernetworks_mlps.#.*", "masks.hyper.#.*"},
    KeyRule{"mask_decoder.iou_prediction_head.*", "masks.iou.*"},
};
constexpr std::array kOriginalOnly{
    KeyRule{"prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            "prompts.directions"},
    KeyRule{"prompt_encoder.point_embeddings.#.weight", "prompts.point.#"},
    KeyRule{"prompt_encoder.mask_downscaling.0.*", "prompts.conv1.*"},
    KeyRule{"prompt_encoder.mask_downscaling.1.*", "prompts.norm1.*"},
    KeyRule{"prompt_encoder.mask_downscaling.3.*", "prompts.conv2.*"},
    KeyRule{"prompt_encoder.mask_downscaling.4.*", "prompts.norm2.*"},
    KeyRule{"prompt_encoder.mask_downscaling.6.*", "prompts.conv3.*"},
    KeyRule{"mask_decoder.transformer.layers.#.norm#.*",
            "masks.layers.#.norm#.*"},
    KeyRule{"mask_decoder.transformer.norm_final_attn.*", "masks.final_norm.*"},
    KeyRule{"mask_decoder.output_upscaling.0.*", "masks.up1.*"},
    KeyRule{"mask_decoder.output_upscaling.1.*", "masks.up_norm.*"},
    KeyRule{"mask_decoder.output_upscaling.3.*", "masks.up2.*"},
};
constexpr std::array kTransformersOnly{
    KeyRule{"shared_image_embedding.positional_embedding",
            "prompts.directions"},
    KeyRule{"prompt_encoder.shared_embedding.positional_embedding",
            "prompts.directions"},
    KeyRule{"prompt_encoder.point_embed.#.weight", "prompts.point.#"},
    KeyRule{"prompt_encoder.mask_embed.conv#.*", "prompts.conv#.*"},
    KeyRule{"prompt_encoder.mask_embed.layer_norm#.*", "prompts.norm#.*"},
    KeyRule{"mask_decoder.transformer.layers.#.layer_norm#.*",
            "masks.layers.#.norm#.*"},
    KeyRule{"mask_decoder.transformer.layer_norm_final_attn.*",
            "masks.final_norm.*"},
    KeyRule{"mask_decoder.upscale_conv#.*", "masks.up#.*"},
    KeyRule{"mask_decoder.upscale_layer_norm.*", "masks.up_norm.*"},
};
constexpr auto kOriginalMap = joined(kShared, kOriginalOnly);
constexpr auto kTransformersMap = joined(kShared, kTransformersOnly);

constexpr std::array<std::string_view, 3> kBeginnings{
    "prompt_encoder.", "mask_decoder.", "shared_image_embedding."};

/// Some files of transformers hold the directions twice, the same numbers.
constexpr std::array<std::string_view, 2> kTwice{
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding"};

bool is_of_decoder(const std::string& key) {
  for (const std::string_view beginning : kBeginnings) {
    if (key.starts_with(beginning)) return true;
  }
  return false;
}

// --- shapes ---

class Shapes {
 public:
  Shapes(const TowerTensors& weights, const VisionConfig& v)
      : weights_(weights), check_(weights), v_(v) {}

  MaskDecoderConfig read() {
    MaskDecoderConfig c;
    c.embed_dim = v_.embed_dim;
    c.grid = v_.grid;
    c.side = v_.image_size;
    if (c.side != 4 * 4 * c.grid) {
      // Masks have 4 G places a side, and are enlarged four times.
      weights_.reject("prompts.directions",
                      "belongs to a mask decoder for patches of 16 pixels, "
                      "the encoder's have " +
                          std::to_string(v_.patch));
    }
    prompts(c);
    masks(c);
    check_.reject_others();
    return c;
  }

 private:
  int64_t rows(const std::string& name, int64_t rank = 2) const {
    return weights_.need(name, rank).size(0);
  }

  void prompts(MaskDecoderConfig& c) {
    check_.need("prompts.directions", {2, c.embed_dim / 2});
    if (c.embed_dim % 8 != 0) {
      weights_.reject("prompts.directions",
                      "needs a width that is a multiple of 8, found " +
                          std::to_string(c.embed_dim));
    }
    for (int64_t i = 0; i < kPoints; ++i) {
      check_.need("prompts.point." + std::to_string(i), {1, c.embed_dim});
    }
    check_.need("prompts.no_point", {1, c.embed_dim});
    check_.need("prompts.no_mask", {1, c.embed_dim});
    const int64_t first = rows("prompts.conv1.weight", 4);
    c.mask_hidden = rows("prompts.conv2.weight", 4);
    check_.need("prompts.conv1.weight", {first, 1, 2, 2});
    check_.need("prompts.conv1.bias", {first});
    check_.need_pair("prompts.norm1", {first});
    check_.need_pair("prompts.conv2", {c.mask_hidden, first, 2, 2});
    check_.need_pair("prompts.norm2", {c.mask_hidden});
    check_.need_pair("prompts.conv3", {c.embed_dim, c.mask_hidden, 1, 1});
  }

  void attention(const std::string& name, int64_t width) {
    const int64_t inner = rows(name + ".q_proj.weight");
    for (const char* part : {".q_proj", ".k_proj", ".v_proj"}) {
      check_.need_pair(name + part, {inner, width});
    }
    check_.need_pair(name + ".out_proj", {width, inner});
    inner_.push_back(inner);
  }

  /// Layers in the file's order: numbered, in transformers' files between
  /// `proj_in` and `proj_out`.
  void mlp(const std::string& name, int64_t in, int64_t out) {
    for (const std::string& layer :
         sam_mlp_layers([&](const std::string& part) {
           return weights_.tensors.contains(name + "." + part + ".weight");
         })) {
      const std::string weight = name + "." + layer;
      const int64_t width = rows(weight + ".weight");
      check_.need_pair(weight, {width, in});
      in = width;
      last_ = weight;
    }
    if (in != out) {
      weights_.reject(last_ + ".weight",
                      "must have " + std::to_string(out) + " rows, found " +
                          std::to_string(in));
    }
  }

  void masks(MaskDecoderConfig& c) {
    c.layers = weights_.count_blocks("masks.layers.");
    c.masks = rows("masks.mask_tokens");
    check_.need("masks.iou_token", {1, c.embed_dim});
    check_.need("masks.mask_tokens", {c.masks, c.embed_dim});
    if (c.layers < 1 || c.masks < 2) {
      weights_.reject("masks.mask_tokens",
                      "must have 2 rows or more, and the transformer a layer");
    }
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string layer = "masks.layers." + std::to_string(i);
      for (const char* part : {".self", ".to_image", ".to_tokens"}) {
        attention(layer + part, c.embed_dim);
      }
      const int64_t hidden = rows(layer + ".mlp.lin1.weight");
      check_.need_pair(layer + ".mlp.lin1", {hidden, c.embed_dim});
      check_.need_pair(layer + ".mlp.lin2", {c.embed_dim, hidden});
      for (const char* norm : {".norm1", ".norm2", ".norm3", ".norm4"}) {
        check_.need_pair(layer + norm, {c.embed_dim});
      }
    }
    attention("masks.final", c.embed_dim);
    check_.need_pair("masks.final_norm", {c.embed_dim});
    const int64_t first = weights_.need("masks.up1.weight", 4).size(1);
    const int64_t second = weights_.need("masks.up2.weight", 4).size(1);
    check_.need("masks.up1.weight", {c.embed_dim, first, 2, 2});
    check_.need("masks.up1.bias", {first});
    check_.need_pair("masks.up_norm", {first});
    check_.need("masks.up2.weight", {first, second, 2, 2});
    check_.need("masks.up2.bias", {second});
    for (int64_t m = 0; m < c.masks; ++m) {
      mlp("masks.hyper." + std::to_string(m), c.embed_dim, second);
    }
    mlp("masks.iou", c.embed_dim, c.masks);
  }

 public:
  /// Channels of all attentions, which heads must divide.
  const std::vector<int64_t>& inner() const { return inner_; }

 private:
  const TowerTensors& weights_;
  ShapeChecker check_;
  const VisionConfig& v_;
  std::vector<int64_t> inner_;
  std::string last_;
};

int64_t heads_of(const CheckpointSource& source,
                 std::optional<int64_t> told,
                 const TowerTensors& weights,
                 const std::vector<int64_t>& inner) {
  const auto& given = source.overrides.decoder_heads;
  const int64_t heads = given.value_or(told.value_or(kUsualHeads));
  for (const int64_t width : inner) {
    if (heads >= 1 && width % heads == 0) continue;
    if (given) {
      throw Error(ErrorCode::kInvalidArg,
                  "config.decoderHeads must be a divisor of " +
                      std::to_string(width) +
                      ", the channels of the mask decoder's attention, "
                      "received " +
                      std::to_string(heads) + ".");
    }
    weights.reject("masks.final.q_proj.weight",
                   "belongs to an attention of " + std::to_string(width) +
                       " channels, which " + std::to_string(heads) +
                       " heads do not divide; give config.decoderHeads");
  }
  return heads;
}

}  // namespace
}  // namespace sam_masks

std::vector<std::string> sam_mlp_layers(
    const std::function<bool(const std::string&)>& has) {
  std::vector<std::string> out;
  const bool named = has("proj_in");
  if (named) out.emplace_back("proj_in");
  for (int64_t i = 0; i == 0 || has("layers." + std::to_string(i)); ++i) {
    // A missing first layer is named by whoever asks for it.
    if (i == 0 && named && !has("layers.0")) break;
    out.push_back("layers." + std::to_string(i));
  }
  if (named) out.emplace_back("proj_out");
  return out;
}

void read_mask_decoder(const CheckpointSource& source,
                       SamNames names,
                       std::optional<int64_t> told_heads,
                       Checkpoint& out) {
  using namespace sam_masks;
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [key, tensor] : source.weights.unused) {
    if (is_of_decoder(key)) tensors.emplace(key, tensor);
  }
  if (tensors.empty()) return;
  const auto all = tensors;
  if (tensors.contains(std::string(kTwice[0]))) {
    tensors.erase(std::string(kTwice[1]));
  }
  const KeyMap map =
      names == SamNames::kOriginal ? KeyMap(kOriginalMap) : kTransformersMap;
  const TowerTensors weights =
      to_internal(tensors, map, source.weights.path, "");
  if (!weights.unused.empty()) {
    weights.reject(weights.unused.begin()->first,
                   "is none of SAM's prompt encoder and mask decoder; its "
                   "model would give other masks here. Load SAM itself "
                   "(ViT-B, -L or -H), or save the image encoder alone");
  }
  auto file = std::make_shared<MaskDecoderFile>();
  Shapes shapes(weights, out.config.vision);
  try {
    file->config = shapes.read();
  } catch (const Error& error) {
    out.mask_decoder_fault = error.what();
    return;
  }
  file->config.heads = heads_of(source, told_heads, weights, shapes.inner());
  file->check_finite = weights.finite_check();
  file->tensors = weights.tensors;
  file->make = make_sam_decoder;
  out.mask_decoder = std::move(file);
  for (const auto& [key, tensor] : all) source.weights.unused.erase(key);
}

}  // namespace declip
