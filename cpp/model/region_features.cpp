#include "declip/region_features.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "declip/error.h"
#include "declip/model.h"
#include "kernels/mask_pool.h"
#include "kernels/roi_align.h"

namespace declip {
namespace {

void check_pooling(const at::Tensor& map,
                   Size input,
                   int64_t regions,
                   const PoolOptions& options) {
  if (map.dim() != 4 || map.size(0) < 1 || map.size(2) < 1 || map.size(3) < 1 ||
      !at::isFloatingType(map.scalar_type()) || input.height < 1 ||
      input.width < 1) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("Regions are pooled from float features [B, E, h, w] "
                         "of an input, received ",
                         map.sizes(),
                         " of ",
                         input.height,
                         " x ",
                         input.width,
                         "."));
  }
  const auto& index = options.image_index;
  if (index.empty()) return;
  if (static_cast<int64_t>(index.size()) != regions) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("imageIndex must have one entry per region (",
                         regions,
                         "), received ",
                         index.size(),
                         "."));
  }
  for (const int64_t i : index) {
    if (i >= 0 && i < map.size(0)) continue;
    throw Error(ErrorCode::kInvalidArg,
                c10::str("imageIndex must be 0..",
                         map.size(0) - 1,
                         " (the batch), received ",
                         i,
                         "."));
  }
}

at::Tensor batch_index(const PoolOptions& options, int64_t regions) {
  return options.image_index.empty()
             ? at::zeros({regions}, at::kLong)
             : at::tensor(options.image_index, at::kLong);
}

/// Masks [K, H, W] of a picture that was fitted into the grid's square by its
/// long side: resized the same way, nothing where the padding is. Sides round
/// half to even, as the evaluation's Python does.
at::Tensor padded_grid_masks(const at::Tensor& masks, int64_t h, int64_t w) {
  const double scale =
      static_cast<double>(std::max(h, w)) /
      static_cast<double>(std::max(masks.size(1), masks.size(2)));
  const auto side = [&](int64_t length, int64_t limit) {
    const auto scaled = static_cast<int64_t>(
        std::nearbyint(static_cast<double>(length) * scale));
    return std::clamp<int64_t>(scaled, 1, limit);
  };
  const int64_t mh = side(masks.size(1), h), mw = side(masks.size(2), w);
  return at::constant_pad_nd(
      resize_masks_bicubic(masks, mh, mw), {0, w - mw, 0, h - mh}, 0);
}

}  // namespace

at::Tensor pool_boxes(const at::Tensor& map,
                      Size input,
                      const at::Tensor& boxes,
                      const PoolOptions& options) {
  const c10::InferenceMode guard;
  if (boxes.dim() != 2 || boxes.size(1) != 4) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("boxes must be [K, 4] (x1, y1, x2, y2 in pixels), "
                         "received ",
                         boxes.sizes(),
                         "."));
  }
  check_pooling(map, input, boxes.size(0), options);
  if (!boxes.to(at::kFloat).isfinite().all().item<bool>()) {
    throw Error(ErrorCode::kInvalidArg, "boxes must be finite numbers.");
  }
  // pixels -> 0..1 of the whole picture -> feature grid, as the papers' code.
  // In double: the picture as a whole must not come out longer than the grid,
  // which RoIAlign would give one sample more.
  const auto sides = [](int64_t height, int64_t width) {
    const auto h = static_cast<double>(height);
    const auto w = static_cast<double>(width);
    return at::tensor({w, h, w, h}, at::kDouble);
  };
  const auto on_grid = boxes.to(at::kCPU, at::kDouble) *
                       sides(map.size(2), map.size(3)) /
                       sides(input.height, input.width);
  const auto pooled = roi_align(map,
                                on_grid.to(at::kFloat),
                                batch_index(options, boxes.size(0)),
                                /*scale_y=*/1,
                                /*scale_x=*/1)
                          .flatten(1);
  return options.normalize ? l2_normalize(pooled, 1) : pooled;
}

at::Tensor pool_masks(const at::Tensor& map,
                      Size input,
                      const at::Tensor& masks,
                      bool padded,
                      const PoolOptions& options) {
  const c10::InferenceMode guard;
  if (masks.dim() != 3) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("masks must be [K, h, w] on the patch grid or "
                         "[K, H, W] in pixels, received ",
                         masks.sizes(),
                         "."));
  }
  check_pooling(map, input, masks.size(0), options);
  const int64_t h = map.size(2), w = map.size(3);
  at::Tensor grid_masks;
  if (padded && masks.size(1) > 0 && masks.size(2) > 0) {
    grid_masks = padded_grid_masks(masks.to(at::kCPU), h, w);
  } else if (masks.size(1) == h && masks.size(2) == w) {
    grid_masks = masks.to(at::kCPU).ne(0);
  } else if (masks.size(1) == input.height && masks.size(2) == input.width) {
    grid_masks = resize_masks_bicubic(masks.to(at::kCPU), h, w);
  } else {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("masks must lie on the patch grid (",
                         h,
                         " x ",
                         w,
                         ") or on the image's pixels (",
                         input.height,
                         " x ",
                         input.width,
                         "), received ",
                         masks.sizes(),
                         "."));
  }
  const auto pooled =
      mask_pool(map, grid_masks, batch_index(options, masks.size(0)));
  return options.normalize ? l2_normalize(pooled, 1) : pooled;
}

std::vector<PixelBox> boxes_of_masks(const at::Tensor& masks) {
  const auto type = masks.scalar_type();
  if (masks.dim() != 3 || (type != at::kByte && type != at::kBool)) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("masks must be uint8 or bool [K, H, W], received ",
                         at::toString(type),
                         " ",
                         masks.sizes(),
                         "."));
  }
  const int64_t height = masks.size(1), width = masks.size(2);
  const auto rows = masks.to(at::kCPU).contiguous();
  const auto* pixel = static_cast<const uint8_t*>(rows.const_data_ptr());
  const auto is_set = [](uint8_t v) { return v != 0; };
  std::vector<PixelBox> boxes(static_cast<size_t>(masks.size(0)));
  for (auto& box : boxes) {
    int64_t left = width, right = 0, top = height, bottom = 0;
    for (int64_t y = 0; y < height; ++y, pixel += width) {
      const uint8_t* end = pixel + width;
      const uint8_t* first = std::find_if(pixel, end, is_set);
      if (first == end) continue;
      top = std::min(top, y);
      bottom = y + 1;
      left = std::min<int64_t>(left, first - pixel);
      // Only what lies right of what is known can move the edge.
      const uint8_t* last = end;
      while (last - pixel > right && last[-1] == 0) --last;
      right = std::max<int64_t>(right, last - pixel);
    }
    if (bottom == 0) continue;
    box = {static_cast<double>(left),
           static_cast<double>(top),
           static_cast<double>(right),
           static_cast<double>(bottom)};
  }
  return boxes;
}

}  // namespace declip
