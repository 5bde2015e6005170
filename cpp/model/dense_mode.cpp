#include "model/dense_mode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <list>

#include "kernels/dense_attention.h"
#include "model/recorded.h"

namespace declip {
namespace {

/// What a mode attends with in the last block.
enum class Attention {
  kQueryKey,   // softmax(q k^T), the block's own
  kValues,     // identity: every token keeps its value
  kSelf,       // one softmax per self-similarity, added
  kSelfMean,   // the mean of the self-similarities, one softmax
  kNeighbour,  // k k^T plus a Gaussian of the patch distance
  kProxy,      // similarities of another model's features
};

/// One row per mode. q, k, v say which self-similarities take part.
/// residual/feed_forward: whether the last block keeps x + ... and its MLP.
struct Recipe {
  DenseMode mode;
  const char* name;
  Attention attention;
  bool q, k, v;
  bool residual;
  bool feed_forward;
  Positions positions;
};

constexpr auto kScale = Positions::kScaleFactor;
constexpr auto kSize = Positions::kSize;

// vanilla      the unmodified block
// maskclip     values only, block kept (MaskCLIP, arXiv:2112.01071; the form of
//              CLIPSelf, arXiv:2310.01403, and of DeCLIP's code)
// qq..all      DeCLIP's content features, arXiv:2505.04410, section 3
// itaclip      csa averaged with earlier blocks' maps, MLP dropped,
//              arXiv:2411.12044, section 3.2
// sclip        correlative self-attention, block kept, arXiv:2312.01597
// clearclip    q-q attention alone, arXiv:2407.12442
// naclip       k-k attention with a neighbourhood prior, arXiv:2404.08181
// proxyclip    attention from a foundation model, arXiv:2408.04883
constexpr std::array<Recipe, 12> kRecipes{{
    {DenseMode::kVanilla,
     "vanilla",
     Attention::kQueryKey,
     0,
     0,
     0,
     1,
     1,
     kSize},
    {DenseMode::kMaskClip,
     "maskclip",
     Attention::kValues,
     0,
     0,
     0,
     1,
     1,
     kSize},
    {DenseMode::kQq, "qq", Attention::kSelf, 1, 0, 0, 0, 0, kSize},
    {DenseMode::kKk, "kk", Attention::kSelf, 0, 1, 0, 0, 0, kSize},
    {DenseMode::kVv, "vv", Attention::kSelf, 0, 0, 1, 0, 0, kSize},
    {DenseMode::kCsa, "csa", Attention::kSelf, 1, 1, 0, 0, 0, kSize},
    {DenseMode::kAll, "all", Attention::kSelfMean, 1, 1, 1, 0, 0, kSize},
    {DenseMode::kItaClip, "itaclip", Attention::kSelf, 1, 1, 0, 1, 0, kScale},
    {DenseMode::kSclip, "sclip", Attention::kSelf, 1, 1, 0, 1, 1, kScale},
    {DenseMode::kClearClip,
     "clearclip",
     Attention::kSelf,
     1,
     0,
     0,
     0,
     0,
     kScale},
    {DenseMode::kNaClip,
     "naclip",
     Attention::kNeighbour,
     0,
     1,
     0,
     0,
     0,
     kScale},
    {DenseMode::kProxyClip,
     "proxyclip",
     Attention::kProxy,
     0,
     0,
     0,
     0,
     0,
     kScale},
}};

const Recipe& recipe_of(DenseMode mode) {
  return *std::find_if(kRecipes.begin(), kRecipes.end(), [&](const Recipe& r) {
    return r.mode == mode;
  });
}

/// DeCLIP's modes on its EVA tower leave out 1/sqrt(d): their softmax is eight
/// times sharper for d = 64. Everything else is scaled, on both towers.
bool is_scaled(DenseMode mode, Family family) {
  switch (mode) {
    case DenseMode::kQq:
    case DenseMode::kKk:
    case DenseMode::kVv:
    case DenseMode::kCsa:
    case DenseMode::kAll:
      return family == Family::kPlain;
    default:
      return true;
  }
}

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

/// Blocks 7, 8, 10 as published for 12 blocks (its code takes the same ones of
/// deeper towers); shallower towers use the same relative depths.
std::vector<int64_t> published_layers(int64_t depth) {
  if (depth >= 12) return {7, 8, 10};
  std::vector<int64_t> layers;
  for (const int64_t layer : {7, 8, 10}) {
    const int64_t scaled = (layer * depth + 6) / 12;
    if (scaled >= 1 && scaled < depth &&
        (layers.empty() || layers.back() != scaled)) {
      layers.push_back(scaled);
    }
  }
  return layers;
}

/// The heads of the blocks whose maps ITACLIP averages, kept on the way up:
/// their maps are made together with the last block's.
class SavedHeads {
 public:
  SavedHeads(const VisionTower& tower, const DenseOptions& options)
      : self_attention_(options.self_attention) {
    if (options.mode != DenseMode::kItaClip) return;
    const int64_t last = tower.config().layers;
    layers_ = options.layers.empty() ? published_layers(last) : options.layers;
    for (const int64_t layer : layers_) {
      if (layer < 1 || layer >= last) {
        throw Error(ErrorCode::kInvalidArg,
                    "layers must be blocks 1.." + std::to_string(last - 1) +
                        " (the last block takes part anyway), received " +
                        std::to_string(layer) +
                        ". Pass `layers` that fit this model.");
      }
    }
  }

