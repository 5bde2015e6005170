// Softmax over words, maximum over the words of a class and argmax, one word's
// plane at a time. Per word and pixel: one exponential, about 25 operations, 16
// bytes read and 12 written; the state is 12 bytes per pixel whatever the
// number of words. Pixels in parallel; morphology over rows.

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "kernels/pamr_math.h"
#include "kernels/postprocess_args.h"
#include "kernels/postprocess_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

constexpr int64_t kPixelGrain = 16384;

template <typename Body>
void for_pixels(int64_t pixels, Body&& body) {
  at::parallel_for(0, pixels, kPixelGrain, body);
}

struct Larger {
  int32_t operator()(int32_t a, int32_t b) const { return a > b ? a : b; }
};
struct Smaller {
  int32_t operator()(int32_t a, int32_t b) const { return a < b ? a : b; }
};

/// 3 x 3 filter. Repeating the edge equals leaving the outside out: the edge
/// pixel is part of the neighbourhood anyway.
template <typename Pick>
void filter_labels(
    const int32_t* in, int64_t height, int64_t width, int32_t* out, Pick pick) {
  at::parallel_for(0, height, 32, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> buffer(width + 2);
    int32_t* __restrict column = buffer.data() + 1;
    for (int64_t y = begin; y < end; ++y) {
      const int32_t* above = in + clamp_index(y - 1, height) * width;
      const int32_t* here = in + y * width;
      const int32_t* below = in + clamp_index(y + 1, height) * width;
      for (int64_t x = 0; x < width; ++x) {
        column[x] = pick(pick(above[x], here[x]), below[x]);
      }
      column[-1] = column[0];
      column[width] = column[width - 1];
      int32_t* __restrict row = out + y * width;
      for (int64_t x = 0; x < width; ++x) {
        row[x] = pick(pick(column[x - 1], column[x]), column[x + 1]);
      }
    }
  });
}

}  // namespace

void add_word(const float* plane,
              float scale,
              int32_t label,
              const WordState& state) {
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    float* __restrict best = state.best;
    float* __restrict sum = state.sum;
    int32_t* __restrict labels = state.label;
    for (int64_t i = begin; i < end; ++i) {
      const WordScore score =
          add_score({best[i], sum[i], labels[i]}, plane[i], label, scale);
      best[i] = score.best;
      sum[i] = score.sum;
      labels[i] = score.label;
    }
  });
}

void add_left_out(const float* plane, float scale, const WordState& state) {
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    const float* __restrict best = state.best;
    float* __restrict sum = state.sum;
    for (int64_t i = begin; i < end; ++i) {
      sum[i] += left_out_share(plane[i], best[i], scale);
    }
  });
}

void largest_probability(const float* plane,
                         float scale,
                         const WordState& state,
                         float* largest) {
  std::mutex mutex;
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    float own = 0.0f;
    for (int64_t i = begin; i < end; ++i) {
      const float probability =
          score_probability(plane[i], state.best[i], state.sum[i], scale);
      own = probability > own ? probability : own;
    }
    const std::lock_guard lock(mutex);
    *largest = std::max(*largest, own);
  });
}

void add_maximum(const float* plane, int64_t pixels, float* maximum) {
  for_pixels(pixels, [&](int64_t begin, int64_t end) {
    float* __restrict target = maximum;
    for (int64_t i = begin; i < end; ++i) {
      target[i] = plane[i] > target[i] ? plane[i] : target[i];
    }
  });
}

// A class that is not among the best so far anywhere in a run of pixels costs
// one comparison per pixel; classes cover regions, so that most runs end there.
void add_class(const float* plane, int32_t label, const ClassRanks& ranks) {
  constexpr int64_t kRun = 64;
  for_pixels(ranks.pixels, [&](int64_t begin, int64_t end) {
    const float* __restrict lowest = ranks.logit + (kRanks - 1) * ranks.pixels;
    for (int64_t start = begin; start < end; start += kRun) {
      const int64_t stop = std::min(start + kRun, end);
      int32_t above = 0;
      for (int64_t i = start; i < stop; ++i) above |= plane[i] > lowest[i];
      if (above == 0) continue;
      float logit[kRun];
      uint16_t number[kRun];
      std::copy(plane + start, plane + stop, logit);
      std::fill_n(number, kRun, static_cast<uint16_t>(label));
      for (int64_t r = 0; r < kRanks; ++r) {
        float* __restrict rank_logit = ranks.logit + r * ranks.pixels + start;
        uint16_t* __restrict rank_label =
            ranks.label + r * ranks.pixels + start;
        for (int64_t i = 0; i < stop - start; ++i) {
          insert_rank(rank_logit[i], rank_label[i], logit[i], number[i]);
        }
      }
    }
  });
}

void choose_kept(const ClassRanks& ranks,
                 const uint8_t* keep,
                 float* chosen,
                 int32_t* labels,
                 int64_t* open) {
  std::atomic<int64_t> missed{0};
  for_pixels(ranks.pixels, [&](int64_t begin, int64_t end) {
    int64_t found = 0;
    for (int64_t i = begin; i < end; ++i) {
      found += choose_rank(ranks, i, keep, chosen[i], labels[i]);
    }
    missed += end - begin - found;
  });
  *open += missed;
}

void class_probability(const float* plane,
                       float scale,
                       const WordState& state,
                       float* probability) {
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    float* __restrict target = probability;
    for (int64_t i = begin; i < end; ++i) {
      target[i] =
          score_probability(plane[i], state.best[i], state.sum[i], scale);
    }
  });
}

void label_certainty(const WordState& state, uint8_t* certainty) {
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    const float* __restrict sum = state.sum;
    uint8_t* __restrict target = certainty;
    for (int64_t i = begin; i < end; ++i) target[i] = code_certainty(sum[i]);
  });
}

void take_larger(const float* plane,
                 int32_t label,
                 int64_t pixels,
                 float* chosen,
                 int32_t* labels) {
  for_pixels(pixels, [&](int64_t begin, int64_t end) {
    float* __restrict largest = chosen;
    int32_t* __restrict target = labels;
    for (int64_t i = begin; i < end; ++i) {
      const bool larger = plane[i] > largest[i];
      largest[i] = larger ? plane[i] : largest[i];
      target[i] = larger ? label : target[i];
    }
  });
}

void threshold_labels(const float* chosen,
                      float scale,
                      float threshold,
                      int32_t background,
                      const WordState& state) {
  for_pixels(state.pixels, [&](int64_t begin, int64_t end) {
    int32_t* __restrict target = state.label;
    for (int64_t i = begin; i < end; ++i) {
      const float probability =
          score_probability(chosen[i], state.best[i], state.sum[i], scale);
      target[i] = probability < threshold ? background : target[i];
    }
  });
}

void count_labels(const int32_t* labels,
                  int64_t pixels,
                  int64_t classes,
                  int64_t* counts) {
  std::mutex mutex;
  for_pixels(pixels, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> own(classes);
    for (int64_t i = begin; i < end; ++i) ++own[labels[i]];
    const std::lock_guard lock(mutex);
    for (int64_t c = 0; c < classes; ++c) counts[c] += own[c];
  });
}

void dilate_labels(const int32_t* in,
                   int64_t height,
                   int64_t width,
                   int32_t* out) {
  filter_labels(in, height, width, out, Larger());
}

void erode_labels(const int32_t* in,
                  int64_t height,
                  int64_t width,
                  int32_t* out) {
  filter_labels(in, height, width, out, Smaller());
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
