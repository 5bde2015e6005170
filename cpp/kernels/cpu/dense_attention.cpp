// Per head: 2 Lq Lk d operations for each part of each term, Lq Lk exponentials
// for each term, 2 Lq Lk e for the values. A task takes one head and a range of
// its queries. Keys and values are packed once per thread into panels of two
// vectors, in float32 whatever they came as, and stay in the second-level
// cache; the scores of kRows queries stay in the first.

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <vector>

#include "kernels/attention_math.h"
#include "kernels/dense_attention_args.h"
#include "kernels/element_math.h"
#include "kernels/exp_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using Vec = at::vec::Vectorized<float>;
constexpr int64_t kWidth = Vec::size();
constexpr int64_t kPanel = 2 * kWidth;  // columns of a packed panel
// 2 * kRows accumulators, two panel vectors and a broadcast fill the registers:
// 32 with AVX-512, 16 elsewhere.
constexpr int64_t kRows = kWidth == 16 ? 12 : 6;
constexpr int64_t kBlock = 2 * kRows;  // queries whose scores are held

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// c[kRows, VECTORS * kWidth] (+)= a[kRows, depth] panel[depth, kPanel].
template <int VECTORS>
void tile(const float* a,
          int64_t a_row,
          const float* panel,
          int64_t depth,
          float* c,
          int64_t c_row,
          bool add) {
  Vec sum[kRows][VECTORS];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
      sum[r][v] = add ? Vec::loadu(c + r * c_row + v * kWidth) : Vec(0.0f);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec column[VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
      column[v] = Vec::loadu(panel + k * kPanel + v * kWidth);
    }
#pragma GCC unroll 12
    for (int64_t r = 0; r < kRows; ++r) {
      const Vec scalar(a[r * a_row + k]);
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; ++v) {
        sum[r][v] = at::vec::fmadd(scalar, column[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
      sum[r][v].store(c + r * c_row + v * kWidth);
    }
  }
}

/// c[rows, columns] (+)= a[rows, depth] panels, rows a multiple of kRows and c
/// as wide as `columns` rounded up to a vector. Panels are `panel_rows` deep,
/// of which the first `depth` are used.
void product(const float* a,
             int64_t a_row,
             const float* panels,
             int64_t panel_rows,
             int64_t rows,
             int64_t columns,
             int64_t depth,
             float* c,
             int64_t c_row,
             bool add) {
  for (int64_t j = 0; j < columns; j += kPanel) {
    const float* panel = panels + j * panel_rows;
    for (int64_t i = 0; i < rows; i += kRows) {
      float* target = c + i * c_row + j;
      if (columns - j > kWidth) {
        tile<2>(a + i * a_row, a_row, panel, depth, target, c_row, add);
      } else {
        tile<1>(a + i * a_row, a_row, panel, depth, target, c_row, add);
      }
    }
  }
}

template <typename T>
const T* head_of(const HeadRows& rows, int64_t b, int64_t h) {
  return static_cast<const T*>(rows.data) + b * rows.batch + h * rows.head;
}

/// Rows [count, width] times `scale`; rows up to `padded` are zeros.
template <typename T>
void copy_rows(const T* from,
               int64_t stride,
               int64_t count,
               int64_t padded,
               int64_t width,
               float scale,
               float* to) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t k = 0; k < width; ++k) {
      to[r * width + k] = scale * value(from[r * stride + k]);
    }
  }
  std::fill(to + count * width, to + padded * width, 0.0f);
}

/// Keys [count, width] as panels [count / kPanel][width][kPanel], the last one
/// filled up with zeros.
template <typename T>
void pack_keys(const T* from,
               int64_t stride,
               int64_t count,
               int64_t width,
               float* panels) {
  for (int64_t j = 0; j < count; j += kPanel) {
    float* panel = panels + j * width;
    const int64_t columns = std::min(kPanel, count - j);
    if (columns < kPanel) std::fill_n(panel, width * kPanel, 0.0f);
    for (int64_t c = 0; c < columns; ++c) {
      const T* key = from + (j + c) * stride;
      for (int64_t k = 0; k < width; ++k) {
        panel[k * kPanel + c] = value(key[k]);
      }
    }
  }
}

/// Values [count, width] as panels [width / kPanel][count][kPanel].
template <typename T>
void pack_values(const T* from,
                 int64_t stride,
                 int64_t count,
                 int64_t width,
                 float* panels) {
  for (int64_t j = 0; j < width; j += kPanel) {
    float* panel = panels + j * count;
    const int64_t columns = std::min(kPanel, width - j);
    for (int64_t r = 0; r < count; ++r) {
      float* row = panel + r * kPanel;
      for (int64_t c = 0; c < columns; ++c) {
        row[c] = value(from[r * stride + j + c]);
      }
      std::fill(row + columns, row + kPanel, 0.0f);
    }
  }
}

