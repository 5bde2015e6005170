#include "cat_seg/head.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cat_seg/fused_head.h"
#include "cat_seg/plain_head.h"
#include "declip/error.h"

namespace declip {
namespace cat_seg {
namespace {

constexpr int64_t kWordBlock = 16;        // aggregated at a time
constexpr int64_t kComparedWords = 1024;  // compared with patches at a time

/// Names of the tensors of such a head.
std::vector<std::string> tensor_names(const CatSegConfig& config) {
  std::vector<std::string> names;
  const auto pair = [&](const std::string& name) {
    names.push_back(name + ".weight");
    names.push_back(name + ".bias");
  };
  const std::string head = "transformer.";
  for (const char* name : {"upsample1", "upsample2"}) pair(name);
  for (const char* name : {"conv1",
                           "guidance_projection.0",
                           "text_guidance_projection.0",
                           "decoder_guidance_projection.0.0",
                           "decoder_guidance_projection.1.0",
                           "head"}) {
    pair(head + name);
  }
  for (int64_t i = 0; i < config.layers; ++i) {
    const auto layer = head + "layers." + std::to_string(i) + ".";
    pair(layer + "swin_block.guidance_norm");
    for (const char* block : {"block_1.", "block_2."}) {
      for (const char* name : {"norm1",
                               "norm2",
                               "attn.q",
                               "attn.k",
                               "attn.v",
                               "attn.proj",
                               "mlp.fc1",
                               "mlp.fc2"}) {
        pair(layer + "swin_block." + block + name);
      }
    }
    names.push_back(layer + "attention.padding_tokens");
    names.push_back(layer + "attention.padding_guidance");
    for (const char* name : {"attention.q",
                             "attention.k",
                             "attention.v",
                             "norm1",
                             "norm2",
                             "MLP.0",
                             "MLP.2"}) {
      pair(layer + "attention." + name);
    }
  }
  for (const char* decoder : {"decoder1.", "decoder2."}) {
    pair(head + decoder + "up");
    for (const char* i : {"0", "3"}) {
      names.push_back(head + decoder + "conv.double_conv." + i + ".weight");
    }
    for (const char* i : {"1", "4"}) {
      pair(head + decoder + "conv.double_conv." + i);
    }
  }
  return names;
}

Tensors all_tensors(const CatSegConfig& config, const Weights& weights) {
  Tensors out;
  for (const auto& name : tensor_names(config)) {
    out.emplace(name, weights.find(name));
  }
  return out;
}

class Head final : public CatSeg {
 public:
  Head(const CatSegConfig& config,
       const Weights& weights,
       const Numerics& numerics)
      : CatSeg(config), weights_(all_tensors(config, weights)) {
    if (FusedHead::fits(config_, weights_, numerics)) {
      fused_ = std::make_unique<const FusedHead>(config_, weights_, numerics);
    }
  }

  CatSegMaps encode(const Stages& stages, const Call& call) const override {
    const c10::InferenceMode guard;
    if (stages.blocks.size() != 2 || !stages.features.defined()) {
      throw Error(ErrorCode::kInternal,
                  "CAT-Seg sees two maps of the tower and its features.");
    }
    call.check();
    return plain_maps(config_,
                      weights_,
                      stages.features.to(at::kFloat),
                      stages.blocks[0].map.to(at::kFloat),
                      stages.blocks[1].map.to(at::kFloat));
  }

  CatSegLogits logits(const CatSegMaps& maps,
                      const at::Tensor& text,
                      const CatSegQuestion& question,
                      const Call& call) const override {
    const c10::InferenceMode guard;
    const auto words = checked_words(text).to(maps.features.options());
    check_pooling(maps, question.pooling);
    const int64_t limit = question.word_limit.value_or(config_.word_limit);
    const int64_t count = maps.features.size(0);
    const bool chosen = limit > 0 && words.size(0) > limit;
    CatSegLogits out;
    auto asked = words.unsqueeze(0).expand({count, -1, -1, -1});
    if (chosen) {
      std::vector<at::Tensor> kept;
      for (int64_t i = 0; i < count; ++i) {
        call.check();
        kept.push_back(best_words(maps.features[i], words, limit));
      }
      out.kept = at::stack(kept);
      asked = words.index_select(0, out.kept.flatten())
                  .view({count, limit, words.size(1), words.size(2)});
    }
    if (fused_ && fused_->takes(maps)) {
      out.maps = fused_->logits(maps, asked, question.pooling, limit, call);
      return out;
    }
    std::vector<at::Tensor> all;
    for (int64_t i = 0; i < count; ++i) {
      call.check();
      all.push_back(plain_logits(config_,
                                 weights_,
                                 window_of(maps, i),
                                 asked[i],
                                 question.pooling,
                                 limit,
                                 {},
                                 kWordBlock));
    }
    out.maps = at::cat(all);
    return out;
  }

 private:
  /// [T, P, E]
  at::Tensor checked_words(const at::Tensor& text) const {
    const bool one = text.defined() && text.dim() == 2;
    const auto words = one ? text.unsqueeze(1) : text;
    if (words.defined() && words.dim() == 3 && words.size(0) >= 1 &&
        words.size(1) == config_.prompts &&
        words.size(2) == config_.embed_dim) {
      return words;
    }
    throw Error(
        ErrorCode::kInvalidArg,
        "This CAT-Seg takes text features [words, " +
            (config_.prompts == 1
                 ? ""
                 : std::to_string(config_.prompts) + " prompts, ") +
            std::to_string(config_.embed_dim) + "], received " +
            (text.defined() ? c10::str(text.sizes()) : std::string("nothing")) +
            ".");
  }

  static void check_pooling(const CatSegMaps& maps, int64_t pooling) {
    if (pooling >= 1 && pooling <= maps.features.size(2) &&
        pooling <= maps.features.size(3)) {
      return;
    }
    throw Error(
        ErrorCode::kInvalidArg,
        "pooling must be 1 or 2, received " + std::to_string(pooling) + ".");
  }

  static CatSegMaps window_of(const CatSegMaps& maps, int64_t i) {
    return {maps.features.narrow(0, i, 1),
            maps.image.narrow(0, i, 1),
            maps.decoder1.narrow(0, i, 1),
            maps.decoder2.narrow(0, i, 1)};
  }

  /// The words that are anywhere most like a patch, in their order.
  /// features [E, g, g] -> int64 [limit]
  static at::Tensor best_words(const at::Tensor& features,
                               const at::Tensor& words,
                               int64_t limit) {
    const auto patches = features.flatten(1);  // [E, N]
    std::vector<at::Tensor> highest;
    for (const auto& some : words.split(kComparedWords)) {
      highest.push_back(at::matmul(l2(some), patches).flatten(1).amax(1));
    }
    return std::get<0>(std::get<1>(at::cat(highest).topk(limit)).sort(0));
  }

  static at::Tensor l2(const at::Tensor& x) {
    return x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
  }

  Tensors weights_;
  std::unique_ptr<const FusedHead> fused_;  // null: LibTorch's operators
};

}  // namespace
}  // namespace cat_seg

std::unique_ptr<CatSeg> make_cat_seg(const CatSegConfig& config,
                                     const Weights& weights,
                                     const Numerics& numerics) {
  return std::make_unique<cat_seg::Head>(config, weights, numerics);
}

}  // namespace declip
