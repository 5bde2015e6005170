#include "families/pooling_head.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "declip/error.h"
#include "model/mode_attention.h"
#include "model/recipe.h"

namespace declip {

// Products of 16 or 32 bits: it is the last layer, and its result is handed
// out.
PoolingHead::PoolingHead(const Scope& scope,
                         const PoolingHeadConfig& config,
                         double layer_norm_eps,
                         const Numerics& numerics)
    : numerics_(numerics.ends()),
      in_proj_((scope / "attn")["in_proj_weight"],
               (scope / "attn")["in_proj_bias"],
               config.heads,
               Projection::Products::kSeparate,
               numerics_),
      out_proj_(scope / "attn" / "out_proj", numerics_),
      norm_(scope / "layernorm", layer_norm_eps, numerics_),
      norm_in_stream_(
          scope / "layernorm", layer_norm_eps, numerics_.in_stream()),
      mlp_((scope / "mlp" / "c_fc")["weight"],
           (scope / "mlp" / "c_fc")["bias"],
           (scope / "mlp" / "c_proj")["weight"],
           (scope / "mlp" / "c_proj")["bias"],
           config.activation,
           numerics_) {
  Wanted query;
  query.k = query.v = false;
  query_ = project(scope["probe"].to(numerics_.dtype), query).q;
}

at::Tensor PoolingHead::output(const at::Tensor& merged) const {
  return out_proj_(merged).to(numerics_.stream());
}

at::Tensor PoolingHead::with_mlp(const at::Tensor& a) const {
  return mlp_.add_to(a, norm_(a));
}

at::Tensor PoolingHead::pooled(const at::Tensor& tokens) const {
  Wanted rest;
  rest.q = false;
  auto heads = project(tokens, rest);
  heads.q = query_.expand({tokens.size(0), -1, -1, -1});
  return with_mlp(output(attend(heads, numerics_))).select(1, 0);
}

at::Tensor PoolingHead::dense(const at::Tensor& tokens,
                              Grid grid,
                              const DenseOptions& options) const {
  const auto& recipe = recipe_of(options.mode);
  if (recipe.head == HeadTail::kUndefined) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("Dense mode '") + recipe.name +
                    "' is not one of pooling heads, which have " +
                    mode_names(head_modes()) + ".");
  }
  if (options.residual) {
    throw Error(ErrorCode::kInvalidArg,
                "residual is about the last block; this model's dense modes "
                "change its pooling head, which has none around its attention: "
                "leave it out.");
  }
  if (recipe.needs_proxy()) check_proxy_features(options, tokens.size(0));

  const auto heads = project(tokens, wanted_by(recipe, options));
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.v.size(3)));
  at::Tensor merged;
  switch (recipe.attention) {
    case Attention::kValues:
      merged = heads.v.flatten(2);
      break;
    case Attention::kQueryKey:
      merged = attend(heads, numerics_);
      break;
    case Attention::kProxy:
      merged = proxy_attention(numerics_, heads.v, grid, options);
      break;
    default:
      merged = combine(
          numerics_, self_terms(heads, recipe, scale, 1.0), heads.v, {});
  }
  const auto o = output(merged);
  const bool mlp =
      options.feed_forward.value_or(recipe.head != HeadTail::kProjection);
  if (recipe.head == HeadTail::kNormed) {
    const auto z = norm_in_stream_(o);
    return mlp ? mlp_.add_to(z, z.to(numerics_.dtype)) : z;
  }
  return mlp ? with_mlp(o) : o;
}

void check_pooling_head(ShapeChecker& check,
                        int64_t width,
                        int64_t mlp_hidden) {
  const std::string head = "visual.attn_pool.";
  check.need(head + "probe", {1, 1, width});
  check.need(head + "attn.in_proj_weight", {3 * width, width});
  check.need(head + "attn.in_proj_bias", {3 * width});
  check.need_pair(head + "attn.out_proj", {width, width});
  check.need_pair(head + "layernorm", {width});
  check.need_pair(head + "mlp.c_fc", {mlp_hidden, width});
  check.need_pair(head + "mlp.c_proj", {width, mlp_hidden});
}

}  // namespace declip
