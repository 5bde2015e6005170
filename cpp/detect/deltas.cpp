#include <ATen/ATen.h>

#include <cmath>

#include "declip/error.h"
#include "detect/boxes.h"

namespace declip {
namespace {

at::Tensor numbers_of(const std::array<double, 4>& deviations,
                      const at::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(deviations), at::kFloat)
      .to(like.device());
}

void check_pairs(const at::Tensor& boxes, const at::Tensor& others) {
  if (boxes.dim() == 2 && boxes.size(1) == 4 && others.dim() == 2 &&
      boxes.sizes() == others.sizes()) {
    return;
  }
  throw Error(ErrorCode::kInternal,
              "Boxes and what belongs to them must both be [N, 4].");
}

}  // namespace

// Operations in the order of mmdetection's delta2bbox(), for its float32.
at::Tensor decode_boxes(const at::Tensor& boxes,
                        const at::Tensor& deltas,
                        const std::array<double, 4>& deviations,
                        Size picture) {
  check_pairs(boxes, deltas);
  const double most = std::abs(std::log(16.0 / 1000.0));
  const auto moves = deltas.to(at::kFloat) * numbers_of(deviations, deltas);
  const auto low = boxes.slice(1, 0, 2), high = boxes.slice(1, 2, 4);
  const auto sides = high - low;
  const auto centres = (low + high) * 0.5 + sides * moves.slice(1, 0, 2);
  const auto halves =
      sides * moves.slice(1, 2, 4).clamp(-most, most).exp() * 0.5;
  const auto out = at::cat({centres - halves, centres + halves}, 1);
  out.slice(1, 0, 4, 2).clamp_(0, static_cast<double>(picture.width));
  out.slice(1, 1, 4, 2).clamp_(0, static_cast<double>(picture.height));
  return out;
}

at::Tensor encode_boxes(const at::Tensor& boxes,
                        const at::Tensor& targets,
                        const std::array<double, 4>& deviations) {
  check_pairs(boxes, targets);
  const auto low = boxes.slice(1, 0, 2), high = boxes.slice(1, 2, 4);
  const auto to_low = targets.slice(1, 0, 2), to_high = targets.slice(1, 2, 4);
  const auto sides = high - low;
  const auto moves = ((to_low + to_high) * 0.5 - (low + high) * 0.5) / sides;
  const auto scales = ((to_high - to_low) / sides).log();
  return at::cat({moves, scales}, 1) / numbers_of(deviations, boxes);
}

}  // namespace declip
