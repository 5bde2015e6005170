#include "train/losses.h"

#include <ATen/ATen.h>

#include <set>

#include "declip/error.h"
#include "declip/model.h"

namespace declip {
namespace {

/// One of q, k, v without its class token: [B, n, T, d], or [B, 1, T, C].
at::Tensor context_tokens(const at::Tensor& x,
                          bool per_head,
                          Grid grid,
                          Grid target) {
  auto tokens = in_float(x.slice(1, 1));
  if (grid.h != target.h || grid.w != target.w) {
    const auto map = tokens.flatten(2).transpose(1, 2).unflatten(
        2, {grid.h, grid.w});  // (B, C, h, w)
    tokens = at::upsample_bilinear2d(
                 map, {target.h, target.w}, /*align_corners=*/false)
                 .flatten(2)
                 .transpose(1, 2)
                 .unflatten(2, {x.size(2), x.size(3)});
  }
  return per_head ? tokens.transpose(1, 2) : tokens.flatten(2).unsqueeze(1);
}

}  // namespace

at::Tensor in_float(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

at::Tensor cosine_loss(const at::Tensor& student, const at::Tensor& teacher) {
  return 1 - (student * teacher).sum(-1).mean();
}

at::Tensor token_similarity(const at::Tensor& x) {
  const auto unit = l2_normalize(x, -1);
  return at::matmul(unit, unit.transpose(-1, -2));
}

at::Tensor context_similarity(
    const Heads& heads, DenseMode mode, bool per_head, Grid grid, Grid target) {
  std::vector<at::Tensor> parts;
  switch (mode) {
    case DenseMode::kQq:
      parts = {heads.q};
      break;
    case DenseMode::kKk:
      parts = {heads.k};
      break;
    case DenseMode::kVv:
      parts = {heads.v};
      break;
    case DenseMode::kCsa:
      parts = {heads.q, heads.k};
      break;
    case DenseMode::kAll:
      parts = {heads.q, heads.k, heads.v};
      break;
    default:
      throw Error(ErrorCode::kInvalidArg,
                  "mode must be 'qq', 'kk', 'vv', 'csa' or 'all' to distill, "
                  "received '" +
                      std::string(dense_mode_name(mode)) + "'.");
  }
  at::Tensor sum;
  for (const auto& part : parts) {
    const auto one =
        token_similarity(context_tokens(part, per_head, grid, target));
    sum = sum.defined() ? sum + one : one;
  }
  return parts.size() == 1 ? sum : sum / static_cast<double>(parts.size());
}

at::Tensor context_loss(const at::Tensor& student, const at::Tensor& teacher) {
  return (teacher.unsqueeze(1) - student).norm(2, {-1}).mean();
}

std::vector<int64_t> draw_classes(const at::Tensor& labels,
                                  int64_t total,
                                  int64_t least,
                                  SplitMix& random) {
  const auto given = labels.to(at::kCPU, at::kLong).contiguous();
  const int64_t* label = given.const_data_ptr<int64_t>();
  const std::set<int64_t> present(label, label + given.numel());
  std::vector<int64_t> classes(present.begin(), present.end());
  const int64_t missing = least - static_cast<int64_t>(classes.size());
  if (missing <= 0) return classes;
  std::vector<int64_t> others;
  for (int64_t c = 0; c < total; ++c) {
    if (!present.contains(c)) others.push_back(c);
  }
  const auto drawn = random.sample(std::move(others), missing);
  classes.insert(classes.end(), drawn.begin(), drawn.end());
  return classes;
}

at::Tensor region_text_loss(const at::Tensor& regions,
                            const at::Tensor& labels,
                            const at::Tensor& features,
                            const std::vector<int64_t>& classes,
                            const at::Tensor& logit_scale,
                            RegionLoss form) {
  const auto columns = at::tensor(classes, at::kLong).to(features.device());
  const auto chosen =
      features.index_select(0, columns).to(regions.scalar_type());
  const auto logits = logit_scale.exp() * at::matmul(regions, chosen.t());
  const auto own = labels.to(columns.device()).unsqueeze(1).eq(columns);
  if (form == RegionLoss::kSoftmax) {
    return at::cross_entropy_loss(logits, own.to(at::kInt).argmax(1));
  }
  const auto target = own.to(logits.scalar_type());
  return at::binary_cross_entropy_with_logits(
             logits, target, {}, {}, at::Reduction::None)
      .sum(-1)
      .mean();
}

at::Tensor contrastive_loss(const at::Tensor& images,
                            const at::Tensor& texts,
                            const at::Tensor& logit_scale) {
  const auto logits = logit_scale.exp() * at::matmul(images, texts.t());
  const auto own =
      at::arange(logits.size(0), logits.options().dtype(at::kLong));
  return 0.5 * (at::cross_entropy_loss(logits, own) +
                at::cross_entropy_loss(logits.t(), own));
}

}  // namespace declip
