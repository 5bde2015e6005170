#include "kernels/sigmoid_blend.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"

namespace declip {

SigmoidBlend::Taps::Taps(int64_t in, int64_t out)
    : in(in),
      out(out),
      first(at::empty({out}, at::kInt)),
      second(at::empty({out}, at::kInt)),
      weight(at::empty({out}, at::kFloat)) {
  cpu::resize_taps(args());
}

ResizeAxisArgs SigmoidBlend::Taps::args() const {
  return {in,
          out,
          first.mutable_data_ptr<int32_t>(),
          second.mutable_data_ptr<int32_t>(),
          weight.mutable_data_ptr<float>()};
}

SigmoidBlend::SigmoidBlend(const WindowPlan& canvas, int64_t grid)
    : extent_(canvas.width),
      cut_(canvas.window_width),
      starts_(at::empty({static_cast<int64_t>(canvas.lefts.size())}, at::kInt)),
      window_(grid, canvas.window_width),
      canvas_(canvas.window_width, canvas.width) {
  if (canvas.height != canvas.width || canvas.tops != canvas.lefts) {
    throw Error(ErrorCode::kInternal, "a canvas must be a square.");
  }
  std::copy(canvas.lefts.begin(),
            canvas.lefts.end(),
            starts_.mutable_data_ptr<int32_t>());
}

void SigmoidBlend::rows(const std::vector<at::Tensor>& maps,
                        RowRange rows,
                        const at::Tensor& out) const {
  const int64_t along = starts_.numel();
  if (static_cast<int64_t>(maps.size()) != along * along + 1 ||
      !out.is_contiguous() || out.size(0) != rows.size() ||
      out.size(1) != extent_) {
    throw Error(ErrorCode::kInternal, "maps or rows of another canvas.");
  }
  if (!out.is_cpu()) {
    by_operators(maps, rows, out);
    return;
  }
  std::vector<const float*> data(maps.size(), nullptr);
  for (size_t i = 0; i < maps.size(); ++i) {
    if (!maps[i].defined()) continue;
    if (!maps[i].is_contiguous() || maps[i].size(0) != window_.in ||
        maps[i].size(1) != window_.in) {
      throw Error(ErrorCode::kInternal, "a map of another grid.");
    }
    data[i] = maps[i].const_data_ptr<float>();
  }
  SigmoidBlendArgs args;
  args.maps = data.data();
  args.whole = data.back();
  args.windows = along;
  args.starts = starts_.const_data_ptr<int32_t>();
  args.window = window_.args();
  args.canvas = canvas_.args();
  args.out = out.mutable_data_ptr<float>();
  args.row_begin = rows.begin;
  args.row_end = rows.end;
  cpu::sigmoid_blend(args);
}

/// On a device LibTorch's operators serve: planes are made whole there, one
/// after the other.
void SigmoidBlend::by_operators(const std::vector<at::Tensor>& maps,
                                RowRange rows,
                                const at::Tensor& out) const {
  const auto enlarged = [](const at::Tensor& x, int64_t side) {
    return at::upsample_bilinear2d(x.unsqueeze(0).unsqueeze(0),
                                   {side, side},
                                   /*align_corners=*/false)[0][0];
  };
  const auto sum = at::zeros({extent_, extent_}, out.options());
  const auto counts = at::zeros({extent_}, at::kFloat);
  const int64_t along = starts_.numel();
  const int32_t* starts = starts_.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < along; ++i) {
    counts.narrow(0, starts[i], cut_).add_(1);
    for (int64_t j = 0; j < along; ++j) {
      const auto& map = maps[static_cast<size_t>(i * along + j)];
      if (!map.defined()) continue;
      sum.narrow(0, starts[i], cut_)
          .narrow(1, starts[j], cut_)
          .add_(enlarged(map, cut_).sigmoid_());
    }
  }
  const auto there = counts.to(out.device());
  sum.div_(there.unsqueeze(1) * there.unsqueeze(0));
  if (maps.back().defined()) {
    sum.add_(enlarged(enlarged(maps.back(), cut_).sigmoid_(), extent_));
  }
  out.copy_(sum.mul_(0.5).narrow(0, rows.begin, rows.size()));
}

}  // namespace declip
