#include "detect/paste.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "declip/error.h"
#include "kernels/run_writer.h"

namespace declip {
namespace {

/// Where a pixel is sampled along an axis: between samples `first` and
/// `first` + 1, of which -1 and the one behind the last are zeros.
struct PasteTap {
  int32_t first;
  float weight;  // of the second
};

/// The pixels begin..begin + taps.size() of an axis that get anything.
struct PasteAxis {
  int64_t begin = 0;
  std::vector<PasteTap> taps;

  int64_t size() const { return static_cast<int64_t>(taps.size()); }
};

/// In float32 and in the order of mmdetection's _do_paste_mask() and of
/// PyTorch's grid_sample().
PasteAxis paste_axis(float low, float high, int64_t extent, int64_t samples) {
  PasteAxis axis;
  const auto count = static_cast<float>(samples);
  // A sample reaches half its width out of the box.
  const double reach = 0.5 * (static_cast<double>(high) - low) / count + 2;
  const auto edge = [&](double place) {
    return static_cast<int64_t>(
        std::clamp(place, 0.0, static_cast<double>(extent)));
  };
  const int64_t start = edge(std::floor(low - reach));
  const int64_t end = edge(std::ceil(high + reach));
  for (int64_t i = start; i < end; ++i) {
    const float at = (static_cast<float>(i) + 0.5f - low) / (high - low);
    const float place = ((at * 2 - 1 + 1) * count - 1) / 2;
    if (!(place > -1.0f) || !(place < count)) {
      if (axis.taps.empty()) continue;
      break;
    }
    if (axis.taps.empty()) axis.begin = i;
    const float whole = std::floor(place);
    axis.taps.push_back({static_cast<int32_t>(whole), place - whole});
  }
  return axis;
}

/// Rows begin..end of a column that lie between the same two samples.
struct PasteCell {
  int32_t first;
  int64_t begin, end;
};

class MaskPaste {
 public:
  MaskPaste(Size picture, int64_t samples, float threshold)
      : picture_(picture),
        samples_(samples),
        threshold_(threshold),
        column_(static_cast<size_t>(samples + 2)) {}

  Rle paste(const float* map, const float* box) {
    Rle out{picture_, {}};
    RunWriter runs(out.counts);
    int64_t left = picture_.height * picture_.width;  // pixels to write
    const bool solid = std::isfinite(box[0]) && std::isfinite(box[1]) &&
                       std::isfinite(box[2]) && std::isfinite(box[3]) &&
                       box[2] > box[0] && box[3] > box[1];
    if (solid) {
      const auto columns = paste_axis(box[0], box[2], picture_.width, samples_);
      const auto rows = paste_axis(box[1], box[3], picture_.height, samples_);
      if (columns.size() > 0 && rows.size() > 0) {
        cut(rows);
        int64_t before = columns.begin * picture_.height + rows.begin;
        for (const PasteTap& tap : columns.taps) {
          runs.add(before, false);
          left -= before + rows.size();
          before = picture_.height - rows.size();
          sample(map, tap);
          walk(rows, runs);
        }
      }
    }
    runs.add(left, false);
    runs.finish();
    return out;
  }

 private:
  void cut(const PasteAxis& rows) {
    cells_.clear();
    for (int64_t y = 0; y < rows.size(); ++y) {
      const int32_t first = rows.taps[static_cast<size_t>(y)].first;
      if (cells_.empty() || cells_.back().first != first) {
        cells_.push_back({first, y, y});
      }
      cells_.back().end = y + 1;
    }
  }

  /// The map's column under a picture's, with a zero at either end.
  void sample(const float* map, const PasteTap& tap) {
    const bool has_first = tap.first >= 0;
    const bool has_second = tap.first + 1 < samples_;
    for (int64_t m = 0; m < samples_; ++m) {
      const float* row = map + m * samples_;
      float sum = 0;
      if (has_first) sum += row[tap.first] * (1.0f - tap.weight);
      if (has_second) sum += row[tap.first + 1] * tap.weight;
      column_[static_cast<size_t>(m + 1)] = sum;
    }
  }

  void walk(const PasteAxis& rows, RunWriter& runs) const {
    for (const PasteCell& cell : cells_) {
      const float above = column_[static_cast<size_t>(cell.first + 1)];
      const float below = column_[static_cast<size_t>(cell.first + 2)];
      const bool from = above >= threshold_, to = below >= threshold_;
      if (from == to) {
        runs.add(cell.end - cell.begin, from);
        continue;
      }
      for (int64_t y = cell.begin; y < cell.end; ++y) {
        const float weight = rows.taps[static_cast<size_t>(y)].weight;
        runs.add(1, above * (1.0f - weight) + below * weight >= threshold_);
      }
    }
  }

  const Size picture_;
  const int64_t samples_;
  const float threshold_;
  std::vector<float> column_;
  std::vector<PasteCell> cells_;
};

}  // namespace

std::vector<Rle> paste_masks(const at::Tensor& probabilities,
                             const at::Tensor& boxes,
                             Size picture,
                             double threshold) {
  const int64_t count = probabilities.size(0);
  if (probabilities.dim() != 3 ||
      probabilities.size(1) != probabilities.size(2) || boxes.dim() != 2 ||
      boxes.size(0) != count || boxes.size(1) != 4 || !(threshold > 0)) {
    throw Error(ErrorCode::kInternal,
                "Pasting takes maps [N, m, m], a box for each and a threshold "
                "above 0.");
  }
  check_size(picture, "The picture");
  const auto maps =
      probabilities.detach().to(at::kCPU, at::kFloat).contiguous();
  const auto sides = boxes.detach().to(at::kCPU, at::kFloat).contiguous();
  const int64_t samples = maps.size(1);
  const float* map = maps.const_data_ptr<float>();
  const float* box = sides.const_data_ptr<float>();
  std::vector<Rle> out(static_cast<size_t>(count));
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    MaskPaste paste(picture, samples, static_cast<float>(threshold));
    for (int64_t n = begin; n < end; ++n) {
      out[static_cast<size_t>(n)] =
          paste.paste(map + n * samples * samples, box + 4 * n);
    }
  });
  return out;
}

}  // namespace declip
