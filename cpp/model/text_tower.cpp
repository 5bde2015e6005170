#include "model/text_tower.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/prefix_attention.h"

namespace declip {
namespace {

/// Prompts, or tokens of a tree, per pass; bounds the activations, not the
/// result.
constexpr int64_t kBatch = 256;
constexpr int64_t kTokensPerPass = 2048;

}  // namespace

TextTower::TextTower(const TextConfig& config,
                     const Weights& weights,
                     const Numerics& numerics)
    : config_(config), numerics_(numerics) {
  const Scope text(weights, "text.");
  token_embedding_ = text.stored("token_embedding.weight");
  positions_ = text["positional_embedding"];
  projection_ = Linear(text["text_projection"].t(), {}, numerics.ends());
  ln_final_ = LayerNorm(text / "ln_final", config.layer_norm_eps, numerics);
  for (int64_t i = 0; i < config.layers; ++i) {
    blocks_.emplace_back(text / "transformer" / "resblocks" / std::to_string(i),
                         config.layer_norm_eps,
                         config.heads,
                         config.activation,
                         Projection::Products::kOne,
                         numerics);
  }
}

at::Tensor TextTower::encode(const at::Tensor& tokens, const Call& call) const {
  const int64_t count = tokens.size(0);
  const int64_t length = tokens.size(1);
  if (length < 1 || length > config_.context) {
    throw Error(ErrorCode::kInvalidArg,
                "tokens must have 1.." + std::to_string(config_.context) +
                    " columns (the model's context length), received " +
                    std::to_string(length) + ".");
  }
  if (count == 0) {
    return at::empty({0, config_.embed_dim}, token_embedding_.options());
  }
  const auto low = tokens.min().item<int64_t>();
  const auto high = tokens.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab) {
    throw Error(ErrorCode::kInvalidArg,
                "token ids must be 0.." + std::to_string(config_.vocab - 1) +
                    " (the model's vocabulary), received " +
                    std::to_string(low < 0 ? low : high) + ".");
  }
  // argmax returns the first maximum, so padding with the end token is harmless
  const auto end = config_.eot_token < 0
                       ? tokens.argmax(1)
                       : tokens.eq(config_.eot_token).to(at::kInt).argmax(1);
  std::vector<at::Tensor> parts;
  std::vector<int64_t> order;
  if (numerics_.fused && token_embedding_.is_cpu()) {
    order = prompt_order(tokens, end);
    for (size_t done = 0; done < order.size();) {
      const auto tree =
          grow_prompt_tree(tokens, end, order, done, kTokensPerPass);
      parts.push_back(encode_tree(tree, call));
      done += tree.end.size();
      call.report(Step::kText, static_cast<int64_t>(done), count);
    }
  } else {
    // Prompts of like length share a batch, so that short ones stay short.
    const auto sorted = std::get<1>(at::sort(end, /*dim=*/0)).contiguous();
    order.assign(sorted.const_data_ptr<int64_t>(),
                 sorted.const_data_ptr<int64_t>() + count);
    for (int64_t at = 0; at < count; at += kBatch) {
      const auto rows = sorted.slice(0, at, std::min(at + kBatch, count));
      parts.push_back(encode_batch(
          tokens.index_select(0, rows), end.index_select(0, rows), call));
      call.report(Step::kText, std::min(at + kBatch, count), count);
    }
  }
  const auto features = at::cat(parts, 0);
  return at::empty_like(features).index_copy_(
      0, at::tensor(order).to(features.device()), features);
}

at::Tensor TextTower::encode_tree(const PromptTree& tree,
                                  const Call& call) const {
  auto x = at::embedding(token_embedding_, at::tensor(tree.token))
               .to(numerics_.stream()) +
           positions_.index_select(0, at::tensor(tree.depth));  // (U, C)
  const double scale =
      1.0 / std::sqrt(static_cast<double>(config_.width / config_.heads));
  for (const auto& block : blocks_) {
    call.check();
    const auto heads = block.in_proj(block.ln_1(x), {});
    x = block.out_proj.add_to(
        x,
        prefix_attention(
            heads.q, heads.k, heads.v, tree.path, tree.path_begin, scale));
    x = block.mlp.add_to(x, block.ln_2(x));
  }
  return projection_(ln_final_(x.index_select(0, at::tensor(tree.end))));
}

at::Tensor TextTower::encode_batch(const at::Tensor& tokens,
                                   const at::Tensor& end,
                                   const Call& call) const {
  const int64_t length = end.max().item<int64_t>() + 1;
  const auto device = token_embedding_.device();
  const auto ids = tokens.slice(1, 0, length).to(device);
  auto x = at::embedding(token_embedding_, ids).to(numerics_.stream()) +
           positions_.slice(0, 0, length);
  for (const auto& block : blocks_) {
    call.check();
    const auto heads = block.in_proj(block.ln_1(x), {});
    x = block.out_proj.add_to(x, attend(heads, numerics_, /*causal=*/true));
    x = block.mlp.add_to(x, block.ln_2(x));
  }
  const auto rows = at::arange(x.size(0), end.options()).to(device);
  const auto pooled = x.index({rows, end.to(device)});
  return projection_(ln_final_(pooled));
}

}  // namespace declip
