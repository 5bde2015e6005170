#pragma once

// The two layers of CAT-Seg's aggregation with products of T. Per map of 24 x
// 24 places and 128 channels a block of attention over places takes 269 MFLOP,
// attention over words 217: what is read more than once, a window of a map or
// all words of a few places, stays in the second-level cache, and layers of
// weights pass by it.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/activation_math.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/exp_math.h"
#include "kernels/layer_norm_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {
namespace panels {

inline float lane_sum(Vec v) {
  float lanes[kLanes];
  v.store(lanes);
  float total = 0.0f;
  for (const float lane : lanes) total += lane;
  return total;
}

/// Layer norm of a row of `channels`; those behind them become zeros.
template <typename T>
void norm_row(const WordShape& shape,
              const WordNorm& norm,
              const float* __restrict x,
              T* __restrict out) {
  const int64_t whole = shape.channels / kLanes * kLanes;
  const auto n = static_cast<float>(shape.channels);
  Vec sums(0.0f);
  for (int64_t i = 0; i < whole; i += kLanes) sums = sums + Vec::loadu(x + i);
  float total = lane_sum(sums);
  for (int64_t i = whole; i < shape.channels; ++i) total += x[i];
  const float mean = total / n;
  sums = Vec(0.0f);
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Vec d = Vec::loadu(x + i) - Vec(mean);
    sums = at::vec::fmadd(d, d, sums);
  }
  total = lane_sum(sums);
  for (int64_t i = whole; i < shape.channels; ++i) {
    total += (x[i] - mean) * (x[i] - mean);
  }
  const float factor = norm_factor(total / n, shape.eps);
  for (int64_t i = 0; i < shape.stride; ++i) {
    put(normed(x[i], mean, factor, norm.weight[i], norm.bias[i]), out[i]);
  }
}

/// Rows [count, width] as the columns of panels, `count` filled up with zeros.
template <typename T>
void pack_columns(
    const T* from, int64_t row, int64_t count, int64_t width, T* panel) {
  constexpr int64_t kStep = kUnit<T>;
  for (int64_t j = 0; j < count; j += kWordPanel) {
    const int64_t columns = std::min(kWordPanel, count - j);
    T* to = panel + j * width;
    if (columns < kWordPanel) std::fill_n(to, width * kWordPanel, T());
    for (int64_t c = 0; c < columns; ++c) {
      const T* line = from + (j + c) * row;
      for (int64_t k = 0; k < width; k += kStep) {
        std::memcpy(
            to + k * kWordPanel + c * kStep, line + k, kStep * sizeof(T));
      }
    }
  }
}

/// Rows [count, width] as the depth of panels; `count` is rounded up to the
/// unit with zeros.
template <typename T>
void pack_rows(
    const T* from, int64_t row, int64_t count, int64_t width, T* panel) {
  constexpr int64_t kStep = kUnit<T>;
  const int64_t depth = round_up(count, kStep);
  for (int64_t j = 0; j < width; j += kWordPanel) {
    const int64_t columns = std::min(kWordPanel, width - j);
    T* to = panel + j * depth;
    for (int64_t k = 0; k < depth; k += kStep) {
      for (int64_t u = 0; u < kStep; ++u) {
        T* line = to + k * kWordPanel + u;
        if (k + u < count) {
          const T* values = from + (k + u) * row + j;
          for (int64_t c = 0; c < columns; ++c) line[c * kStep] = values[c];
          for (int64_t c = columns; c < kWordPanel; ++c) line[c * kStep] = T();
        } else {
          for (int64_t c = 0; c < kWordPanel; ++c) line[c * kStep] = T();
        }
      }
    }
  }
}

