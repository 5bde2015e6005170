#pragma once

#include <string>
#include <string_view>

namespace declip {

/// Whether `bytes` is well-formed UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view bytes);

/// `name` between double quotes, fit for an error message: at most 160 bytes,
/// anything but printable ASCII shown as '?'.
std::string in_quotes(std::string_view name);

}  // namespace declip
