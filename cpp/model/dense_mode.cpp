#include "model/dense_mode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/dense_attention.h"
#include "model/recipe.h"
#include "model/recorded.h"

namespace declip {
namespace {

/// Whether every softmax is of one product.
bool is_sum(const std::vector<AttentionTerm>& terms,
            const AttentionOptions& options) {
  return options.shift == 0 && !options.drop_negative && !options.prior &&
         std::all_of(terms.begin(), terms.end(), [](const auto& term) {
           return term.parts.size() == 1;
         });
}

at::Tensor combine(const VisionTower& tower,
                   const std::vector<AttentionTerm>& terms,
                   const at::Tensor& v,
                   const AttentionOptions& options) {
  if (tower.numerics().recorded && is_sum(terms, options)) {
    at::Tensor sum;
    for (const auto& term : terms) {
      const auto& [a, b] = term.parts[0];
      auto one = recorded_attention(a, b, v, term.scale);
      if (term.weight != 1.0) one = one * term.weight;
      sum = sum.defined() ? sum + one : one;
    }
    return sum;
  }
  return tower.numerics().fused ? dense_attention(terms, v, options)
                                : dense_attention_eager(terms, v, options);
}

/// One term per self-similarity that takes part, or one for their mean.
std::vector<AttentionTerm> self_terms(const Heads& heads,
                                      const Recipe& recipe,
                                      double scale,
                                      double weight) {
  std::vector<AttentionPart> parts;
  if (recipe.q) parts.push_back({heads.q, heads.q});
  if (recipe.k) parts.push_back({heads.k, heads.k});
  if (recipe.v) parts.push_back({heads.v, heads.v});
  if (recipe.attention == Attention::kSelfMean) {
    return {{parts, scale / static_cast<double>(parts.size()), weight}};
  }
  std::vector<AttentionTerm> terms;
  for (const auto& part : parts) terms.push_back({{part}, scale, weight});
  return terms;
}

at::Tensor neighbour_attention(const VisionTower& tower,
                               const Heads& heads,
                               Grid grid,
                               const DenseOptions& options,
                               double scale) {
  AttentionOptions attention;
  attention.prior = NeighbourPrior{grid.h, grid.w, options.gaussian_std, {}};
  if (!options.neighbours_only) {
    return combine(
        tower, {{{{heads.k, heads.k}}, scale, 1.0}}, heads.v, attention);
  }
  // The ablation scales the prior by the mean of |q_i||k_j| over heads and
  // tokens, class token included.
  const auto norms = [](const at::Tensor& x) {
    return x.to(at::kFloat).norm(2, {-1}).mean(1);  // (B, n)
  };
  attention.prior->factor =
      ((norms(heads.q) * norms(heads.k)).mean(-1) * scale).contiguous();
  return combine(tower, {{{}, 1.0, 1.0}}, heads.v, attention);
}

/// ProxyCLIP: attention over the M = Hv*Wv cells of the external features, the
/// same for every head, on values resampled to that grid. [B, M, C]
at::Tensor proxy_attention(const VisionTower& tower,
                           const at::Tensor& v,
                           Grid grid,
                           const DenseOptions& options) {
  const auto& features = options.proxy_features;
  const int64_t batch = v.size(0), width = v.size(2) * v.size(3);
  const int64_t rows = features.size(2), columns = features.size(3);
  const int64_t cells = rows * columns;
  const auto f = features.to(v.device(), at::kFloat).flatten(2);  // (B, Cv, M)
  const auto unit = (f / f.norm(2, {1}, true).clamp_min(1e-12))
                        .transpose(1, 2)
                        .contiguous();  // (B, M, Cv)
  // The mean of all similarities, over the batch too, as published: that of
  // the products is the product of the sums.
  const double pairs = static_cast<double>(batch * cells * cells);
  const double mean =
      unit.sum(1, false, at::kDouble).square().sum().item<double>() / pairs;

  auto values = v.slice(1, 1).flatten(2).to(at::kFloat);  // (B, N, C)
  values = at::upsample_bilinear2d(
               values.transpose(1, 2).reshape({batch, width, grid.h, grid.w}),
               {rows, columns},
               /*align_corners=*/false)
               .flatten(2)
               .transpose(1, 2)
               .contiguous();  // (B, M, C)
  AttentionOptions attention;
  attention.shift = -options.proxy_beta * options.proxy_gamma * mean;
  attention.drop_negative = true;
  const auto one_head = [](const at::Tensor& x) { return x.unsqueeze(2); };
  return combine(
             tower,
             {{{{one_head(unit), one_head(unit)}}, options.proxy_gamma, 1.0}},
             one_head(values),
             attention)
      .to(v.scalar_type());
}

/// ITACLIP's maps of earlier blocks. Their heads are kept on the way up, and
/// their maps are made together with the last block's.
class EarlierBlocks final : public Tap {
 public:
  EarlierBlocks(const Recipe& recipe,
                const DenseOptions& options,
                int64_t depth)
      : recipe_(recipe), self_attention_(options.self_attention) {
    if (recipe.earlier_blocks.empty()) return;
    blocks_ = options.layers.empty() ? recipe.earlier_blocks_of(depth)
                                     : options.layers;
    for (const int64_t block : blocks_) {
      if (block < 1 || block >= depth) {
        throw Error(ErrorCode::kInvalidArg,
                    "layers must be blocks 1.." + std::to_string(depth - 1) +
                        " (the last block takes part anyway), received " +
                        std::to_string(block) +
                        ". Pass `layers` that fit this model.");
      }
    }
  }

