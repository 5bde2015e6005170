#include "declip/region_map.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kMostMasks = std::numeric_limits<int32_t>::max() - 1;

/// Keeps of every pixel the mask that would be painted last, so that masks may
/// come in any order and need not be kept.
class RegionPainter {
 public:
  RegionPainter(int64_t pixels, int64_t masks, std::vector<double> keys)
      : given_(std::move(keys)), owner_(at::zeros({pixels}, at::kInt)) {
    if (masks > kMostMasks ||
        (!given_.empty() && static_cast<int64_t>(given_.size()) != masks)) {
      throw Error(ErrorCode::kInvalidArg,
                  "Masks need one key each, received " +
                      std::to_string(given_.size()) + " for " +
                      std::to_string(masks) + ".");
    }
    owners_ = owner_.mutable_data_ptr<int32_t>();
  }

  /// The next mask, which has so many pixels.
  void begin(int64_t area) {
    const size_t place = keys_.size();
    keys_.push_back(given_.empty() ? static_cast<double>(area) : given_[place]);
  }

  void add(int64_t from, int64_t to) {
    const auto mine = static_cast<int32_t>(keys_.size());
    const double key = keys_.back();
    for (int64_t i = from; i < to; ++i) {
      const int32_t other = owners_[i];
      if (other == 0 || keys_[other - 1] <= key) owners_[i] = mine;
    }
  }

  /// The numbers in the order of painting; [pixels].
  at::Tensor finish() {
    std::vector<int32_t> order(keys_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return keys_[a] < keys_[b];
    });
    std::vector<int32_t> number(keys_.size() + 1);
    for (size_t i = 0; i < order.size(); ++i) {
      number[order[i] + 1] = static_cast<int32_t>(i + 1);
    }
    const int64_t pixels = owner_.numel();
    for (int64_t i = 0; i < pixels; ++i) owners_[i] = number[owners_[i]];
    return owner_;
  }

 private:
  std::vector<double> given_;
  std::vector<double> keys_;
  at::Tensor owner_;  // place of the mask + 1, 0 for none
  int32_t* owners_ = nullptr;
};

at::Tensor checked_map(const at::Tensor& regions) {
  if (regions.dim() != 2 || regions.scalar_type() != at::kInt) {
    throw Error(ErrorCode::kInvalidArg, "Regions must be int32 [H, W].");
  }
  return regions.to(at::kCPU).contiguous();
}

}  // namespace

at::Tensor paint_regions(const MaskShapes& shapes,
                         Size size,
                         const std::vector<double>& keys,
                         const Call& call) {
  check_size(size, "The picture");
  RegionPainter painter(size.height * size.width,
                        static_cast<int64_t>(shapes.kinds.size()),
                        keys);
  each_rle(shapes, call, [&](const Rle& mask) {
    if (mask.size != size) {
      throw Error(ErrorCode::kInternal, "A mask is of another picture.");
    }
    painter.begin(rle_area(mask));
    int64_t at = 0;
    for (size_t i = 0; i < mask.counts.size(); ++i) {
      const int64_t end = at + mask.counts[i];
      if (i % 2 == 1) painter.add(at, end);
      at = end;
    }
  });
  return painter.finish().view({size.width, size.height}).t().contiguous();
}

at::Tensor paint_regions(const at::Tensor& masks,
                         const std::vector<double>& keys,
                         const Call& call) {
  const auto type = masks.scalar_type();
  if (masks.dim() != 3 || (type != at::kByte && type != at::kBool)) {
    throw Error(ErrorCode::kInvalidArg,
                "Masks must be bool or uint8 [K, H, W], not 0 inside.");
  }
  const Size size{masks.size(1), masks.size(2)};
  check_size(size, "The picture");
  const int64_t pixels = size.height * size.width;
  RegionPainter painter(pixels, masks.size(0), keys);
  for (int64_t k = 0; k < masks.size(0); ++k) {
    call.check();
    const auto mask = masks[k].to(at::kCPU).contiguous();
    const auto* inside = static_cast<const uint8_t*>(mask.const_data_ptr());
    painter.begin(std::count_if(
        inside, inside + pixels, [](uint8_t value) { return value != 0; }));
    for (int64_t at = 0; at < pixels;) {
      if (inside[at] == 0) {
        ++at;
        continue;
      }
      int64_t end = at + 1;
      while (end < pixels && inside[end] != 0) ++end;
      painter.add(at, end);
      at = end;
    }
  }
  return painter.finish().view({size.height, size.width});
}

std::vector<int32_t> region_values(const at::Tensor& regions,
                                   int64_t limit,
                                   const Call& call) {
  const auto map = checked_map(regions);
  const int32_t* data = map.const_data_ptr<int32_t>();
  const auto most = static_cast<size_t>(limit);
  std::vector<int32_t> values;
  const auto tidy = [&] {
    call.check();
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    if (values.size() <= most) return;
    throw Error(ErrorCode::kInvalidArg,
                "A map of regions may have at most " + std::to_string(limit) +
                    " of them here, received more; is it a map of numbers for "
                    "something else?");
  };
  for (int64_t i = 0; i < map.numel(); ++i) {
    if (data[i] == 0 || (i > 0 && data[i] == data[i - 1])) continue;
    values.push_back(data[i]);
    if (values.size() >= 4 * most + (1 << 20)) tidy();
  }
  tidy();
  return values;
}

at::Tensor masks_of_regions(const at::Tensor& regions,
                            const std::vector<int32_t>& values,
                            const Call& call) {
  const auto map = checked_map(regions);
  auto masks =
      at::empty({static_cast<int64_t>(values.size()), map.size(0), map.size(1)},
                at::kByte);
  for (size_t k = 0; k < values.size(); ++k) {
    call.check();
    masks[static_cast<int64_t>(k)].copy_(map.eq(values[k]));
  }
  return masks;
}

}  // namespace declip