/// Attention within windows of one map, for one thread.
template <typename T>
class SpaceMap {
 public:
  explicit SpaceMap(const WordSpaceArgs& args)
      : args_(args),
        shape_(args.shape),
        count_(args.window * args.window),
        rows_(round_up(count_, kRows)),
        keys_(round_up(count_, kWordPanel)),
        depth_(round_up(count_, kUnit<T>)),
        all_(shape_.heads * shape_.wide),
        places_(count_),
        regions_(count_),
        normed_(rows_ * shape_.stride),
        qkv_(rows_ * 3 * all_),
        key_panel_(keys_ * shape_.wide),
        value_panel_(depth_ * round_up(shape_.wide, kWordPanel)),
        scores_(kRows * keys_),
        weights_(kRows * keys_),
        mixed_(kRows * round_up(shape_.wide, kWordPanel)),
        attended_(rows_ * all_),
        hidden_(rows_ * shape_.hidden) {}

  void run(int64_t map) {
    float* x = args_.x + map * shape_.places * shape_.stride;
    const int64_t image = map / shape_.words;
    for (const auto& block : args_.blocks) {
      for (int64_t row = 0; row < args_.side; row += args_.window) {
        for (int64_t column = 0; column < args_.side; column += args_.window) {
          take_window(block, row, column);
          attend(block, image, x);
          feed_forward(block, x);
        }
      }
    }
  }

 private:
  /// Which places a window of the rolled map has, and of which region.
  void take_window(const WordSpaceBlock& block, int64_t top, int64_t left) {
    const auto region = [&](int64_t i) {
      if (i < args_.side - args_.window) return 0;
      return i < args_.side - block.shift ? 1 : 2;
    };
    int64_t at = 0;
    several_regions_ = false;
    for (int64_t i = top; i < top + args_.window; ++i) {
      for (int64_t j = left; j < left + args_.window; ++j, ++at) {
        places_[at] = (i + block.shift) % args_.side * args_.side +
                      (j + block.shift) % args_.side;
        regions_[at] = block.shift == 0 ? 0 : region(i) * 3 + region(j);
        several_regions_ |= regions_[at] != regions_[0];
      }
    }
  }

  void norm_rows(const WordNorm& norm, const float* x) {
    for (int64_t r = 0; r < count_; ++r) {
      norm_row(shape_,
               norm,
               x + places_[r] * shape_.stride,
               normed_.data() + r * shape_.stride);
    }
  }