  bool wants_heads(int64_t i) const override {
    return std::find(blocks_.begin(), blocks_.end(), i + 1) != blocks_.end();
  }

  void heads(int64_t, const Heads& heads) override {
    heads_.push_back({heads.q, heads.k, {}});
  }

  /// Half the last block's map, half the mean of the earlier ones.
  std::vector<AttentionTerm> terms(const Heads& last, double scale) const {
    if (heads_.empty()) return of(last, scale, 1.0);
    auto all = of(last, scale, 0.5);
    for (const auto& heads : heads_) {
      const auto more =
          of(heads, scale, 0.5 / static_cast<double>(heads_.size()));
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }

 private:
  std::vector<AttentionTerm> of(const Heads& heads,
                                double scale,
                                double weight) const {
    const bool ordinary = !recipe_.earlier_blocks.empty() && !self_attention_;
    return ordinary ? std::vector<AttentionTerm>{{{{heads.q, heads.k}},
                                                  scale,
                                                  weight}}
                    : self_terms(heads, recipe_, scale, weight);
  }

  const Recipe& recipe_;
  bool self_attention_;
  std::vector<int64_t> blocks_;  // counted from 1
  std::vector<Heads> heads_;
};

/// What a mode takes of the last block's projection.
Wanted wanted_by(const Recipe& recipe, const DenseOptions& options) {
  Wanted wanted;
  switch (recipe.attention) {
    case Attention::kSelf:
    case Attention::kSelfMean:
      wanted.q = recipe.q;
      wanted.k = recipe.k;
      break;
    case Attention::kNeighbour:
      wanted.q = options.neighbours_only;
      break;
    case Attention::kValues:
    case Attention::kProxy:
      wanted.q = wanted.k = false;
      break;
    default:
      break;
  }
  return wanted;
}

/// The last block under a mode: [B, L, C], or [B, M, C] without a class token
/// for ProxyCLIP.
at::Tensor last_block(const VisionTower& tower,
                      const at::Tensor& x,
                      Grid grid,
                      const DenseOptions& options,
                      const EarlierBlocks& earlier,
                      Heads* projected = nullptr) {
  const auto& recipe = recipe_of(options.mode);
  const int64_t i = tower.depth() - 1;
  const bool unscaled =
      recipe.unscaled_on_eva && tower.traits().unscaled_self_attention;
  const double scale =
      unscaled ? 1.0
               : 1.0 / std::sqrt(static_cast<double>(tower.config().width /
                                                     tower.config().heads));

  // Rotary positions are EVA's; only the unmodified attention applies them.
  auto heads = tower.project(i, tower.norm1(i, x), wanted_by(recipe, options));
  if (projected != nullptr) *projected = heads;
  at::Tensor merged;  // attended values before the output projection
  switch (recipe.attention) {
    case Attention::kValues:
      merged = heads.v.flatten(2);
      break;
    case Attention::kQueryKey:
      tower.rotate(heads, grid);
      merged = attend(heads, tower.numerics());
      break;
    case Attention::kNeighbour:
      merged = neighbour_attention(tower, heads, grid, options, scale);
      break;
    case Attention::kProxy:
      merged = proxy_attention(tower, heads.v, grid, options);
      break;
    default:
      merged = combine(tower, earlier.terms(heads, scale), heads.v, {});
  }
  const bool residual = options.residual.value_or(recipe.residual);
  const auto y = tower.output(i, merged, residual ? x : at::Tensor());
  // Without the residual path the MLP branch alone would be left; its own skip
  // connection belongs to the MLP and stays.
  return options.feed_forward.value_or(recipe.feed_forward)
             ? tower.feed_forward(i, y)
             : y;
}

void check_options(const VisionTower& tower,
                   const at::Tensor& image,
                   Grid grid,
                   const DenseOptions& options) {
  if (grid.h < 1 || grid.w < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "The image must be at least " +
                    std::to_string(tower.config().patch) +
                    " pixels (one patch) high and wide, received " +
                    std::to_string(image.size(2)) + " x " +
                    std::to_string(image.size(3)) + ".");
  }
  const auto& recipe = recipe_of(options.mode);
  if (recipe.attention == Attention::kNeighbour &&
      !(options.gaussian_std > 0)) {
    throw Error(ErrorCode::kInvalidArg, "gaussianStd must be above 0.");
  }
  if (!recipe.needs_proxy()) return;
  const auto& features = options.proxy_features;
  if (!features.defined() || features.dim() != 4 ||
      features.size(0) != image.size(0) || features.numel() == 0) {
    throw Error(ErrorCode::kInvalidArg,
                "Dense mode 'proxyclip' needs proxy.features, a float tensor "
                "[B, C, Hv, Wv] with one map per image (" +
                    std::to_string(image.size(0)) + " here).");
  }
  if (options.residual.value_or(false) ||
      options.feed_forward.value_or(false)) {
    throw Error(ErrorCode::kInvalidArg,
                "Dense mode 'proxyclip' has no residual and no feed-forward: "
                "its tokens lie on the grid of the external features.");
  }
}

}  // namespace

at::Tensor finish_dense(const VisionTower& tower,
                        const at::Tensor& x,
                        Grid grid,
                        DenseMode mode,
                        Heads* heads) {
  DenseOptions options;
  options.mode = mode;
  const EarlierBlocks none(recipe_of(mode), {}, tower.depth());
  const auto y = last_block(tower, x, grid, options, none, heads);
  return tower.finish(y.slice(1, 1))
      .transpose(1, 2)
      .unflatten(2, {grid.h, grid.w});
}

at::Tensor dense_tokens(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        int64_t count,
                        const Call& call,
                        Tap* tap) {
  const auto grid = tower.grid(image.size(2), image.size(3));
  check_options(tower, image, grid, options);
  const auto& recipe = recipe_of(options.mode);
  const int64_t last = tower.depth() - 1;
  EarlierBlocks earlier(recipe, options, tower.depth());
  auto x = tower.embed(image, options.positions.value_or(recipe.positions));
  x = walk(tower, x, 0, std::min(count, last), grid, call, {&earlier, tap});
  if (count <= last) return x;
  call.check();
  x = last_block(tower, x, grid, options, earlier);
  return tap == nullptr ? x : tap->after(last, x);
}

at::Tensor encode_dense(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        const Call& call,
                        Tap* tap) {
  auto x = dense_tokens(tower, image, options, tower.depth(), call, tap);
  auto grid = tower.grid(image.size(2), image.size(3));
  const auto& recipe = recipe_of(options.mode);
  if (recipe.needs_proxy()) {
    grid = {options.proxy_features.size(2), options.proxy_features.size(3)};
  }
  if (recipe.keeps_class_token) x = x.slice(1, 1);
  return tower.finish(x).transpose(1, 2).unflatten(2, {grid.h, grid.w});
}

}  // namespace declip