  /// Where block i puts its heads, or null if they are not needed.
  Heads* slot(int64_t i) {
    const bool wanted =
        std::find(layers_.begin(), layers_.end(), i + 1) != layers_.end();
    return wanted ? &heads_.emplace_back() : nullptr;
  }

  /// Half the last block's map, half the mean of the saved ones.
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
    return self_attention_
               ? self_terms(
                     heads, recipe_of(DenseMode::kItaClip), scale, weight)
               : std::vector<AttentionTerm>{
                     {{{heads.q, heads.k}}, scale, weight}};
  }

  bool self_attention_;
  std::vector<int64_t> layers_;  // counted from 1
  std::list<Heads> heads_;
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
                      const SavedHeads& saved,
                      Heads* projected = nullptr) {
  const auto& recipe = recipe_of(options.mode);
  const int64_t i = tower.config().layers - 1;
  const double scale =
      is_scaled(options.mode, tower.family())
          ? 1.0 / std::sqrt(static_cast<double>(tower.config().width /
                                                tower.config().heads))
          : 1.0;

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
      merged = combine(tower,
                       options.mode == DenseMode::kItaClip
                           ? saved.terms(heads, scale)
                           : self_terms(heads, recipe, scale, 1.0),
                       heads.v,
                       {});
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
  if (options.mode == DenseMode::kNaClip && !(options.gaussian_std > 0)) {
    throw Error(ErrorCode::kInvalidArg, "gaussianStd must be above 0.");
  }
  if (options.mode != DenseMode::kProxyClip) return;
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

DenseMode dense_mode_from(const std::string& name) {
  std::string known;
  for (const auto& recipe : kRecipes) {
    if (name == recipe.name) return recipe.mode;
    known += known.empty() ? recipe.name : std::string(", ") + recipe.name;
  }
  throw Error(ErrorCode::kInvalidArg,
              "mode must be one of " + known + "; received '" + name + "'.");
}

const char* dense_mode_name(DenseMode mode) { return recipe_of(mode).name; }

Positions default_positions(DenseMode mode) {
  return recipe_of(mode).positions;
}

at::Tensor finish_dense(const VisionTower& tower,
                        const at::Tensor& x,
                        Grid grid,
                        DenseMode mode,
                        Heads* heads) {
  DenseOptions options;
  options.mode = mode;
  const auto y =
      last_block(tower, x, grid, options, SavedHeads(tower, {}), heads);
  return tower.finish(y.slice(1, 1))
      .transpose(1, 2)
      .unflatten(2, {grid.h, grid.w});
}

at::Tensor encode_dense(const VisionTower& tower,
                        const at::Tensor& image,
                        const DenseOptions& options,
                        const Call& call) {
  const auto grid = tower.grid(image.size(2), image.size(3));
  check_options(tower, image, grid, options);
  const auto positions =
      options.scale_factor_positions
          ? (*options.scale_factor_positions ? Positions::kScaleFactor
                                             : Positions::kSize)
          : default_positions(options.mode);
  SavedHeads saved(tower, options);
  auto x = tower.embed(image, positions);
  for (int64_t i = 0; i + 1 < tower.config().layers; ++i) {
    call.check();
    x = tower.block(i, x, grid, saved.slot(i));
  }
  call.check();
  auto y = last_block(tower, x, grid, options, saved);
  Grid out = grid;
  if (options.mode == DenseMode::kProxyClip) {
    out = {options.proxy_features.size(2), options.proxy_features.size(3)};
  } else {
    y = y.slice(1, 1);
  }
  return tower.finish(y).transpose(1, 2).unflatten(2, {out.h, out.w});
}

}  // namespace declip
