#pragma once

#include <cstdint>

namespace declip {

/// Height and width in pixels.
struct Size {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const Size&) const = default;
};

/// Throws Error(kInvalidArg) unless both sides are at least 1 and the picture
/// has fewer than 2^31 pixels. `what` names it in the message.
void check_size(Size size, const char* what);

}  // namespace declip
