#include "files/text.h"

#include <cstddef>
#include <cstdint>

namespace declip {

bool is_utf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<uint8_t>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    // Range of the second byte depends on the lead (Unicode 15, table 3-7).
    size_t length = 0;
    uint8_t low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    if (bytes.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<uint8_t>(bytes[i + k]);
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xBF;
    }
    i += length;
  }
  return true;
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kLongest = 160;
  std::string out = "\"";
  for (const char c : name.substr(0, kLongest)) {
    out += c >= 0x20 && c < 0x7F ? c : '?';
  }
  if (name.size() > kLongest) out += "...";
  out += '"';
  return out;
}

}  // namespace declip
