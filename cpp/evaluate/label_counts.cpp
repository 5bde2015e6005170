#include "declip/label_counts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "declip/error.h"
#include "segment/label_map.h"

namespace declip {
namespace {

/// Rows between two looks at the call.
constexpr int64_t kRowsPerCheck = 64;

/// Pixels by pair of stored values. Neighbours mostly have the same pair, so
/// what is added is a run of pixels.
template <class P, class T>
class PairCounts {
 public:
  void add(P prediction, T truth, int64_t pixels) {
    if constexpr (kSmall) {
      table_[truth << 8 | prediction] += pixels;
    } else {
      pairs_[static_cast<uint32_t>(truth) << 16 | prediction] += pixels;
    }
  }

  /// `take(prediction, truth, pixels)` for every pair that occurs.
  template <class Take>
  void each(Take take) const {
    if constexpr (kSmall) {
      for (int64_t at = 0; at < static_cast<int64_t>(table_.size()); ++at) {
        if (table_[at] > 0) take(at & 0xff, at >> 8, table_[at]);
      }
    } else {
      for (const auto& [key, pixels] : pairs_) {
        take(key & 0xffff, key >> 16, pixels);
      }
    }
  }

 private:
  static constexpr bool kSmall = sizeof(P) == 1 && sizeof(T) == 1;
  std::vector<int64_t> table_ = std::vector<int64_t>(kSmall ? 1 << 16 : 0);
  std::unordered_map<uint32_t, int64_t> pairs_;
};

template <class P, class T>
PairCounts<P, T> count_pairs(const P* prediction,
                             const T* truth,
                             Size size,
                             const Call& call) {
  PairCounts<P, T> counts;
  P p = prediction[0];  // of the current run
  T t = truth[0];
  int64_t begun = 0;
  for (int64_t y = 0; y < size.height; ++y) {
    if (y % kRowsPerCheck == 0) call.check();
    const int64_t end = (y + 1) * size.width;
    for (int64_t i = y * size.width; i < end; ++i) {
      if (prediction[i] == p && truth[i] == t) continue;
      counts.add(p, t, i - begun);
      p = prediction[i];
      t = truth[i];
      begun = i;
    }
  }
  counts.add(p, t, size.height * size.width - begun);
  return counts;
}

}  // namespace

std::vector<LabelPair> count_labels(const at::Tensor& prediction,
                                    const at::Tensor& truth,
                                    int64_t classes,
                                    int64_t ignore,
                                    const Call& call) {
  const LabelMap predicted(prediction, classes);
  const LabelMap labelled(truth, classes);
  if (predicted.size() != labelled.size()) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("The prediction must have the truth's size, ",
                         labelled.size().height,
                         " x ",
                         labelled.size().width,
                         " (height x width), received ",
                         predicted.size().height,
                         " x ",
                         predicted.size().width,
                         "."));
  }
  std::map<std::pair<int64_t, int64_t>, int64_t> sums;
  const auto add = [&](int64_t from, int64_t label, int64_t pixels) {
    if (label == ignore) return;
    sums[{std::min(label, classes), std::min(from, classes)}] += pixels;
  };
  predicted.visit([&](const auto* p) {
    labelled.visit([&](const auto* t) {
      count_pairs(p, t, labelled.size(), call).each(add);
    });
  });
  std::vector<LabelPair> pairs;
  pairs.reserve(sums.size());
  for (const auto& [key, pixels] : sums) {
    pairs.push_back({key.first, key.second, pixels});
  }
  return pairs;
}

}  // namespace declip
