// What stands between the decoder's convolutions: one pass to move values to
// their places, add what is common to all words and sum them up, one for the
// variance, one to normalise. A map of 96 x 96 places and 32 channels is 1.2
// MB.

#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/word_maps_args.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using WordVec = at::vec::Vectorized<float>;
constexpr int64_t kWordLanes = WordVec::size();

double sum_of_lanes(WordVec v) {
  float lanes[kWordLanes];
  v.store(lanes);
  double total = 0.0;
  for (const float lane : lanes) total += lane;
  return total;
}

/// Sum over a group of f(pixel), a row of the map at a time in float.
template <typename F>
double group_sum(const WordNormArgs& args, int64_t group, F&& f) {
  double total = 0.0;
  for (int64_t row = 0; row < args.side; ++row) {
    const float* line =
        args.out + row * args.side * args.channels + group * kWordVector;
    WordVec sum(0.0f);
    for (int64_t column = 0; column < args.side; ++column) {
      for (int64_t c = 0; c < kWordVector; c += kWordLanes) {
        sum = sum + f(WordVec::loadu(line + column * args.channels + c));
      }
    }
    total += sum_of_lanes(sum);
  }
  return total;
}

/// x at its places, with what is common to all words.
void place_values(const WordNormArgs& args) {
  const int64_t scale = args.phases == 4 ? 2 : 1;
  const int64_t columns = args.side / scale;
  for (int64_t row = 0; row < args.side; ++row) {
    for (int64_t column = 0; column < args.side; ++column) {
      const int64_t from = row / scale * columns + column / scale;
      const int64_t phase = row % scale * scale + column % scale;
      const float* __restrict x =
          args.x + (from * args.phases + phase) * args.channels;
      const int64_t at = (row * args.side + column) * args.channels;
      float* __restrict out = args.out + at;
      const float* __restrict addend = args.addend + at;
      for (int64_t c = 0; c < args.channels; ++c) out[c] = x[c] + addend[c];
    }
  }
}

}  // namespace

void word_norm(const WordNormArgs& args) {
  if (args.addend != nullptr) place_values(args);
  const int64_t places = args.side * args.side;
  std::vector<float> factors(args.channels), shifts(args.channels);
  const auto count = static_cast<double>(places * kWordVector);
  for (int64_t group = 0; group * kWordVector < args.channels; ++group) {
    const double mean =
        group_sum(args, group, [](WordVec v) { return v; }) / count;
    const WordVec center(static_cast<float>(mean));
    const double variance = group_sum(args,
                                      group,
                                      [&](WordVec v) {
                                        const WordVec d = v - center;
                                        return d * d;
                                      }) /
                            count;
    const double factor = 1.0 / std::sqrt(variance + args.eps);
    for (int64_t c = group * kWordVector; c < (group + 1) * kWordVector; ++c) {
      factors[c] = static_cast<float>(args.weight[c] * factor);
      shifts[c] =
          static_cast<float>(args.bias[c] - mean * factor * args.weight[c]);
    }
  }
  const float* __restrict factor = factors.data();
  const float* __restrict shift = shifts.data();
  for (int64_t i = 0; i < places; ++i) {
    float* __restrict out = args.out + i * args.channels;
    for (int64_t c = 0; c < args.channels; ++c) {
      const float v = out[c] * factor[c] + shift[c];
      out[c] = v > 0.0f ? v : 0.0f;
    }
  }
}

void word_logit(const WordLogitArgs& args) {
  for (int64_t row = 0; row < args.side; ++row) {
    for (int64_t column = 0; column < args.side; ++column) {
      WordVec sum(0.0f);
      for (int64_t i = std::max<int64_t>(row - 1, 0);
           i <= std::min(row + 1, args.side - 1);
           ++i) {
        for (int64_t j = std::max<int64_t>(column - 1, 0);
             j <= std::min(column + 1, args.side - 1);
             ++j) {
          const float* x = args.x + (i * args.side + j) * args.channels;
          const float* weight =
              args.weight +
              ((i - row + 1) * 3 + j - column + 1) * args.channels;
          for (int64_t c = 0; c < args.channels; c += kWordLanes) {
            sum = at::vec::fmadd(
                WordVec::loadu(x + c), WordVec::loadu(weight + c), sum);
          }
        }
      }
      float lanes[kWordLanes];
      sum.store(lanes);
      float total = args.bias;
      for (const float lane : lanes) total += lane;
      args.out[row * args.side + column] = total;
    }
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
