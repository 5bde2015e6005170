// Masks in parallel. A mask is walked down the columns of its crop, as its runs
// are. Columns with the same three columns of samples share what is known of
// their rows: stretches that are surely outside or inside, and those between,
// of which each pixel takes 5 operations and three gathered samples.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels/mask_runs_args.h"
#include "kernels/run_writer.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

/// Rounding of a sum of nine products, as a part of the largest sample.
constexpr float kRounding = 1e-5f;

enum class Certainty : uint8_t { kOutside, kInside, kOpen };

/// Rows of a column of which the same is known.
struct Stretch {
  int32_t begin, end;
  Certainty certainty;
};

class MaskWalk {
 public:
  explicit MaskWalk(const MaskRunsArgs& args)
      : args_(args),
        by_columns_(args.height * args.width),
        low_(args.height),
        high_(args.height),
        samples_(args.height),
        logits_(args.rows.out),
        inside_(args.rows.out) {}

  void measure(const float* map, MeasuredMask& out) {
    transpose(map);
    RunWriter runs(out.counts);
    const MaskAxisArgs& columns = args_.columns;
    const int64_t between = args_.picture_height - args_.rows.out;
    runs.add(args_.left * args_.picture_height + args_.top, false);
    for (int64_t g = 0; g < columns.group_count; ++g) {
      const MaskTapGroup& group = columns.groups[g];
      look_at(group.base);
      for (int64_t x = group.begin; x < group.end; ++x) {
        if (x > 0) runs.add(between, false);
        if (has_open_) sample(group.base, x);
        walk_column(x, runs, out);
      }
    }
    const int64_t below = args_.picture_height - args_.top - args_.rows.out;
    const int64_t right = args_.picture_width - args_.left - columns.out;
    runs.add(below + right * args_.picture_height, false);
    runs.finish();
  }

 private:
  const float* column(int64_t x) const {
    return by_columns_.data() + x * args_.height;
  }

  void transpose(const float* map) {
    constexpr int64_t kTile = 16;
    const int64_t height = args_.height, width = args_.width;
    for (int64_t y0 = 0; y0 < height; y0 += kTile) {
      for (int64_t x0 = 0; x0 < width; x0 += kTile) {
        for (int64_t x = x0; x < std::min(x0 + kTile, width); ++x) {
          for (int64_t y = y0; y < std::min(y0 + kTile, height); ++y) {
            by_columns_[x * height + y] = map[y * width + x];
          }
        }
      }
    }
  }

  /// What is known of the rows of outputs that take three columns from `base`
  /// on.
  void look_at(int64_t base) {
    const float* a = column(base);
    const float* b = column(base + 1);
    const float* c = column(base + 2);
    const int64_t height = args_.height;
    float* __restrict low = low_.data();
    float* __restrict high = high_.data();
    for (int64_t y = 0; y < height; ++y) {
      low[y] = std::min(a[y], std::min(b[y], c[y]));
      high[y] = std::max(a[y], std::max(b[y], c[y]));
    }
    stretches_.clear();
    has_open_ = false;
    for (int64_t g = 0; g < args_.rows.group_count; ++g) {
      const MaskTapGroup& group = args_.rows.groups[g];
      const float* lows = low + group.base;
      const float* highs = high + group.base;
      const float least = std::min(lows[0], std::min(lows[1], lows[2]));
      const float most = std::max(highs[0], std::max(highs[1], highs[2]));
      const float slack = kRounding * (std::abs(least) + std::abs(most));
      const Certainty certainty =
          least - slack > args_.offset   ? Certainty::kInside
          : most + slack < -args_.offset ? Certainty::kOutside
                                         : Certainty::kOpen;
      has_open_ = has_open_ || certainty == Certainty::kOpen;
      if (!stretches_.empty() && stretches_.back().certainty == certainty) {
        stretches_.back().end = group.end;
      } else {
        stretches_.push_back({group.begin, group.end, certainty});
      }
    }
  }

