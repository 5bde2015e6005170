#include "model/dense_mode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dense_attention.h"
#include "model/corrclip.h"
#include "model/mode_attention.h"
#include "model/recipe.h"
#include "model/recursive_attention.h"
#include "model/scclip.h"

namespace declip {
namespace {

at::Tensor neighbour_attention(const VisionTower& tower,
                               const Heads& heads,
                               Grid grid,
                               const DenseOptions& options,
                               double scale) {
  AttentionOptions attention;
  attention.prior = NeighbourPrior{grid.h, grid.w, options.gaussian_std, {}};
  if (!options.neighbours_only) {
    return combine(tower.numerics(),
                   {{{{heads.k, heads.k}}, scale, 1.0}},
                   heads.v,
                   attention);
  }
  // The ablation scales the prior by the mean of |q_i||k_j| over heads and
  // tokens, class token included.
  const auto norms = [](const at::Tensor& x) {
    return x.to(at::kFloat).norm(2, {-1}).mean(1);  // (B, n)
  };
  attention.prior->factor =
      ((norms(heads.q) * norms(heads.k)).mean(-1) * scale).contiguous();
  return combine(tower.numerics(), {{{}, 1.0, 1.0}}, heads.v, attention);
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
      merged =
          proxy_attention(tower.numerics(), heads.v.slice(1, 1), grid, options);
      break;
    case Attention::kTwice:
      merged = attend_twice(tower, i, heads, grid);
      break;
    default:
      merged =
          combine(tower.numerics(), earlier.terms(heads, scale), heads.v, {});
  }
  const bool residual = options.residual.value_or(recipe.residual);
  at::Tensor kept;
  if (residual) {
    kept =
        recipe.class_residual ? x.slice(1, 0, 1).expand_as(x).contiguous() : x;
  }
  const auto y = tower.output(i, merged, kept);
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
  if (recipe.needs_proxy()) check_proxy_features(options, image.size(0));
  if (!recipe.keeps_class_token && (options.residual.value_or(false) ||
                                    options.feed_forward.value_or(false))) {
    throw Error(
        ErrorCode::kInvalidArg,
        std::string("Dense mode '") + recipe.name +
            "' has no residual and no feed-forward: its tokens " +
            (recipe.needs_proxy() ? "lie on the grid of the external features."
                                  : "are averages over patches."));
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
  std::optional<ScClipTap> similar;
  if (recipe.attention == Attention::kSimilar) {
    similar.emplace(options.scclip, tower.depth());
  }
  auto x = tower.embed(image, options.positions.value_or(recipe.positions));
  x = walk(tower,
           x,
           0,
           std::min(count, last),
           grid,
           call,
           {&earlier, similar ? &*similar : nullptr, tap});
  if (count <= last) return x;
  call.check();
  x = similar ? scclip_tokens(tower, x, grid, options.scclip, *similar, call)
              : last_block(tower, x, grid, options, earlier);
  return tap == nullptr ? x : tap->after(last, x);
}

at::Tensor encode_dense(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        const Call& call,
                        Tap* tap) {
  if (recipe_of(options.mode).attention == Attention::kRegions) {
    check_options(
        tower, image, tower.grid(image.size(2), image.size(3)), options);
    return corrclip_features(tower, image, options, call, tap);
  }
  auto x = dense_tokens(tower, image, options, tower.depth(), call, tap);
  const auto grid =
      dense_grid(tower.grid(image.size(2), image.size(3)), options);
  if (recipe_of(options.mode).keeps_class_token) x = x.slice(1, 1);
  return tower.finish(x).transpose(1, 2).unflatten(2, {grid.h, grid.w});
}

}  // namespace declip
