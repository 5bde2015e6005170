#include "segment/ranked_labels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <type_traits>

namespace declip {
namespace {

static_assert(kRanks <= 4, "four bits say which ranks are below the threshold");

template <class Label>
Label* label_data(const at::Tensor& tensor) {
  return static_cast<Label*>(tensor.mutable_data_ptr());
}

/// Calls `work` with a null pointer to the type of the labels.
template <class Work>
auto with_label_type(at::ScalarType type, Work work) {
  return type == at::kByte ? work(static_cast<uint8_t*>(nullptr))
                           : work(static_cast<uint16_t*>(nullptr));
}

}  // namespace

RankedLabels::RankedLabels(Size size, at::ScalarType type)
    : classes_(at::empty({kRanks, size.height, size.width}, type)),
      flags_(at::empty({size.height, size.width}, at::kByte)) {}

void RankedLabels::take(const Postprocess& from, RowRange rows) {
  const int64_t pixels = rows.size() * flags_.size(1);
  std::vector<int32_t> classes(pixels), labels(pixels);
  uint8_t* flags = label_data<uint8_t>(flags_[rows.begin]);
  std::fill_n(flags, pixels, uint8_t{0});
  for (int64_t r = 0; r < kRanks; ++r) {
    from.rank(r, classes.data(), labels.data());
    with_label_type(classes_.scalar_type(), [&](auto* type) {
      auto* out = label_data<std::remove_pointer_t<decltype(type)>>(
          classes_[r][rows.begin]);
      for (int64_t i = 0; i < pixels; ++i) {
        if (classes[i] < 0) continue;
        out[i] = static_cast<std::remove_pointer_t<decltype(type)>>(classes[i]);
        const int below = labels[i] != classes[i] ? 1 << r : 0;
        flags[i] = static_cast<uint8_t>(flags[i] + 16 + below);
      }
    });
  }
}

int64_t RankedLabels::choose(RowRange rows,
                             const std::vector<bool>& keep,
                             int64_t uncertain,
                             const at::Tensor& labels,
                             const at::Tensor& certainty) const {
  const int64_t pixels = rows.size() * flags_.size(1);
  const std::vector<uint8_t> kept(keep.begin(), keep.end());
  const uint8_t* flags = label_data<uint8_t>(flags_[rows.begin]);
  return with_label_type(classes_.scalar_type(), [&](auto* type) {
    using Label = std::remove_pointer_t<decltype(type)>;
    const Label* ranks[kRanks];
    for (int64_t r = 0; r < kRanks; ++r) {
      ranks[r] = label_data<Label>(classes_[r][rows.begin]);
    }
    auto* out = label_data<Label>(labels);
    auto* certain = label_data<uint8_t>(certainty);
    int64_t open = 0;
    for (int64_t i = 0; i < pixels; ++i) {
      const int count = flags[i] >> 4;
      int r = 0;
      while (r < count && kept[ranks[r][i]] == 0) ++r;
      const bool found = r < count;
      const bool below = found && (flags[i] >> r & 1) != 0;
      open += found ? 0 : 1;
      out[i] = !found  ? Label{0}
               : below ? static_cast<Label>(uncertain)
                       : ranks[r][i];
      if (!found || r > 0 || out[i] != ranks[0][i]) certain[i] = 0;
    }
    return open;
  });
}

}  // namespace declip