  /// The samples of output column x, blended across.
  void sample(int64_t base, int64_t x) {
    const float* a = column(base);
    const float* b = column(base + 1);
    const float* c = column(base + 2);
    const float* weights = args_.columns.weights + x;
    const int64_t out = args_.columns.out;
    const float u = weights[0], v = weights[out], w = weights[2 * out];
    float* __restrict to = samples_.data();
    for (int64_t y = 0; y < args_.height; ++y) {
      to[y] = u * a[y] + v * b[y] + w * c[y];
    }
  }

  void walk_column(int64_t x, RunWriter& runs, MeasuredMask& out) {
    for (const Stretch& stretch : stretches_) {
      const int64_t length = stretch.end - stretch.begin;
      if (stretch.certainty == Certainty::kOutside) {
        runs.add(length, false);
      } else if (stretch.certainty == Certainty::kInside) {
        out.surely += length;
        out.possibly += length;
        add_inside(x, stretch.begin, length, runs, out);
      } else {
        walk_open(x, stretch, runs, out);
      }
    }
  }

  void walk_open(int64_t x,
                 const Stretch& stretch,
                 RunWriter& runs,
                 MeasuredMask& out) {
    const int64_t rows = args_.rows.out;
    const int32_t* base = args_.rows.base;
    const float* u = args_.rows.weights;
    const float* v = u + rows;
    const float* w = v + rows;
    const float* from = samples_.data();
    float* __restrict logits = logits_.data();
    for (int64_t y = stretch.begin; y < stretch.end; ++y) {
      const float* three = from + base[y];
      logits[y] = u[y] * three[0] + v[y] * three[1] + w[y] * three[2];
    }
    uint8_t* __restrict inside = inside_.data();
    int32_t surely = 0, possibly = 0;
    for (int64_t y = stretch.begin; y < stretch.end; ++y) {
      surely += logits[y] > args_.offset ? 1 : 0;
      possibly += logits[y] > -args_.offset ? 1 : 0;
      inside[y] = logits[y] > 0.0f ? 1 : 0;
    }
    out.surely += surely;
    out.possibly += possibly;
    for (int64_t y = stretch.begin; y < stretch.end;) {
      const int64_t begin = y;
      const uint8_t value = inside[y];
      while (y < stretch.end && inside[y] == value) ++y;
      if (value == 0) {
        runs.add(y - begin, false);
      } else {
        add_inside(x, begin, y - begin, runs, out);
      }
    }
  }

  static void add_inside(int64_t x,
                         int64_t y,
                         int64_t length,
                         RunWriter& runs,
                         MeasuredMask& out) {
    const auto column = static_cast<int32_t>(x);
    const auto top = static_cast<int32_t>(y);
    const auto bottom = static_cast<int32_t>(y + length - 1);
    if (out.area == 0) {
      out.box[0] = column;
      out.box[1] = top;
      out.box[3] = bottom;
    }
    out.box[1] = std::min(out.box[1], top);
    out.box[2] = column;
    out.box[3] = std::max(out.box[3], bottom);
    out.area += length;
    runs.add(length, true);
  }

  const MaskRunsArgs& args_;
  std::vector<float> by_columns_;  // [width, height]
  std::vector<float> low_, high_;  // [height], of three columns
  std::vector<float> samples_;     // [height]
  std::vector<float> logits_;      // [rows]
  std::vector<uint8_t> inside_;    // [rows]
  std::vector<Stretch> stretches_;
  bool has_open_ = false;
};

}  // namespace

void mask_runs(const MaskRunsArgs& args) {
  const int64_t map = args.height * args.width;
  at::parallel_for(0, args.count, 1, [&](int64_t begin, int64_t end) {
    MaskWalk walk(args);
    for (int64_t i = begin; i < end; ++i) {
      walk.measure(args.low + args.chosen[i] * map, args.out[i]);
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
