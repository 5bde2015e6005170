#include "model/dense_mode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

at::Tensor similarity(const at::Tensor& a, const at::Tensor& b, double scale) {
  return at::matmul(a * scale, b.transpose(-1, -2));  // (B, n, L, L)
}

/// Attention weights [B, n, L, L] of the self modes. With two summed softmaxes
/// the rows add up to 2, as published.
at::Tensor self_weights(const Heads& heads,
                        const Recipe& recipe,
                        double scale) {
  at::Tensor sum;
  int count = 0;
  const auto add = [&](bool used, const at::Tensor& x) {
    if (!used) return;
    auto term = similarity(x, x, scale);
    if (recipe.attention == Attention::kSelf) term = term.softmax(-1);
    sum = sum.defined() ? sum.add_(term) : term;
    ++count;
  };
  add(recipe.q, heads.q);
  add(recipe.k, heads.k);
  add(recipe.v, heads.v);
  return recipe.attention == Attention::kSelf ? sum
                                              : sum.div_(count).softmax(-1);
}

at::Tensor neighbour_weights(const Heads& heads,
                             Grid grid,
                             const DenseOptions& options,
                             double scale) {
  const auto prior =
      gaussian_prior(grid, options.gaussian_std).to(heads.k.options());
  if (!options.neighbours_only) {
    return similarity(heads.k, heads.k, scale).add_(prior).softmax(-1);
  }
  // The ablation scales the prior by the mean of |q_i||k_j| over heads and
  // tokens, class token included.
  const auto norms = [](const at::Tensor& x) {
    return x.norm(2, {-1}).mean(-1);  // (B, n)
  };
  const auto c = (norms(heads.q) * norms(heads.k)).mean(-1) * scale;  // (B)
  return (prior * c.view({-1, 1, 1, 1}))
      .softmax(-1)
      .expand({-1, heads.k.size(1), -1, -1});
}

/// ProxyCLIP: attention over the M = Hv*Wv cells of the external features, the
/// same for every head, on values resampled to that grid. [B, M, C]
at::Tensor proxy_attention(const at::Tensor& v,
                           Grid grid,
                           const DenseOptions& options) {
  const auto& features = options.proxy_features;
  const int64_t batch = v.size(0), heads = v.size(1), width = v.size(3);
  const int64_t rows = features.size(2), columns = features.size(3);
  const auto f = features.to(v.device(), at::kFloat).flatten(2);  // (B, Cv, M)
  const auto unit = f / f.norm(2, {1}, true).clamp_min(1e-12);
  auto scores = at::matmul(unit.transpose(1, 2), unit);  // (B, M, M)
  // the mean runs over the whole tensor, batch included, as published
  scores = (scores - options.proxy_beta * scores.mean()) * options.proxy_gamma;
  scores.masked_fill_(scores < 0, -std::numeric_limits<double>::infinity());
  const auto weights = scores.softmax(-1).to(v.scalar_type()).unsqueeze(1);

  auto values = v.slice(2, 1).transpose(2, 3).reshape(
      {batch * heads, width, grid.h, grid.w});
  values = at::upsample_bilinear2d(values, {rows, columns}, false)
               .reshape({batch, heads, width, rows * columns})
               .transpose(2, 3);  // (B, n, M, d)
  return merge_heads(at::matmul(weights, values));
}