  void attend(const WordSpaceBlock& block, int64_t image, float* x) {
    norm_rows(block.norm1, x);
    const float* guide = block.guide + image * shape_.places * 2 * all_;
    multiply(normed_.data(),
             shape_.stride,
             block.qkv,
             count_,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               T* __restrict out = qkv_.data() + row * 3 * all_ + column;
               const float* __restrict more =
                   guide + places_[row] * 2 * all_ + column;
               // a panel may reach from the keys to the values
               const int64_t guided =
                   std::clamp<int64_t>(2 * all_ - column, 0, n);
               for (int64_t c = 0; c < guided; ++c) {
                 put(sums[c] + more[c], out[c]);
               }
               for (int64_t c = guided; c < n; ++c) put(sums[c], out[c]);
             });
    for (int64_t h = 0; h < shape_.heads; ++h) head(h);
    multiply(attended_.data(),
             all_,
             block.proj,
             count_,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               add_row(x, block.proj, row, column, sums, n);
             });
  }

  void head(int64_t h) {
    const T* first = qkv_.data() + h * shape_.wide;
    const int64_t row = 3 * all_;
    pack_columns(first + all_, row, count_, shape_.wide, key_panel_.data());
    pack_rows(first + 2 * all_, row, count_, shape_.wide, value_panel_.data());
    const int64_t mixed_row = round_up(shape_.wide, kWordPanel);
    for (int64_t i = 0; i < count_; i += kRows) {
      multiply_to(first + i * row,
                  row,
                  key_panel_.data(),
                  shape_.wide,
                  shape_.wide,
                  kRows,
                  count_,
                  scores_.data(),
                  keys_);
      float factors[kRows];
      const int64_t last = std::min(kRows, count_ - i);
      for (int64_t r = 0; r < last; ++r) factors[r] = softmax(i + r, r);
      multiply_to(weights_.data(),
                  keys_,
                  value_panel_.data(),
                  depth_,
                  depth_,
                  kRows,
                  shape_.wide,
                  mixed_.data(),
                  mixed_row);
      for (int64_t r = 0; r < last; ++r) {
        const float* __restrict from = mixed_.data() + r * mixed_row;
        T* __restrict to = attended_.data() + (i + r) * all_ + h * shape_.wide;
        for (int64_t c = 0; c < shape_.wide; ++c)
          put(factors[r] * from[c], to[c]);
      }
    }
  }

  /// Exponentials of a row of scores; returns one over their sum.
  float softmax(int64_t query, int64_t r) {
    float* __restrict scores = scores_.data() + r * keys_;
    T* __restrict weights = weights_.data() + r * keys_;
    if (several_regions_) {
      const int32_t own = regions_[query];
      const int32_t* __restrict regions = regions_.data();
      for (int64_t j = 0; j < count_; ++j) {
        scores[j] += regions[j] == own ? 0.0f : -100.0f;
      }
    }
    constexpr float kNone = -1e30f;
    const int64_t padded = round_up(count_, kLanes);
    for (int64_t j = count_; j < padded; ++j) scores[j] = kNone;
    Vec most(kNone);
    for (int64_t j = 0; j < padded; j += kLanes) {
      most = at::vec::maximum(most, Vec::loadu(scores + j));
    }
    float lanes[kLanes];
    most.store(lanes);
    const float largest = *std::max_element(lanes, lanes + kLanes);
    for (int64_t j = 0; j < padded; ++j) {
      scores[j] = exp_negative(scores[j] - largest);
    }
    Vec sum(0.0f);
    for (int64_t j = 0; j < padded; j += kLanes) {
      sum = sum + Vec::loadu(scores + j);
    }
    for (int64_t j = 0; j < padded; ++j) put(scores[j], weights[j]);
    return 1.0f / lane_sum(sum);
  }

  void feed_forward(const WordSpaceBlock& block, float* x) {
    norm_rows(block.norm2, x);
    multiply(normed_.data(),
             shape_.stride,
             block.fc1,
             count_,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               T* __restrict out =
                   hidden_.data() + row * shape_.hidden + column;
               const float* __restrict bias = block.fc1.bias + column;
               for (int64_t c = 0; c < n; ++c)
                 put(gelu(sums[c] + bias[c]), out[c]);
             });
    multiply(hidden_.data(),
             shape_.hidden,
             block.fc2,
             count_,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               add_row(x, block.fc2, row, column, sums, n);
             });
  }

  void add_row(float* x,
               const PanelLayer& layer,
               int64_t row,
               int64_t column,
               const float* __restrict sums,
               int64_t n) {
    float* __restrict to = x + places_[row] * shape_.stride + column;
    const float* __restrict bias = layer.bias + column;
    for (int64_t c = 0; c < n; ++c) to[c] += sums[c] + bias[c];
  }

  const WordSpaceArgs& args_;
  const WordShape& shape_;
  int64_t count_, rows_, keys_, depth_, all_;
  bool several_regions_ = false;
  std::vector<int64_t> places_;
  std::vector<int32_t> regions_;
  std::vector<T> normed_, qkv_, key_panel_, value_panel_;
  std::vector<float> scores_;
  std::vector<T> weights_;
  std::vector<float> mixed_;
  std::vector<T> attended_, hidden_;
};

template <typename T>
void run_space(const WordSpaceArgs& args) {
  at::parallel_for(0,
                   args.shape.images * args.shape.words,
                   1,
                   [&](int64_t begin, int64_t end) {
                     SpaceMap<T> map(args);
                     for (int64_t m = begin; m < end; ++m) map.run(m);
                   });
}

/// Rows that the layers behind attention over words take at once.
constexpr int64_t kClassRows = 12 * kRows;

/// Attention over the words of some places of an image, for one thread.
template <typename T>
class ClassPlaces {
 public:
  ClassPlaces(const WordClassArgs& args, int64_t most)
      : args_(args),
        shape_(args.shape),
        all_(shape_.heads * shape_.wide),
        most_(most),
        normed_(round_up(std::max(most * shape_.words, kClassRows), kRows) *
                shape_.stride),
        qkv_(most * shape_.words * 3 * all_),
        sum_(most * shape_.words * shape_.stride),
        products_(shape_.width * shape_.wide),
        hidden_(kClassRows * shape_.hidden) {}

