// A row is read once, stays in the first-level cache for its mean, its variance
// and the result: the floor is one read and one write. SwiGLU's gate, one
// exponential per value, happens while the row is read.

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>

#include <vector>

#include "kernels/element_math.h"
#include "kernels/layer_norm_args.h"
#include "kernels/layer_norm_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using Vec = at::vec::Vectorized<float>;

/// Sum of f(row[i]), vector by vector, then lane by lane.
template <typename F>
float sum_of(const float* row, int64_t width, F&& f) {
  constexpr int64_t kStep = Vec::size();
  Vec sums(0.0f);
  int64_t i = 0;
  for (; i + kStep <= width; i += kStep) sums = sums + f(Vec::loadu(row + i));
  float lanes[kStep];
  sums.store(lanes);
  float total = 0.0f;
  for (const float lane : lanes) total += lane;
  for (; i < width; ++i) {
    f(Vec(row[i])).store(lanes);
    total += lanes[0];
  }
  return total;
}

template <typename T>
void load_row(const T* __restrict x, int64_t width, float* __restrict row) {
  for (int64_t i = 0; i < width; ++i) row[i] = value(x[i]);
}

template <typename T>
void load_gated(const T* __restrict x, int64_t width, float* __restrict row) {
  for (int64_t i = 0; i < width; ++i) {
    row[i] = gated(value(x[i]), value(x[width + i]));
  }
}

template <typename In, typename Out>
void run(const LayerNormArgs& norm) {
  const int64_t width = norm.width;
  const float* __restrict weight = norm.weight;
  const float* __restrict bias = norm.bias;
  at::parallel_for(0, norm.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(width);
    float* __restrict row = buffer.data();
    for (int64_t r = begin; r < end; ++r) {
      const In* x = static_cast<const In*>(norm.x) + r * norm.row;
      if (norm.gated) {
        load_gated(x, width, row);
      } else {
        load_row(x, width, row);
      }
      const auto n = static_cast<float>(width);
      const float mean = sum_of(row, width, [](Vec v) { return v; }) / n;
      const float variance = sum_of(row,
                                    width,
                                    [&](Vec v) {
                                      const Vec d = v - Vec(mean);
                                      return d * d;
                                    }) /
                             n;
      const float factor = norm_factor(variance, norm.eps);
      Out* __restrict out = static_cast<Out*>(norm.out) + r * width;
      for (int64_t i = 0; i < width; ++i) {
        put(normed(row[i], mean, factor, weight[i], bias[i]), out[i]);
      }
    }
  });
}

}  // namespace

void layer_norm(const LayerNormArgs& norm) {
  const bool half_out = norm.out_type == ElementType::kBFloat16;
  if (norm.in_type == ElementType::kBFloat16) {
    half_out ? run<BFloat16, BFloat16>(norm) : run<BFloat16, float>(norm);
  } else {
    half_out ? run<float, BFloat16>(norm) : run<float, float>(norm);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
