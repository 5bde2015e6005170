#include "kernels/score_order.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace declip {

at::Tensor order_by_score(const at::Tensor& scores, int64_t most) {
  if (!scores.is_cpu()) {
    constexpr double kLarge = std::numeric_limits<double>::infinity();
    return std::get<1>(scores.nan_to_num(-kLarge, kLarge, -kLarge)
                           .sort(/*stable=*/true,
                                 /*dim=*/0,
                                 /*descending=*/true))
        .slice(0, 0, most);
  }
  const auto flat = scores.contiguous();
  const float* score = flat.const_data_ptr<float>();
  auto places = at::empty({flat.numel()}, at::kLong);
  int64_t* begin = places.mutable_data_ptr<int64_t>();
  int64_t* end = begin + flat.numel();
  int64_t* last = begin + most;
  std::iota(begin, end, 0);
  const auto earlier = [score](int64_t a, int64_t b) {
    if (score[a] > score[b]) return true;
    if (score[a] < score[b]) return false;
    const bool a_nan = std::isnan(score[a]), b_nan = std::isnan(score[b]);
    return a_nan != b_nan ? b_nan : a < b;
  };
  if (last < end) std::nth_element(begin, last, end, earlier);
  std::sort(begin, last, earlier);
  return places.slice(0, 0, most);
}

}  // namespace declip