/// Blocks 7, 8, 10 as published for 12 blocks (its code takes the same ones of
/// deeper towers); shallower towers use the same relative depths.
std::vector<int64_t> published_layers(int64_t depth) {
  if (depth > 10) return {7, 8, 10};
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

/// Sum of the selected blocks' maps for ITACLIP, gathered on the way up.
class SavedMaps {
 public:
  SavedMaps(const VisionTower& tower, const DenseOptions& options)
      : tower_(tower), options_(options) {
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

  /// Attention weights of block i on x, scaled, as ITACLIP defines them.
  at::Tensor weights(const Heads& heads) const {
    const double scale = 1.0 / std::sqrt(static_cast<double>(heads.q.size(3)));
    return options_.self_attention
               ? self_weights(heads, recipe_of(DenseMode::kItaClip), scale)
               : similarity(heads.q, heads.k, scale).softmax(-1);
  }

  void visit(int64_t i, const at::Tensor& x) {
    if (options_.mode != DenseMode::kItaClip) return;
    if (std::find(layers_.begin(), layers_.end(), i + 1) == layers_.end())
      return;
    const auto map = weights(tower_.project(i, tower_.norm1(i, x)));
    sum_ = sum_.defined() ? sum_.add_(map) : map;
    ++visited_;
  }

  /// Half the last block's map, half the mean of the saved ones.
  at::Tensor blend(const at::Tensor& last) const {
    if (!sum_.defined()) return last;
    return 0.5 * last + (0.5 / static_cast<double>(visited_)) * sum_;
  }

 private:
  const VisionTower& tower_;
  const DenseOptions& options_;
  std::vector<int64_t> layers_;  // counted from 1
  at::Tensor sum_;               // [B, n, L, L]
  int64_t visited_ = 0;
};

/// The last block under a mode: [B, L, C], or [B, M, C] without a class token
/// for ProxyCLIP.
at::Tensor last_block(const VisionTower& tower,
                      const at::Tensor& x,
                      Grid grid,
                      const DenseOptions& options,
                      const SavedMaps& saved) {
  const auto& recipe = recipe_of(options.mode);
  const int64_t i = tower.config().layers - 1;
  const auto normed = tower.norm1(i, x);
  const double scale =
      is_scaled(options.mode, tower.family())
          ? 1.0 / std::sqrt(static_cast<double>(tower.config().width /
                                                tower.config().heads))
          : 1.0;

  at::Tensor merged;  // attended values before the output projection
  if (recipe.attention == Attention::kValues) {
    merged = tower.project_values(i, normed);
  } else {
    // Rotary positions are EVA's; only the unmodified attention applies them.
    auto heads = tower.project(i, normed);
    switch (recipe.attention) {
      case Attention::kQueryKey:
        tower.rotate(heads, grid);
        merged = merge_heads(
            at::scaled_dot_product_attention(heads.q, heads.k, heads.v));
        break;
      case Attention::kNeighbour:
        merged = merge_heads(at::matmul(
            neighbour_weights(heads, grid, options, scale), heads.v));
        break;
      case Attention::kProxy:
        merged = proxy_attention(heads.v, grid, options);
        break;
      default:
        merged =
            merge_heads(at::matmul(options.mode == DenseMode::kItaClip
                                       ? saved.blend(saved.weights(heads))
                                       : self_weights(heads, recipe, scale),
                                   heads.v));
    }
  }
  auto y = tower.output(i, merged);
  if (options.residual.value_or(recipe.residual)) y = x + y;
  if (options.feed_forward.value_or(recipe.feed_forward)) {
    // Without the residual path the MLP branch alone would be left; its own
    // skip connection belongs to the MLP and stays.
    y = y + tower.feed_forward(i, y);
  }
  return y;
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

at::Tensor gaussian_prior(Grid grid, double std) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const auto squared = [&](int64_t side) {
    const auto t = at::arange(side, options);
    return (t.unsqueeze(1) - t.unsqueeze(0)).square();  // (side, side)
  };
  const auto rows = squared(grid.h).view({grid.h, 1, grid.h, 1});
  const auto columns = squared(grid.w).view({1, grid.w, 1, grid.w});
  const int64_t n = grid.h * grid.w;
  const auto patches =
      at::exp((rows + columns) / (-2.0 * std * std)).reshape({n, n});
  return at::constant_pad_nd(patches, {1, 0, 1, 0}, 0.0);
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
  SavedMaps saved(tower, options);
  auto x = tower.embed(image, positions);
  for (int64_t i = 0; i + 1 < tower.config().layers; ++i) {
    call.check();
    saved.visit(i, x);
    x = tower.block(i, x, grid);
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
