#include "declip/mask_shapes.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "declip/error.h"
#include "segment/label_map.h"

namespace declip {
namespace {

Error damaged_shapes() {
  return {ErrorCode::kInternal,
          "The lists of mask shapes do not fit together."};
}

/// Pixels of `a` that are not in `b`.
Rle without(const Rle& a, const Rle& b) {
  auto outside = b;
  // One run less or more at the beginning turns a mask inside out.
  if (!outside.counts.empty() && outside.counts.front() == 0) {
    outside.counts.erase(outside.counts.begin());
  } else {
    outside.counts.insert(outside.counts.begin(), 0);
  }
  return rle_intersection({a, outside});
}

class ShapeReader {
 public:
  explicit ShapeReader(const MaskShapes& shapes) : shapes_(shapes) {
    const size_t count = shapes.kinds.size();
    if (shapes.sizes.size() != count || shapes.ends.size() != count ||
        shapes.holes.size() != shapes.ring_ends.size()) {
      throw damaged_shapes();
    }
  }

  /// The next one; shapes come in their order.
  Rle next() {
    const size_t i = place_++;
    const uint8_t kind = shapes_.kinds[i];
    if (kind > MaskShapes::kRings) throw damaged_shapes();
    const size_t begin = std::exchange(begins_[kind], shapes_.ends[i]);
    const size_t end = shapes_.ends[i];
    const Size size = shapes_.sizes[i];
    if (end < begin) throw damaged_shapes();
    try {
      check_size(size, "The mask");
      if (kind == MaskShapes::kRings) return of_rings(begin, end, size);
      Rle mask{size, {}};
      if (kind == MaskShapes::kString) {
        if (end != begin + 1 || end > shapes_.strings.size()) {
          throw damaged_shapes();
        }
        mask = decompress_rle(shapes_.strings[begin], size);
      } else {
        if (end > shapes_.counts.size()) throw damaged_shapes();
        mask.counts.assign(shapes_.counts.begin() + begin,
                           shapes_.counts.begin() + end);
        check_counts(mask);
      }
      return rle_union({mask, mask});  // without empty runs
    } catch (const Error& error) {
      throw Error(error.code(), "#" + std::to_string(i) + ": " + error.what());
    }
  }

 private:
  Rle of_rings(size_t begin, size_t end, Size size) {
    if (end > shapes_.ring_ends.size()) throw damaged_shapes();
    std::vector<Rle> parts;
    for (size_t i = begin; i < end; ++i) {
      const size_t from = i == 0 ? 0 : shapes_.ring_ends[i - 1];
      const size_t to = shapes_.ring_ends[i];
      if (to < from || 2 * to > shapes_.corners.size()) throw damaged_shapes();
      auto ring = fill_polygon(shapes_.corners.data() + 2 * from,
                               static_cast<int64_t>(to - from),
                               size);
      if (shapes_.holes[i] == 0) {
        parts.push_back(std::move(ring));
      } else if (!parts.empty()) {
        parts.back() = without(parts.back(), ring);
      }
    }
    if (parts.empty())
      return {size, {static_cast<uint32_t>(size.height * size.width)}};
    return parts.size() == 1 ? std::move(parts.front()) : rle_union(parts);
  }

  const MaskShapes& shapes_;
  size_t place_ = 0;
  std::array<size_t, 3> begins_{};
};

}  // namespace

void each_rle(const MaskShapes& shapes,
              const Call& call,
              const std::function<void(const Rle&)>& take) {
  ShapeReader reader(shapes);
  for (size_t i = 0; i < shapes.kinds.size(); ++i) {
    call.check();
    take(reader.next());
  }
}

std::vector<Rle> rle_of(const MaskShapes& shapes, const Call& call) {
  std::vector<Rle> masks;
  masks.reserve(shapes.kinds.size());
  each_rle(shapes, call, [&](const Rle& mask) { masks.push_back(mask); });
  return masks;
}

at::Tensor fill_masks(const MaskShapes& shapes, Size size, const Call& call) {
  check_size(size, "The picture");
  ShapeReader reader(shapes);
  const auto count = static_cast<int64_t>(shapes.kinds.size());
  auto out = at::empty({count, size.height, size.width}, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    call.check();
    if (shapes.sizes[i] != size) throw damaged_shapes();
    out[i].copy_(decode_rle(reader.next()));
  }
  return out;
}

LabelMasks masks_of_labels(const at::Tensor& labels, const Call& call) {
  const LabelMap map(labels, 65536);
  return map.visit([&](const auto* data) {
    using Label = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
    constexpr int64_t kIgnored = std::numeric_limits<Label>::max();
    const int64_t pixels = map.size().height * map.size().width;
    std::vector<int64_t> place(kIgnored + 1, -1);
    for (int64_t i = 0; i < pixels; ++i) place[data[i]] = 0;
    place[kIgnored] = -1;
    LabelMasks found;
    for (int64_t value = 0; value < kIgnored; ++value) {
      if (place[value] < 0) continue;
      place[value] = static_cast<int64_t>(found.values.size());
      found.values.push_back(value);
    }
    call.check();
    found.masks = at::zeros({static_cast<int64_t>(found.values.size()),
                             map.size().height,
                             map.size().width},
                            at::kByte);
    auto* out = found.masks.template mutable_data_ptr<uint8_t>();
    for (int64_t i = 0; i < pixels; ++i) {
      const int64_t k = place[data[i]];
      if (k >= 0) out[k * pixels + i] = 1;
    }
    return found;
  });
}

}  // namespace declip