  /// `count` places of an image from `first` on.
  void run(int64_t image, int64_t first, int64_t count) {
    image_ = image;
    first_ = first;
    const int64_t rows = count * shape_.words;
    for (int64_t r = 0; r < rows; ++r) {
      norm_row(shape_,
               args_.norm1,
               args_.x + offset(r),
               normed_.data() + r * shape_.stride);
    }
    queries_keys_values(rows);
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(
          args_.x + offset(r), shape_.stride, sum_.data() + r * shape_.stride);
    }
    for (int64_t place = 0; place < count; ++place) {
      for (int64_t h = 0; h < shape_.heads; ++h) head(place * shape_.words, h);
    }
    for (int64_t r = 0; r < rows; r += kClassRows) {
      feed_forward(r, std::min(kClassRows, rows - r));
    }
  }

 private:
  /// Of a row (place, word) in x.
  int64_t offset(int64_t row) const {
    const int64_t place = first_ + row / shape_.words;
    const int64_t word = row % shape_.words;
    return ((image_ * shape_.words + word) * shape_.places + place) *
           shape_.stride;
  }

  void queries_keys_values(int64_t rows) {
    const float* guide = args_.guide + image_ * shape_.words * 2 * all_;
    multiply(
        normed_.data(),
        shape_.stride,
        args_.qkv,
        rows,
        [&](int64_t row, int64_t column, const float* sums, int64_t n) {
          float* __restrict out = qkv_.data() + row * 3 * all_ + column;
          const float* __restrict more =
              guide + row % shape_.words * 2 * all_ + column;
          const float* __restrict bias = args_.qkv.bias + column;
          const int64_t guided = std::clamp<int64_t>(2 * all_ - column, 0, n);
          for (int64_t c = 0; c < guided; ++c) {
            const float v = sums[c] + more[c];
            const float low = exp_negative(v < 0.0f ? v : 0.0f);  // elu + 1
            out[c] = v < 0.0f ? low : v + 1.0f;
          }
          for (int64_t c = guided; c < n; ++c) out[c] = sums[c] + bias[c];
        });
  }

  /// Adds attention of the words whose rows begin at `row`.
  void head(int64_t row, int64_t h) {
    const int64_t line = 3 * all_;
    float* queries = qkv_.data() + row * line + h * shape_.wide;
    const float* keys = queries + all_;
    const float* values = queries + 2 * all_;
    // sums of keys times values, [width, wide]
    const float* more = args_.more_products + h * shape_.width * shape_.wide;
    constexpr int64_t kGroup = 8;
    for (int64_t r = 0; r < shape_.width; r += kGroup) {
      const int64_t group = std::min(kGroup, shape_.width - r);
      for (int64_t c = 0; c < shape_.wide; c += kLanes) {
        Vec sums[kGroup];
        for (int64_t i = 0; i < kGroup; ++i) {
          sums[i] = i < group ? Vec::loadu(more + (r + i) * shape_.wide + c)
                              : Vec(0.0f);
        }
        for (int64_t t = 0; t < shape_.words; ++t) {
          const Vec value_row = Vec::loadu(values + t * line + c);
          const float* key = keys + t * line + r;
#pragma GCC unroll 8
          for (int64_t i = 0; i < kGroup; ++i) {
            sums[i] = at::vec::fmadd(Vec(key[i]), value_row, sums[i]);
          }
        }
        for (int64_t i = 0; i < group; ++i) {
          sums[i].store(products_.data() + (r + i) * shape_.wide + c);
        }
      }
    }
    // sums of keys; lanes behind `width` stay zeros
    float key_sums[kMostWide];
    for (int64_t c = 0; c < shape_.wide; c += kLanes) {
      Vec sum = Vec::loadu(args_.more_keys + h * shape_.wide + c);
      for (int64_t t = 0; t < shape_.words; ++t) {
        sum = sum + Vec::loadu(keys + t * line + c);
      }
      sum.store(key_sums + c);
    }
    std::fill(key_sums + shape_.width, key_sums + shape_.wide, 0.0f);
    for (int64_t t = 0; t < shape_.words; t += kGroup) {
      const int64_t group = std::min(kGroup, shape_.words - t);
      float factors[kGroup];
      const float* query[kGroup];
      for (int64_t i = 0; i < kGroup; ++i) {
        query[i] = queries + (t + std::min(i, group - 1)) * line;
        Vec sum(0.0f);
        for (int64_t c = 0; c < shape_.wide; c += kLanes) {
          sum = at::vec::fmadd(
              Vec::loadu(query[i] + c), Vec::loadu(key_sums + c), sum);
        }
        factors[i] = 1.0f / (lane_sum(sum) + 1e-6f);
      }
      for (int64_t c = 0; c < shape_.wide; c += kLanes) {
        Vec sums[kGroup];
        for (auto& sum : sums) sum = Vec(0.0f);
        for (int64_t k = 0; k < shape_.width; ++k) {
          const Vec product =
              Vec::loadu(products_.data() + k * shape_.wide + c);
#pragma GCC unroll 8
          for (int64_t i = 0; i < kGroup; ++i) {
            sums[i] = at::vec::fmadd(Vec(query[i][k]), product, sums[i]);
          }
        }
        const int64_t n = std::min(kLanes, shape_.width - c);
        for (int64_t i = 0; i < group; ++i) {
          float lanes[kLanes];
          sums[i].store(lanes);
          float* __restrict to = sum_.data() + (row + t + i) * shape_.stride +
                                 h * shape_.width + c;
          for (int64_t lane = 0; lane < n; ++lane) {
            to[lane] += factors[i] * lanes[lane];
          }
        }
      }
    }
  }

  void feed_forward(int64_t first, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      norm_row(shape_,
               args_.norm2,
               sum_.data() + (first + r) * shape_.stride,
               normed_.data() + r * shape_.stride);
    }
    multiply(normed_.data(),
             shape_.stride,
             args_.fc1,
             rows,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               T* __restrict out =
                   hidden_.data() + row * shape_.hidden + column;
               const float* __restrict bias = args_.fc1.bias + column;
               for (int64_t c = 0; c < n; ++c)
                 put(relu(sums[c] + bias[c]), out[c]);
             });
    multiply(hidden_.data(),
             shape_.hidden,
             args_.fc2,
             rows,
             [&](int64_t row, int64_t column, const float* sums, int64_t n) {
               const int64_t at = offset(first + row) + column;
               const float* x = args_.x + at;
               const float* __restrict own =
                   sum_.data() + (first + row) * shape_.stride + column;
               const float* __restrict bias = args_.fc2.bias + column;
               float* out = args_.out + at;
               const float once_more = args_.again ? 1.0f : 0.0f;
               for (int64_t c = 0; c < n; ++c) {
                 out[c] = once_more * x[c] + own[c] + sums[c] + bias[c];
               }
             });
  }

  static constexpr int64_t kMostWide = 256;

  const WordClassArgs& args_;
  const WordShape& shape_;
  int64_t all_, most_, image_ = 0, first_ = 0;
  std::vector<T> normed_;
  std::vector<float> qkv_, sum_, products_;
  std::vector<T> hidden_;
};

template <typename T>
void run_class(const WordClassArgs& args) {
  const auto& shape = args.shape;
  const int64_t most = std::clamp<int64_t>(
      kClassRows / std::max<int64_t>(shape.words, 1), 1, shape.places);
  const int64_t pieces = (shape.places + most - 1) / most;
  at::parallel_for(
      0, shape.images * pieces, 1, [&](int64_t begin, int64_t end) {
        ClassPlaces<T> places(args, most);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t first = task % pieces * most;
          places.run(
              task / pieces, first, std::min(most, shape.places - first));
        }
      });
}

}  // namespace panels
}  // namespace
}  // namespace declip::cpu::DECLIP_CPU_LEVEL
