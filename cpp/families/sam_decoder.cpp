#include "families/sam_decoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "declip/error.h"

namespace declip {
namespace {

constexpr double kTokenEps = 1e-5;  // of the transformer's norms
constexpr double kMaskEps = 1e-6;   // LN2d: over the channels of a place
constexpr int64_t kOutputTokens = 5;

/// What prompts in work may hold in bytes.
constexpr int64_t kPromptBytes = int64_t{64} << 20;
/// The same on CUDA, where a pass has to fill the device; not measured.
constexpr int64_t kCudaPromptBytes = int64_t{512} << 20;

void keep(MaskTrace* trace, const char* name, const at::Tensor& value) {
  if (trace != nullptr) (*trace)[name] = value;
}

/// A transposed convolution of 2 x 2 places that do not overlap, as a product:
/// [in, out, 2, 2] -> [4 out, in], the four places one after the other.
Linear enlarging(const Scope& scope,
                 const Numerics& numerics,
                 Epilogue epilogue) {
  const auto weight = scope["weight"];
  return {weight.permute({2, 3, 1, 0}).flatten(0, 2).contiguous(),
          scope["bias"].repeat({4}),
          numerics,
          epilogue};
}

}  // namespace

// --- Attention ---

SamAttention::SamAttention(const Scope& scope,
                           int64_t heads,
                           const Numerics& numerics)
    : heads_(heads), numerics_(numerics) {
  const auto weight = [&](const char* part) {
    return (scope / part)["weight"];
  };
  const auto bias = [&](const char* part) { return (scope / part)["bias"]; };
  const auto wq = weight("q_proj"), wk = weight("k_proj"),
             wv = weight("v_proj"), wo = weight("out_proj");
  const int64_t inner = wq.size(0), width = wq.size(1);
  const int64_t d = inner / heads;
  scale_ = 1 / std::sqrt(static_cast<double>(d));
  query_ = Linear(wq, bias("q_proj"), numerics);
  key_ = Linear(wk, bias("k_proj"), numerics);
  value_ = Linear(wv, bias("v_proj"), numerics);
  out_ = Linear(wo, bias("out_proj"), numerics);
  query_weight_ = wq.view({heads, d, width});
  query_bias_ = bias("q_proj").view({heads, d, 1});
  key_weight_ = wk.view({heads, d, width});
  value_weight_ = wv.view({heads, d, width}).transpose(1, 2).contiguous();
  value_bias_ = bias("v_proj");
  out_weight_ = wo.view({width, heads, d}).permute({1, 2, 0}).contiguous();
  out_bias_ = bias("out_proj");
}

at::Tensor SamAttention::by_head(const at::Tensor& x) const {
  const int64_t prompts = x.size(0), tokens = x.size(1);
  return x.reshape({prompts * tokens, heads_, x.size(2) / heads_})
      .transpose(0, 1);
}

at::Tensor SamAttention::by_prompt(const at::Tensor& x, int64_t prompts) const {
  return x.reshape({heads_, prompts, -1, x.size(2)})
      .transpose(0, 1)
      .reshape({prompts, -1, x.size(2)});
}

at::Tensor SamAttention::ask_places(const at::Tensor& queries,
                                    const at::Tensor& keys,
                                    const at::Tensor& values) const {
  const int64_t prompts = queries.size(0), tokens = queries.size(1);
  // The keys' bias adds the same to all scores of a query: nothing.
  const auto asked = by_prompt(
      at::bmm(by_head(query_(queries) * scale_), key_weight_), prompts);
  const auto shares = at::softmax(at::matmul(asked, keys.transpose(1, 2)), -1);
  const auto means = at::matmul(shares, values);  // [B, H * T, C]
  const int64_t width = means.size(2);
  const auto heads = at::bmm(means.view({prompts, heads_, tokens, width})
                                 .transpose(0, 1)
                                 .reshape({heads_, prompts * tokens, width}),
                             value_weight_);  // [H, B * T, d]
  return out_(heads.transpose(0, 1).reshape({prompts, tokens, -1}) +
              value_bias_);
}

at::Tensor SamAttention::ask_projected(const at::Tensor& queries,
                                       const at::Tensor& keys,
                                       const at::Tensor& values) const {
  // All prompts ask the same places: as many queries of one picture.
  const auto q = query_(queries);
  const auto heads = [&](const at::Tensor& x) {
    return split_heads(x.reshape({1, -1, x.size(-1)}), heads_);
  };
  return out_(attend({heads(q), heads(keys), heads(values)}, numerics_)
                  .view(q.sizes()));
}

at::Tensor SamAttention::mix(const at::Tensor& residual,
                             at::Tensor scores,
                             const at::Tensor& values) const {
  const int64_t prompts = values.size(0), tokens = values.size(1);
  const int64_t places = scores.size(-1);
  const auto shares =
      at::softmax(scores.view({prompts, heads_, tokens, places}), 2)
          .view({prompts, heads_ * tokens, places});
  // The shares of a head sum up to 1, so that each value may bring its part of
  // the bias.
  const auto brought =
      by_prompt(at::bmm(by_head(value_(values)), out_weight_), prompts) +
      out_bias_ / static_cast<double>(heads_);
  return at::baddbmm(residual, shares.transpose(1, 2), brought);
}

at::Tensor SamAttention::ask_tokens(const at::Tensor& residual,
                                    const at::Tensor& queries,
                                    const at::Tensor& keys,
                                    const at::Tensor& values) const {
  const int64_t prompts = keys.size(0);
  const auto k = by_head(key_(keys) * scale_);  // [H, B * T, d]
  const auto asked = by_prompt(at::bmm(k, query_weight_), prompts);
  const auto shift = by_prompt(at::bmm(k, query_bias_), prompts);
  return mix(
      residual, at::matmul(asked, queries.transpose(1, 2)).add_(shift), values);
}

at::Tensor SamAttention::ask_tokens_projected(const at::Tensor& residual,
                                              const at::Tensor& queries,
                                              const at::Tensor& keys,
                                              const at::Tensor& values) const {
  const int64_t prompts = keys.size(0);
  const auto k = by_head(key_(keys) * scale_);        // [H, B * T, d]
  const auto q = by_head(queries.unsqueeze(0));       // [H, N, d]
  const auto scores = at::bmm(k, q.transpose(1, 2));  // [H, B * T, N]
  return mix(residual, by_prompt(scores, prompts), values);
}

at::Tensor SamAttention::among(const at::Tensor& queries,
                               const at::Tensor& keys,
                               const at::Tensor& values) const {
  return out_(attend({split_heads(query_(queries), heads_),
                      split_heads(key_(keys), heads_),
                      split_heads(value_(values), heads_)},
                     numerics_));
}

// --- Decoder ---

SamDecoder::SamDecoder(const MaskDecoderConfig& config,
                       const Weights& weights,
                       const Numerics& numerics)
    : SamDecoder(config,
                 Scope(weights, "masks."),
                 Scope(weights, "prompts."),
                 numerics) {}

SamDecoder::SamDecoder(const MaskDecoderConfig& config,
                       const Scope& scope,
                       const Scope& prompts,
                       const Numerics& numerics)
    : MaskDecoder(config), prompts_(prompts, config, numerics) {
  output_tokens_ = at::cat({scope["iou_token"], scope["mask_tokens"]});
  for (int64_t i = 0; i < config.layers; ++i) {
    const Scope s = scope / "layers" / std::to_string(i);
    const auto attention = [&](const char* name) {
      return SamAttention(s / name, config.heads, numerics);
    };
    const auto norm = [&](const char* name) {
      return LayerNorm(s / name, kTokenEps, numerics);
    };
    const Scope lin1 = s / "mlp" / "lin1";
    layers_.push_back(
        {attention("self"),
         attention("to_image"),
         attention("to_tokens"),
         norm("norm1"),
         norm("norm2"),
         norm("norm3"),
         norm("norm4"),
         Linear(lin1["weight"], lin1["bias"], numerics, Epilogue::kRelu),
         Linear(s / "mlp" / "lin2", numerics)});
  }
  final_ = SamAttention(scope / "final", config.heads, numerics);
  final_norm_ = LayerNorm(scope / "final_norm", kTokenEps, numerics);
  up_norm_ = LayerNorm(scope / "up_norm", kMaskEps, numerics);
  up1_ = enlarging(scope / "up1", numerics, Epilogue::kNone);
  up2_ = enlarging(scope / "up2", numerics, Epilogue::kGelu);
  up_width_ = scope["up2.weight"].size(1);
  for (int64_t m = 0; m < config.masks; ++m) {
    hyper_.push_back(stack(scope / "hyper" / std::to_string(m), numerics));
  }
  iou_ = stack(scope / "iou", numerics);
}

SamDecoder::Stack SamDecoder::stack(const Scope& scope,
                                    const Numerics& numerics) {
  const auto names = sam_mlp_layers([&](const std::string& name) {
    return scope.find(name + ".weight").defined();
  });
  Stack out;
  for (size_t i = 0; i < names.size(); ++i) {
    const Scope layer = scope / names[i];
    out.emplace_back(layer["weight"],
                     layer["bias"],
                     numerics,
                     i + 1 < names.size() ? Epilogue::kRelu : Epilogue::kNone);
  }
  return out;
}

at::Tensor SamDecoder::run(const Stack& layers, at::Tensor x) {
  for (const Linear& layer : layers) x = layer(x);
  return x;
}

SamImage SamDecoder::prepare(const at::Tensor& embedding,
                             Size input,
                             Size picture) const {
  SamImage out;
  out.embedding =
      embedding.reshape({config_.embed_dim, config_.grid, config_.grid});
  out.input = input;
  out.picture = picture;
  const auto features =
      out.embedding.flatten(1).t().to(at::kFloat).contiguous();
  out.image = features + prompts_.no_mask();
  out.placed = out.image + prompts_.grid_codes();
  const Layer& first = layers_.front();
  out.keys = first.to_image.project_key(out.placed);
  out.values = first.to_image.project_value(out.image);
  out.questions = first.to_tokens.project_query(out.placed);
  return out;
}

int64_t SamDecoder::prompts_per_pass(int64_t tokens) const {
  const int64_t places = config_.grid * config_.grid;
  // Features twice and their sum with attention, scores, the two enlargements,
  // masks.
  const int64_t values =
      places * (3 * config_.embed_dim + 2 * tokens * config_.heads +
                16 * (2 * up_width_ + 2 * config_.masks));
  const bool cuda = !output_tokens_.device().is_cpu();
  return std::max<int64_t>(
      1, (cuda ? kCudaPromptBytes : kPromptBytes) / (4 * values));
}

MaskLogits SamDecoder::decode(const SamImage& image,
                              const MaskPrompts& prompts,
                              MaskChoice choice,
                              const Call& call) const {
  prompts_.check(prompts);
  const int64_t count = prompts.count();
  const auto sparse = prompts_.sparse(prompts, image);
  const int64_t step = prompts_per_pass(kOutputTokens + sparse.size(1));
  std::vector<at::Tensor> low_res, iou;
  for (int64_t first = 0; first < count; first += step) {
    call.check();
    const int64_t last = std::min(first + step, count);
    at::Tensor dense;
    if (prompts.masks.defined()) {
      dense = prompts_.dense(
          prompts.masks.slice(0, first, last).to(sparse.device()));
    }
    auto some = decode_some(
        image, sparse.slice(0, first, last), dense, choice, nullptr);
    low_res.push_back(std::move(some.low_res));
    iou.push_back(std::move(some.iou));
  }
  if (low_res.size() == 1) return {low_res[0], iou[0]};
  return {at::cat(low_res), at::cat(iou)};
}

MaskLogits SamDecoder::decode_some(const SamImage& image,
                                   const at::Tensor& sparse,
                                   const at::Tensor& dense,
                                   MaskChoice choice,
                                   MaskTrace* trace) const {
  const int64_t count = sparse.size(0), g = config_.grid;
  // What a token is stays its "position" all the way.
  const auto t0 = at::cat({output_tokens_.expand({count, -1, -1}), sparse}, 1);
  auto q = t0;
  const bool shared = !dense.defined();
  auto k = image.image.unsqueeze(0), placed = image.placed.unsqueeze(0);
  if (!shared) {
    k = k - prompts_.no_mask() + dense;
    placed = k + prompts_.grid_codes();
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    if (i == 0) {
      // No residual: the first layer's tokens are what attention gives.
      const auto attended = layer.self.among(q, q, q);
      keep(trace, "layer0_self_attention", attended);
      q = layer.norm1(attended);
    } else {
      const auto at = q + t0;
      q = layer.norm1(q + layer.self.among(at, at, q));
    }
    const bool projected = shared && i == 0;
    q = layer.norm2(q + (projected
                             ? layer.to_image.ask_projected(
                                   q + t0, image.keys, image.values)
                             : layer.to_image.ask_places(q + t0, placed, k)));
    q = layer.norm3(layer.lin2.add_to(q, layer.lin1(q)));
    k = layer.norm4(projected
                        ? layer.to_tokens.ask_tokens_projected(
                              k, image.questions, q + t0, q)
                        : layer.to_tokens.ask_tokens(k, placed, q + t0, q));
    placed = k + prompts_.grid_codes();
    if (trace != nullptr) {
      const std::string name = "layer" + std::to_string(i);
      (*trace)[name + "_queries"] = q;
      (*trace)[name + "_keys"] = k;
    }
  }
  const auto last = final_.ask_places(q + t0, placed, k);
  keep(trace, "final_attention", last);
  q = final_norm_(q + last);
  keep(trace, "tokens_out", q);
  keep(trace, "keys_out", k);

  // Four places of each, twice; they stay behind each other until the masks
  // are there.
  const auto halves = up1_(k).view({count, g * g, 4, -1});
  const auto upscaled =
      up2_(at::gelu(up_norm_(halves))).view({count, -1, up_width_});
  const int64_t begin = choice == MaskChoice::kMulti ? 1 : 0;
  const int64_t end = choice == MaskChoice::kSingle ? 1 : config_.masks;
  std::vector<at::Tensor> mixed;
  for (int64_t m = begin; m < end; ++m) {
    mixed.push_back(run(hyper_[static_cast<size_t>(m)], q.select(1, 1 + m)));
  }
  const auto weights = at::stack(mixed, 1);  // [B, M, C / 8]
  const auto in_order = [&](const at::Tensor& planes) {
    // [B, M, gy, gx, y, x, y, x] -> [B, M, gy, y, y, gx, x, x]
    return planes.view({count, -1, g, g, 2, 2, 2, 2})
        .permute({0, 1, 2, 4, 6, 3, 5, 7})
        .reshape({count, -1, 4 * g, 4 * g});
  };
  if (trace != nullptr) {
    (*trace)["hyper"] = weights;
    (*trace)["upscaled"] = in_order(upscaled.transpose(1, 2).contiguous());
  }
  return {in_order(at::matmul(weights, upscaled.transpose(1, 2))),
          run(iou_, q.select(1, 0)).slice(1, begin, end).contiguous()};
}

std::unique_ptr<MaskDecoder> make_sam_decoder(const MaskDecoderConfig& config,
                                              const Weights& weights,
                                              const Numerics& numerics) {
  return std::make_unique<SamDecoder>(config, weights, numerics);
}

}  // namespace declip
