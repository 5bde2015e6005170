// Per token and head 4 d operations for each of the P tokens on its path, which
// is a dozen for prompts: next to nothing beside the linear layers. The rows of
// a path are in the first-level cache when its next head comes.

#include "kernels/prefix_attention.h"

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <vector>

#include "kernels/exp_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using Vec = at::vec::Vectorized<float>;
constexpr int64_t kStep = Vec::size();

float dot(const float* a, const float* b, int64_t width) {
  Vec sum(0.0f);
  int64_t i = 0;
  for (; i + kStep <= width; i += kStep) {
    sum = at::vec::fmadd(Vec::loadu(a + i), Vec::loadu(b + i), sum);
  }
  float lanes[kStep];
  sum.store(lanes);
  float total = 0.0f;
  for (const float lane : lanes) total += lane;
  for (; i < width; ++i) total += a[i] * b[i];
  return total;
}

}  // namespace

void prefix_attention(const PrefixAttentionArgs& x) {
  at::parallel_for(0, x.tokens, 32, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t u = begin; u < end; ++u) {
      const int32_t* path = x.path + x.path_begin[u];
      const int64_t length = x.path_begin[u + 1] - x.path_begin[u];
      scores.resize(length);
      for (int64_t h = 0; h < x.heads; ++h) {
        const float* q = x.q + u * x.token + h * x.head;
        for (int64_t j = 0; j < length; ++j) {
          scores[j] =
              x.scale * dot(q, x.k + path[j] * x.token + h * x.head, x.width);
        }
        const float largest = *std::max_element(scores.begin(), scores.end());
        float sum = 0.0f;
        for (float& score : scores) {
          score = exp_negative(score - largest);
          sum += score;
        }
        float* __restrict out = x.out + (u * x.heads + h) * x.width;
        std::fill_n(out, x.width, 0.0f);
        for (int64_t j = 0; j < length; ++j) {
          const float weight = scores[j] / sum;
          const float* v = x.v + path[j] * x.token + h * x.head;
          for (int64_t i = 0; i < x.width; ++i) out[i] += weight * v[i];
        }
      }
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
