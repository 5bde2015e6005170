#include "kernels/cpu/word_layers.h"
#include "kernels/word_maps_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {

void word_space(const WordSpaceArgs& args) { panels::run_space<float>(args); }

void word_class(const WordClassArgs& args) { panels::run_class<float>(args); }

void word_cost(const WordCostArgs& args) {
  using namespace panels;
  const int64_t places = args.side * args.side;
  const int64_t reach = args.kernel / 2, depth = args.layer.in;
  constexpr int64_t kGroup = 4 * kRows;
  at::parallel_for(0, args.maps, 1, [&](int64_t begin, int64_t end) {
    // what the kernel sees from some places
    std::vector<float> seen(kGroup * depth);
    for (int64_t map = begin; map < end; ++map) {
      const float* cost = args.cost + map * args.prompts * places;
      float* x = args.x + map * places * args.stride;
      for (int64_t first = 0; first < places; first += kGroup) {
        const int64_t rows = std::min(kGroup, places - first);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t y = (first + r) / args.side - reach;
          const int64_t left = (first + r) % args.side - reach;
          float* to = seen.data() + r * depth;
          for (int64_t p = 0; p < args.prompts; ++p) {
            for (int64_t i = 0; i < args.kernel; ++i) {
              const bool inside = y + i >= 0 && y + i < args.side;
              const float* line = cost + p * places + (y + i) * args.side;
              for (int64_t j = 0; j < args.kernel; ++j, ++to) {
                const int64_t column = left + j;
                *to = inside && column >= 0 && column < args.side ? line[column]
                                                                  : 0.0f;
              }
            }
          }
        }
        multiply(
            seen.data(),
            depth,
            args.layer,
            rows,
            [&](int64_t row, int64_t column, const float* sums, int64_t n) {
              float* __restrict out = x + (first + row) * args.stride + column;
              const float* __restrict bias = args.layer.bias + column;
              for (int64_t c = 0; c < n; ++c) out[c] = sums[c] + bias[c];
            });
      }
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
