#include "declip/regions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "declip/error.h"
#include "declip/resize.h"
#include "train/random.h"

namespace declip {
namespace {

void check_count(int64_t value, const char* name) {
  if (value >= 1) return;
  throw Error(ErrorCode::kInvalidArg,
              std::string(name) + " must be at least 1, received " +
                  std::to_string(value) + ".");
}

void check_crop_scale(double scale) {
  if (scale >= 1 && std::isfinite(scale)) return;
  throw Error(
      ErrorCode::kInvalidArg,
      "cropScale must be 1 or more, received " + std::to_string(scale) + ".");
}

/// Whole pixels from..to within 0..limit, at least one.
std::pair<int64_t, int64_t> whole(double from, double to, int64_t limit) {
  const auto low = std::clamp<int64_t>(std::llrint(from), 0, limit - 1);
  return {low, std::clamp<int64_t>(std::llrint(to), low + 1, limit)};
}

}  // namespace

PixelBox enlarged_box(const PixelBox& box, double scale, Size picture) {
  const double x = (box.x1 + box.x2) / 2, y = (box.y1 + box.y2) / 2;
  const double w = (box.x2 - box.x1) * scale / 2;
  const double h = (box.y2 - box.y1) * scale / 2;
  return {std::max(x - w, 0.0),
          std::max(y - h, 0.0),
          std::min(x + w, static_cast<double>(picture.width)),
          std::min(y + h, static_cast<double>(picture.height))};
}

std::vector<std::pair<int64_t, int64_t>> grid_splits(int64_t most) {
  check_count(most, "maxSplit");
  std::vector<std::pair<int64_t, int64_t>> out;
  for (int64_t m = 1; m <= most; ++m) {
    for (int64_t n = (m + 1) / 2; n <= std::min(2 * m, most); ++n) {
      out.emplace_back(m, n);
    }
  }
  return out;
}

std::vector<Region> grid_regions(Size picture,
                                 const GridOptions& options,
                                 uint64_t seed) {
  check_size(picture, "The picture");
  check_count(options.most_boxes, "maxBoxes");
  check_crop_scale(options.crop_scale);
  SplitMix random(seed);
  const auto splits = grid_splits(options.most_splits);
  const auto [rows, columns] = splits[static_cast<size_t>(
      random.below(static_cast<int64_t>(splits.size())))];
  // In float32 and from both ends, as linspace() makes them: an edge that lies
  // just beside a half decides how the crop is rounded.
  const auto edge = [](int64_t i, int64_t parts, int64_t side) {
    const float step = 1.0f / static_cast<float>(parts);
    const float share = 2 * i < parts + 1
                            ? step * static_cast<float>(i)
                            : 1.0f - step * static_cast<float>(parts - i);
    return static_cast<double>(share * static_cast<float>(side));
  };
  std::vector<Region> cells;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const PixelBox box{edge(c, columns, picture.width),
                         edge(r, rows, picture.height),
                         edge(c + 1, columns, picture.width),
                         edge(r + 1, rows, picture.height)};
      cells.push_back({box, enlarged_box(box, options.crop_scale, picture)});
    }
  }
  return random.sample(std::move(cells), options.most_boxes);
}

std::vector<Region> proposal_regions(Size picture,
                                     const std::vector<PixelBox>& proposals,
                                     const ProposalOptions& options,
                                     uint64_t seed) {
  check_size(picture, "The picture");
  check_count(options.most_boxes, "maxBoxes");
  check_crop_scale(options.crop_scale);
  SplitMix random(seed);
  std::vector<Region> out;
  for (const auto& box : random.sample(proposals, options.most_boxes)) {
    const double area = (box.x2 - box.x1) * (box.y2 - box.y1);
    if (!std::isfinite(area) || box.x2 < box.x1 || box.y2 < box.y1) {
      throw Error(ErrorCode::kInvalidArg,
                  "A proposal must be finite x1, y1, x2, y2 with x2 >= x1 and "
                  "y2 >= y1.");
    }
    if (area < options.least_side * options.least_side ||
        area > options.most_side * options.most_side) {
      continue;
    }
    out.push_back({box, enlarged_box(box, options.crop_scale, picture)});
  }
  if (out.empty()) {
    const double w = static_cast<double>(picture.width) / 4;
    const double h = static_cast<double>(picture.height) / 4;
    out.push_back({{0, 0, w, h}, {0, 0, std::floor(w), std::floor(h)}});
  }
  return out;
}

at::Tensor crop_region(const uint8_t* rgb,
                       Size picture,
                       const PixelBox& crop,
                       int64_t side,
                       const std::array<double, 3>& mean,
                       const std::array<double, 3>& std) {
  check_size(picture, "The picture");
  if (!std::isfinite(crop.x1 + crop.y1 + crop.x2 + crop.y2) ||
      std::abs(crop.x1) > 1e9 || std::abs(crop.y1) > 1e9 ||
      std::abs(crop.x2) > 1e9 || std::abs(crop.y2) > 1e9) {
    throw Error(ErrorCode::kInvalidArg,
                "A crop must be pixels of its picture.");
  }
  const auto [left, right] = whole(crop.x1, crop.x2, picture.width);
  const auto [top, bottom] = whole(crop.y1, crop.y2, picture.height);
  const auto part = at::from_blob(const_cast<uint8_t*>(rgb),
                                  {picture.height, picture.width, 3},
                                  at::kByte)
                        .slice(0, top, bottom)
                        .slice(1, left, right)
                        .contiguous();
  return preprocess(part.const_data_ptr<uint8_t>(),
                    {bottom - top, right - left},
                    Fit::kPadAround,
                    side,
                    mean,
                    std);
}

at::Tensor region_rows(Size picture,
                       const std::vector<Region>& regions,
                       int64_t rows) {
  check_size(picture, "The picture");
  if (static_cast<int64_t>(regions.size()) > rows) {
    throw Error(ErrorCode::kInvalidArg,
                "There are " + std::to_string(regions.size()) +
                    " regions for " + std::to_string(rows) + " rows.");
  }
  // The square's side cancels: min(S / h, S / w) / S.
  const double share =
      1.0 / static_cast<double>(std::max(picture.height, picture.width));
  auto out = at::zeros({rows, 5}, at::kFloat);
  float* row = out.mutable_data_ptr<float>();
  for (const auto& [box, crop] : regions) {
    *row++ = static_cast<float>(box.x1 * share);
    *row++ = static_cast<float>(box.y1 * share);
    *row++ = static_cast<float>(box.x2 * share);
    *row++ = static_cast<float>(box.y2 * share);
    *row++ = 1.0f;
  }
  return out;
}

}  // namespace declip