/// The prior's Gaussians of every distance along the grid's two sides.
class Prior {
 public:
  explicit Prior(const AttentionArgs& x)
      : columns_(x.grid_columns), down_(x.grid_rows) {
    for (int64_t d = 0; d < x.grid_rows; ++d)
      down_[d] = gaussian(d, x.prior_std);
    for (int64_t d = 1 - columns_; d < columns_; ++d)
      across_.push_back(gaussian(d, x.prior_std));
  }

  /// Adds to the scores of one query, of which the first is the class token's.
  void add(float factor, int64_t query, float* scores) const {
    if (query == 0) return;
    const int64_t row = (query - 1) / columns_;
    const int64_t column = (query - 1) % columns_;
    const float* across = across_.data() + columns_ - 1 - column;
    const auto rows = static_cast<int64_t>(down_.size());
    float* target = scores + 1;
    for (int64_t r = 0; r < rows; ++r, target += columns_) {
      const float down = factor * down_[r < row ? row - r : r - row];
      for (int64_t c = 0; c < columns_; ++c) target[c] += down * across[c];
    }
  }

 private:
  int64_t columns_;
  std::vector<float> down_;    // of 0..grid_rows - 1
  std::vector<float> across_;  // of 1 - grid_columns..grid_columns - 1
};

float row_maximum(const float* row, int64_t padded) {
  Vec largest(kNoScore);
  for (int64_t j = 0; j < padded; j += kWidth) {
    largest = at::vec::maximum(largest, Vec::loadu(row + j));
  }
  float lanes[kWidth];
  largest.store(lanes);
  return *std::max_element(lanes, lanes + kWidth);
}

float row_sum(const float* row, int64_t padded) {
  Vec sum(0.0f);
  for (int64_t j = 0; j < padded; j += kWidth) sum = sum + Vec::loadu(row + j);
  float lanes[kWidth];
  sum.store(lanes);
  float total = 0.0f;
  for (const float lane : lanes) total += lane;
  return total;
}

/// Leaves out the scores of keys that the query does not see; one that sees
/// none has its own key. Its scores and the keys' groups are of one length.
void keep_scope(const AttentionArgs& x,
                int64_t b,
                int64_t query,
                int64_t keys,
                float* __restrict scores) {
  const int32_t own = x.query_groups[b * x.queries + query];
  const int32_t* __restrict groups = x.key_groups + b * x.keys;
  const float threshold = x.scope_threshold;
  int32_t seen = 0;
  for (int64_t j = 0; j < keys; ++j) {
    const bool sees = in_scope(own, groups[j], scores[j], threshold);
    scores[j] = sees ? scores[j] : kNoScore;
    seen |= static_cast<int32_t>(sees);
  }
  if (seen == 0 && query < keys) scores[query] = 0.0f;
}

/// weight * softmax of a row of scores into `out`, or added to it. `visible`
/// keys take part; the rest up to `padded` get 0.
void softmax(const AttentionArgs& x,
             float weight,
             float* __restrict scores,
             int64_t visible,
             int64_t padded,
             bool add,
             float* __restrict out) {
  if (x.shift != 0.0f) {
    for (int64_t j = 0; j < visible; ++j) scores[j] += x.shift;
  }
  std::fill(scores + visible, scores + padded, kNoScore);
  const float largest = row_maximum(scores, padded);
  if (leaves_out(x.drop_negative, largest)) {
    for (int64_t j = 0; j < visible; ++j) {
      scores[j] = scores[j] < 0.0f ? kNoScore : scores[j];
    }
  }
  for (int64_t j = 0; j < padded; ++j) {
    scores[j] = exp_negative(scores[j] - largest);
  }
  const float factor = weight / row_sum(scores, padded);
  if (add) {
    for (int64_t j = 0; j < padded; ++j) out[j] += factor * scores[j];
  } else {
    for (int64_t j = 0; j < padded; ++j) out[j] = factor * scores[j];
  }
}

/// Buffers of one task.
template <typename T>
class Head {
 public:
  explicit Head(const AttentionArgs& x)
      : x_(x),
        prior_(x),
        key_columns_(round_up(x.keys, kWidth)),
        value_columns_(round_up(x.value_width, kWidth)),
        values_(round_up(x.value_width, kPanel) * x.keys),
        scores_(kBlock * key_columns_),
        weights_(kBlock * key_columns_),
        queries_(kBlock * x.width),
        out_(kBlock * value_columns_) {
    int64_t parts = 0;
    for (int64_t t = 0; t < x.term_count; ++t) parts += x.terms[t].parts;
    key_panel_ = round_up(x.keys, kPanel) * x.width;
    keys_.resize(parts * key_panel_);
  }

  /// Queries first..last of head h of picture b.
  void run(int64_t b, int64_t h, int64_t first, int64_t last) {
    if (b != batch_ || h != head_) pack(b, h);
    for (int64_t i = first; i < last; i += kBlock) {
      block(b, h, i, std::min(kBlock, last - i));
    }
  }

