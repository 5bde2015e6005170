#include "declip/size.h"

#include <string>

#include "declip/error.h"

namespace declip {

void check_size(Size size, const char* what) {
  constexpr int64_t kMaxPixels = (int64_t{1} << 31) - 1;
  const bool positive = size.height >= 1 && size.width >= 1;
  // Divided instead of multiplied: the product may not fit.
  if (positive && size.height <= kMaxPixels / size.width) return;
  throw Error(ErrorCode::kInvalidArg,
              std::string(what) +
                  " must have sides of at least 1 pixel and fewer than 2^31 "
                  "pixels in all, received " +
                  std::to_string(size.height) + " x " +
                  std::to_string(size.width) + " (height x width).");
}

}  // namespace declip
