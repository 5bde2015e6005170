#include "model/text_tower.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/prefix_attention.h"

namespace declip {
namespace {

/// Prompts, or tokens of prompts on the CPU, per pass; bounds the activations,
/// not the result.
constexpr int64_t kBatch = 256;
constexpr int64_t kTokensPerPass = 2048;

/// Beside the number of tokens that a mean is of, in TIPSv2's code; a text
/// without any has the mean 0.
constexpr double kMeanEpsilon = 1e-8;

}  // namespace

TextTower::TextTower(const TextConfig& config,
                     const Weights& weights,
                     const Numerics& numerics)
    : config_(config), numerics_(numerics) {
  const Scope text(weights, "text.");
  token_embedding_ = text.stored("token_embedding.weight");
  positions_ = text["positional_embedding"];
  const auto projection = text.find("text_projection");
  if (projection.defined()) {
    projection_.emplace(
        projection.t(), text.find("text_projection_bias"), numerics.ends());
  }
  ln_final_ = LayerNorm(text / "ln_final",
                        config.layer_norm_eps,
                        projection_ ? numerics : numerics.in_stream());
  for (int64_t i = 0; i < config.layers; ++i) {
    blocks_.emplace_back(text / "transformer" / "resblocks" / std::to_string(i),
                         config.layer_norm_eps,
                         config.heads,
                         config.activation,
                         Projection::Products::kOne,
                         numerics);
  }
}

void TextTower::check_tokens(const at::Tensor& tokens) const {
  const int64_t length = tokens.size(1);
  if (length < 1 || length > config_.context) {
    throw Error(ErrorCode::kInvalidArg,
                "tokens must have 1.." + std::to_string(config_.context) +
                    " columns (the model's context length), received " +
                    std::to_string(length) + ".");
  }
  if (tokens.size(0) == 0) return;
  const auto low = tokens.min().item<int64_t>();
  const auto high = tokens.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab) {
    throw Error(ErrorCode::kInvalidArg,
                "token ids must be 0.." + std::to_string(config_.vocab - 1) +
                    " (the model's vocabulary), received " +
                    std::to_string(low < 0 ? low : high) + ".");
  }
}

at::Tensor TextTower::encode(const at::Tensor& tokens, const Call& call) const {
  check_tokens(tokens);
  if (tokens.size(0) == 0) {
    return at::empty({0, config_.embed_dim}, token_embedding_.options());
  }
  Parts parts;
  if (ends_at_pooled(config_)) {
    const auto end = config_.pool == TextPool::kEnd
                         ? end_tokens(tokens, config_)
                         : at::zeros({tokens.size(0)}, at::kLong);
    parts = numerics_.fused && token_embedding_.is_cpu()
                ? encode_trees(tokens, end, call)
                : encode_batches(tokens, end, call);
  } else {
    parts = encode_groups(tokens, call);
  }
  const auto features = at::cat(parts.features, 0);
  return at::empty_like(features).index_copy_(
      0, at::tensor(parts.order).to(features.device()), features);
}

TextTower::Parts TextTower::encode_trees(const at::Tensor& tokens,
                                         const at::Tensor& end,
                                         const Call& call) const {
  Parts out{{}, prompt_order(tokens, end)};
  for (size_t done = 0; done < out.order.size();) {
    const auto tree =
        grow_prompt_tree(tokens, end, out.order, done, kTokensPerPass);
    out.features.push_back(encode_tree(tree, call));
    done += tree.end.size();
    call.report(Step::kText, static_cast<int64_t>(done), tokens.size(0));
  }
  return out;
}

