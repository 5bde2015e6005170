#include "segment/vote.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "declip/error.h"
#include "segment/label_map.h"

namespace declip {
namespace {

/// From the values of a region map to places 0, 1 ...
class RegionPlaces {
 public:
  RegionPlaces(const int32_t* values, int64_t pixels) {
    const auto [low, high] = std::minmax_element(values, values + pixels);
    smallest_ = *low;
    const int64_t range = int64_t{*high} - *low + 1;
    if (range <= std::max<int64_t>(pixels, kSmallTable)) {
      table_.resize(range, -1);
      for (int64_t i = 0; i < pixels; ++i) table_[values[i] - smallest_] = 0;
      for (auto& place : table_) {
        if (place == 0) place = static_cast<int32_t>(count_++);
      }
      return;
    }
    // Values far apart: those that occur, sorted.
    for (int64_t i = 0; i < pixels; ++i) {
      if (i == 0 || values[i] != values[i - 1]) sorted_.push_back(values[i]);
    }
    std::sort(sorted_.begin(), sorted_.end());
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
    count_ = static_cast<int64_t>(sorted_.size());
  }

  int64_t count() const { return count_; }
  int32_t smallest() const { return static_cast<int32_t>(smallest_); }

  /// Of a value that occurs.
  int32_t of(int32_t value) const {
    if (!table_.empty()) return table_[value - smallest_];
    return static_cast<int32_t>(
        std::lower_bound(sorted_.begin(), sorted_.end(), value) -
        sorted_.begin());
  }

 private:
  static constexpr int64_t kSmallTable = 1 << 16;

  int64_t smallest_ = 0;
  int64_t count_ = 0;
  std::vector<int32_t> table_;   // by value - smallest_, -1: does not occur
  std::vector<int32_t> sorted_;  // where there is no table
};

/// Calls `take(begin, end, place)` for every stretch of one value that votes.
template <class Take>
void each_stretch(const int32_t* values,
                  int64_t pixels,
                  const RegionPlaces& places,
                  int32_t abstaining,
                  Take take) {
  for (int64_t begin = 0; begin < pixels;) {
    const int32_t value = values[begin];
    int64_t end = begin + 1;
    while (end < pixels && values[end] == value) ++end;
    if (value != abstaining) take(begin, end, places.of(value));
    begin = end;
  }
}

}  // namespace

void check_regions(const at::Tensor& regions, Size size) {
  if (regions.dim() == 2 && regions.scalar_type() == at::kInt &&
      regions.size(0) == size.height && regions.size(1) == size.width) {
    return;
  }
  std::string found;
  for (const int64_t side : regions.sizes()) {
    found += (found.empty() ? "" : ", ") + std::to_string(side);
  }
  throw Error(ErrorCode::kInvalidArg,
              "regions must be int32 [" + std::to_string(size.height) + ", " +
                  std::to_string(size.width) +
                  "] of the picture as it came, received " +
                  std::string(at::toString(regions.scalar_type())) + " [" +
                  found + "].");
}

void vote_in_regions(const at::Tensor& regions,
                     bool smallest_abstains,
                     Segmentation& result,
                     const Call& call) {
  const auto classes = static_cast<int64_t>(result.counts.size());
  const LabelMap map(result.labels, classes);
  check_regions(regions, map.size());
  const auto plane = regions.to(at::kCPU).contiguous();
  const int32_t* values = plane.const_data_ptr<int32_t>();
  const int64_t pixels = plane.numel();
  call.check();
  const RegionPlaces places(values, pixels);
  const int32_t abstaining = smallest_abstains ? places.smallest() : 0;

  result.labels = result.labels.to(at::kCPU).contiguous();
  result.certainty = result.certainty.to(at::kCPU).contiguous();
  auto* certainty = result.certainty.mutable_data_ptr<uint8_t>();
  const auto vote = [&](auto* labels) {
    using Label = std::remove_pointer_t<decltype(labels)>;
    // The labels of region after region, as a counting sort has them.
    std::vector<int64_t> ends(places.count() + 1, 0);
    each_stretch(values,
                 pixels,
                 places,
                 abstaining,
                 [&](int64_t begin, int64_t end, int32_t place) {
                   ends[place + 1] += end - begin;
                 });
    for (size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
    std::vector<Label> sorted(ends.back());
    auto next = ends;
    call.check();
    each_stretch(
        values,
        pixels,
        places,
        abstaining,
        [&](int64_t begin, int64_t end, int32_t place) {
          std::copy(labels + begin, labels + end, sorted.begin() + next[place]);
          next[place] += end - begin;
        });
    call.check();
    std::vector<int64_t> seen(classes, 0);  // of one region; zeros in between
    std::vector<Label> winner(places.count());
    for (int64_t r = 0; r < places.count(); ++r) {
      const auto first = sorted.begin() + ends[r];
      const auto last = sorted.begin() + ends[r + 1];
      Label best{};
      int64_t most = 0;
      std::for_each(first, last, [&](Label label) { ++seen[label]; });
      std::for_each(first, last, [&](Label label) {
        const int64_t count = seen[label];
        if (count > most || (count == most && label < best)) {
          most = count;
          best = label;
        }
        // Asked once: what follows is the label's repetitions.
        seen[label] = 0;
      });
      winner[r] = best;
    }
    call.check();
    each_stretch(values,
                 pixels,
                 places,
                 abstaining,
                 [&](int64_t begin, int64_t end, int32_t place) {
                   const Label label = winner[place];
                   for (int64_t i = begin; i < end; ++i) {
                     if (labels[i] == label) continue;
                     --result.counts[labels[i]];
                     ++result.counts[label];
                     labels[i] = label;
                     certainty[i] = 0;
                   }
                 });
  };
  void* data = result.labels.mutable_data_ptr();
  if (result.labels.scalar_type() == at::kByte) {
    vote(static_cast<uint8_t*>(data));
  } else {
    vote(static_cast<uint16_t*>(data));
  }
}

}  // namespace declip
