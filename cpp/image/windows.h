#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// Rows y1..y2 and columns x1..x2 of an image, ends excluded.
struct Window {
  int64_t y1 = 0;
  int64_t x1 = 0;
  int64_t y2 = 0;
  int64_t x2 = 0;
  bool operator==(const Window&) const = default;
};

/// Pixels added around a window.
struct Padding {
  int64_t top = 0;
  int64_t left = 0;
  int64_t bottom = 0;
  int64_t right = 0;
  bool operator==(const Padding&) const = default;
};

/// Where the windows of an image lie: a grid of equal windows, the last row and
/// column moved back so that they end with the image.
struct WindowPlan {
  int64_t height = 0;  // of the image
  int64_t width = 0;
  int64_t window_height = 0;  // of every window, without padding
  int64_t window_width = 0;
  std::vector<int64_t> tops;   // y1 of each row of windows
  std::vector<int64_t> lefts;  // x1 of each column of windows
  Padding padding;             // the same for every window
  /// One pass over the whole image whose map goes straight to the output size,
  /// without the detour over the image's own pixels.
  bool whole = false;

  int64_t size() const {
    return static_cast<int64_t>(tops.size() * lefts.size());
  }
  /// Row-major: window 1 is to the right of window 0.
  Window operator[](int64_t index) const;
  int64_t padded_height() const;
  int64_t padded_width() const;
};

/// Plans windows of `side` x `side` pixels, or of the image's own extent where
/// that is smaller, `stride` apart. side 0: one window, the whole image.
/// pad_to > 1: every window gets zeros around it up to a multiple of `pad_to`,
/// the odd pixel at the right or bottom (ClearCLIP).
WindowPlan plan_windows(int64_t height,
                        int64_t width,
                        int64_t side,
                        int64_t stride,
                        int64_t pad_to = 1);

/// Cuts the windows first..last (last excluded) out of a normalised image
/// [1, 3, H, W] and pads them: [last - first, 3, padded_height, padded_width].
at::Tensor cut_windows(const at::Tensor& image,
                       const WindowPlan& plan,
                       int64_t first,
                       int64_t last);

}  // namespace declip