TextTower::Parts TextTower::encode_batches(const at::Tensor& tokens,
                                           const at::Tensor& end,
                                           const Call& call) const {
  // Prompts of like length share a batch, so that short ones stay short. What
  // follows the end token of the shorter ones changes nothing.
  const int64_t count = tokens.size(0);
  const auto sorted = std::get<1>(at::sort(end, /*dim=*/0)).contiguous();
  Parts out;
  out.order.assign(sorted.const_data_ptr<int64_t>(),
                   sorted.const_data_ptr<int64_t>() + count);
  for (int64_t at = 0; at < count; at += kBatch) {
    const auto rows = sorted.slice(0, at, std::min(at + kBatch, count));
    TextRows batch;
    batch.pooled = end.index_select(0, rows);
    batch.keys = batch.pooled.max().item<int64_t>() + 1;
    batch.ids = tokens.index_select(0, rows).slice(1, 0, batch.keys);
    batch.positions = at::arange(batch.keys);
    out.features.push_back(encode_rows(batch, call));
    call.report(Step::kText, std::min(at + kBatch, count), count);
  }
  return out;
}

TextTower::Parts TextTower::encode_groups(const at::Tensor& tokens,
                                          const Call& call) const {
  const int64_t most =
      token_embedding_.is_cpu() ? kTokensPerPass : kBatch * config_.context;
  Parts out;
  for (const auto& rows : group_rows(tokens, config_, kBatch, most)) {
    out.features.push_back(encode_rows(rows, call));
    out.order.insert(out.order.end(), rows.row.begin(), rows.row.end());
    call.report(
        Step::kText, static_cast<int64_t>(out.order.size()), tokens.size(0));
  }
  return out;
}

at::Tensor TextTower::embed(const at::Tensor& ids,
                            const at::Tensor& positions) const {
  auto x = at::embedding(token_embedding_, ids).to(numerics_.stream());
  if (config_.embedding_scale != 1) x = x * config_.embedding_scale;
  return x + at::embedding(positions_, positions);
}

at::Tensor TextTower::project(const at::Tensor& pooled) const {
  return projection_ ? (*projection_)(pooled) : pooled;
}

at::Tensor TextTower::encode_tree(const PromptTree& tree,
                                  const Call& call) const {
  auto x = embed(at::tensor(tree.token), at::tensor(tree.depth));  // (U, C)
  const double scale =
      1.0 / std::sqrt(static_cast<double>(config_.width / config_.heads));
  const auto end = at::tensor(tree.end);
  for (const auto& block : blocks_) {
    call.check();
    const auto heads = block.in_proj(block.ln_1(x), {});
    auto attended = prefix_attention(
        heads.q, heads.k, heads.v, tree.path, tree.path_begin, scale);
    if (&block == &blocks_.back()) {  // the rest is for the pooled tokens alone
      attended = attended.index_select(0, end);
      x = x.index_select(0, end);
    }
    x = block.out_proj.add_to(x, attended);
    x = block.mlp.add_to(x, block.ln_2(x));
  }
  return project(ln_final_(x));
}

at::Tensor TextTower::encode_rows(const TextRows& rows,
                                  const Call& call) const {
  const auto device = token_embedding_.device();
  auto x = embed(rows.ids.to(device), rows.positions.to(device));  // (B, L, C)
  const bool mean = config_.pool == TextPool::kMean;
  const auto pooled = [&](const at::Tensor& tokens) {  // (B, L, C) -> (B, C)
    const auto text = at::arange(tokens.size(0), rows.pooled.options());
    return tokens.index({text.to(device), rows.pooled.to(device)});
  };
  for (const auto& block : blocks_) {
    if (x.size(1) == 0) break;  // nothing but padding
    call.check();
    auto heads = block.in_proj(block.ln_1(x), {});
    heads.k = heads.k.slice(1, 0, rows.keys);
    heads.v = heads.v.slice(1, 0, rows.keys);
    auto attended = attend(heads, numerics_, config_.causal);
    if (&block == &blocks_.back() && !mean) {  // as in encode_tree()
      attended = pooled(attended);
      x = pooled(x);
    }
    x = block.out_proj.add_to(x, attended);
    x = block.mlp.add_to(x, block.ln_2(x));
  }
  if (mean) {
    const double count = static_cast<double>(x.size(1)) + kMeanEpsilon;
    const auto sum = x.size(1) == 0 ? x.sum(1) : ln_final_(x).sum(1) / count;
    return project(sum.to(projection_ ? numerics_.dtype : numerics_.stream()));
  }
  return project(ln_final_(x));
}

}  // namespace declip
