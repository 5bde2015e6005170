#include "detect/pyramid.h"

#include <ATen/ATen.h>

#include <string>

namespace declip {
namespace {

constexpr size_t kPyramidLevels = 4;

Folded normed(const Scope& scope) {
  return fold_batch_norm((scope / "conv")["weight"], {}, scope / "bn");
}

/// fine += coarse, enlarged to its size: place i of n takes floor(i m / n).
void add_enlarged(const at::Tensor& fine, const at::Tensor& coarse) {
  const int64_t h = coarse.size(2), w = coarse.size(3);
  if (fine.size(2) == 2 * h && fine.size(3) == 2 * w) {
    // each place to its 2 x 2, without a map of the fine size
    fine.unflatten(3, {w, 2}).unflatten(2, {h, 2}).add_(
        coarse.unsqueeze(3).unsqueeze(5));
    return;
  }
  fine.add_(at::upsample_nearest2d(coarse, fine.sizes().slice(2)));
}

}  // namespace

std::vector<Folded> lateral_convolutions(const Scope& neck) {
  std::vector<Folded> out;
  for (size_t i = 0; i < kPyramidLevels; ++i) {
    out.push_back(normed(neck / "lateral_convs" / std::to_string(i)));
  }
  return out;
}

Pyramid::Pyramid(const Scope& neck, const Numerics& numerics) {
  for (size_t i = 0; i < kPyramidLevels; ++i) {
    const Folded conv = normed(neck / "fpn_convs" / std::to_string(i));
    convs_.emplace_back(conv.weight, conv.bias, false, numerics);
  }
}

std::vector<at::Tensor> Pyramid::operator()(
    std::vector<at::Tensor>&& levels) const {
  for (size_t i = kPyramidLevels - 1; i > 0; --i) {
    add_enlarged(levels[i - 1], levels[i]);
  }
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < kPyramidLevels; ++i) {
    out.push_back(convs_[i](levels[i]));
    levels[i].reset();
  }
  out.push_back(out.back()
                    .slice(2, 0, {}, 2)
                    .slice(3, 0, {}, 2)
                    .contiguous(at::MemoryFormat::ChannelsLast));
  return out;
}

}  // namespace declip