 private:
  /// Keys and values of a head; its next queries find them.
  void pack(int64_t b, int64_t h) {
    batch_ = b;
    head_ = h;
    float* panel = keys_.data();
    for (int64_t t = 0; t < x_.term_count; ++t) {
      for (int64_t p = 0; p < x_.terms[t].parts; ++p, panel += key_panel_) {
        const auto& rows = x_.terms[t].b[p];
        pack_keys(head_of<T>(rows, b, h), rows.token, x_.keys, x_.width, panel);
      }
    }
    pack_values(head_of<T>(x_.v, b, h),
                x_.v.token,
                x_.keys,
                x_.value_width,
                values_.data());
  }

  void block(int64_t b, int64_t h, int64_t first, int64_t count) {
    const int64_t padded = round_up(count, kRows);
    // Causal queries see no key after the last of them.
    const int64_t keys = x_.causal ? std::min(x_.keys, first + count) : x_.keys;
    const int64_t columns = round_up(keys, kWidth);
    const float* panel = keys_.data();
    for (int64_t t = 0; t < x_.term_count; ++t) {
      const auto& term = x_.terms[t];
      if (term.parts == 0) std::fill(scores_.begin(), scores_.end(), 0.0f);
      for (int64_t p = 0; p < term.parts; ++p, panel += key_panel_) {
        const auto& rows = term.a[p];
        copy_rows(head_of<T>(rows, b, h) + first * rows.token,
                  rows.token,
                  count,
                  padded,
                  x_.width,
                  term.scale,
                  queries_.data());
        product(queries_.data(),
                x_.width,
                panel,
                x_.width,
                padded,
                keys,
                x_.width,
                scores_.data(),
                key_columns_,
                p > 0);
      }
      for (int64_t r = 0; r < count; ++r) {
        float* scores = scores_.data() + r * key_columns_;
        if (x_.grid_rows > 0) {
          prior_.add(
              x_.prior_factor ? x_.prior_factor[b] : 1.0f, first + r, scores);
        }
        if (x_.query_groups != nullptr) {
          keep_scope(x_, b, first + r, keys, scores);
        }
        softmax(x_,
                term.weight,
                scores,
                x_.causal ? std::min(keys, first + r + 1) : keys,
                columns,
                t > 0,
                weights_.data() + r * key_columns_);
      }
    }
    product(weights_.data(),
            key_columns_,
            values_.data(),
            x_.keys,
            padded,
            x_.value_width,
            keys,
            out_.data(),
            value_columns_,
            false);
    T* target = static_cast<T*>(x_.out) +
                ((b * x_.queries + first) * x_.heads + h) * x_.value_width;
    const int64_t row = x_.heads * x_.value_width;
    for (int64_t r = 0; r < count; ++r) {
      const float* from = out_.data() + r * value_columns_;
      for (int64_t c = 0; c < x_.value_width; ++c) {
        put(from[c], target[r * row + c]);
      }
    }
  }

  const AttentionArgs& x_;
  Prior prior_;
  int64_t key_columns_;
  int64_t value_columns_;
  int64_t key_panel_ = 0;
  int64_t batch_ = -1, head_ = -1;  // that are packed
  std::vector<float> keys_;         // [parts][keys / kPanel][width][kPanel]
  std::vector<float> values_;       // [value_width / kPanel][keys][kPanel]
  std::vector<float> scores_;       // [kBlock, key_columns_]
  std::vector<float> weights_;      // the same
  std::vector<float> queries_;      // [kBlock, width]
  std::vector<float> out_;          // [kBlock, value_columns_]
};

/// Queries of a head are split where there are few heads; each thread packs the
/// keys for those that it takes, so a piece has to be long. The result does not
/// depend on it.
constexpr int64_t kTasks = 16;
constexpr int64_t kShortestTask = 8 * kBlock;

template <typename T>
void attend(const AttentionArgs& x) {
  const int64_t heads = x.batch * x.heads;
  const int64_t wanted = (kTasks + heads - 1) / heads;
  const int64_t most = (x.queries + kShortestTask - 1) / kShortestTask;
  const int64_t pieces = std::clamp<int64_t>(wanted, 1, most);
  const int64_t piece = round_up((x.queries + pieces - 1) / pieces, kBlock);
  at::parallel_for(0, heads * pieces, 1, [&](int64_t begin, int64_t end) {
    Head<T> head(x);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % pieces * piece;
      const int64_t index = task / pieces;
      if (first >= x.queries) continue;
      head.run(index / x.heads,
               index % x.heads,
               first,
               std::min(first + piece, x.queries));
    }
  });
}

}  // namespace

void dense_attention(const AttentionArgs& attention) {
  if (attention.type == ElementType::kBFloat16) {
    attend<BFloat16>(attention);
  } else {
    attend<float>(attention);
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
