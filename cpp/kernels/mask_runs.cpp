#include "kernels/mask_runs.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"
#include "kernels/bilinear_math.h"

namespace declip {
namespace {

constexpr int64_t kTaps = 3;

Size checked_low(Size low, int64_t side, Size input) {
  const auto holds = [&](int64_t samples, int64_t cut) {
    return samples >= kTaps && samples <= side && cut >= 1 && cut <= side;
  };
  if (holds(low.height, input.height) && holds(low.width, input.width)) {
    return low;
  }
  throw Error(ErrorCode::kInternal,
              "Logits of a mask must be at least 3 x 3 and no larger than the "
              "network's square, which holds the picture.");
}

}  // namespace

MaskRuns::Axis::Axis(int64_t low, int64_t side, int64_t cut, int64_t out)
    : base(out), weights(kTaps * out) {
  for (int64_t i = 0; i < out; ++i) {
    const BilinearTap outer = bilinear_tap(i, cut, out);
    const BilinearTap inner[2] = {bilinear_tap(outer.first, low, side),
                                  bilinear_tap(outer.second, low, side)};
    const int64_t first = std::min(inner[0].first, low - kTaps);
    const auto add = [&](int64_t sample, float weight) {
      weights[(sample - first) * out + i] += weight;
    };
    for (int k = 0; k < 2; ++k) {
      const float share = k == 0 ? 1.0f - outer.weight : outer.weight;
      if (share == 0.0f) continue;
      add(inner[k].first, share * (1.0f - inner[k].weight));
      if (inner[k].weight != 0.0f) {
        add(inner[k].second, share * inner[k].weight);
      }
    }
    base[i] = static_cast<int32_t>(first);
    if (groups.empty() || groups.back().base != base[i]) {
      groups.push_back({base[i], static_cast<int32_t>(i), 0});
    }
    groups.back().end = static_cast<int32_t>(i + 1);
  }
}

MaskAxisArgs MaskRuns::Axis::args() const {
  return {groups.data(),
          static_cast<int64_t>(groups.size()),
          base.data(),
          weights.data(),
          static_cast<int64_t>(base.size())};
}

MaskRuns::MaskRuns(Size low, int64_t side, Size input, Size crop)
    : low_(checked_low(low, side, input)),
      crop_(crop),
      rows_(low.height, side, input.height, crop.height),
      columns_(low.width, side, input.width, crop.width) {}

std::vector<MeasuredMask> MaskRuns::measure(const at::Tensor& logits,
                                            const std::vector<int64_t>& chosen,
                                            double offset,
                                            Size picture,
                                            int64_t top,
                                            int64_t left) const {
  const auto maps = logits.to(at::kCPU, at::kFloat).contiguous();
  if (maps.dim() != 3 || maps.size(1) != low_.height ||
      maps.size(2) != low_.width || top < 0 || left < 0 ||
      top + crop_.height > picture.height ||
      left + crop_.width > picture.width) {
    throw Error(ErrorCode::kInternal, "Logits and crop must fit the picture.");
  }
  std::vector<MeasuredMask> out(chosen.size());
  MaskRunsArgs args;
  args.low = maps.const_data_ptr<float>();
  args.chosen = chosen.data();
  args.count = static_cast<int64_t>(chosen.size());
  args.height = low_.height;
  args.width = low_.width;
  args.rows = rows_.args();
  args.columns = columns_.args();
  args.offset = static_cast<float>(offset);
  args.picture_height = picture.height;
  args.picture_width = picture.width;
  args.top = top;
  args.left = left;
  args.out = out.data();
  cpu::mask_runs(args);
  return out;
}

}  // namespace declip
