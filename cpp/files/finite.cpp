#include "files/finite.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace declip {
namespace {

/// A number whose exponent has all bits set is NaN or infinite.
template <typename Bits>
bool exponents_finite(const void* data, size_t count, Bits exponent) {
  constexpr size_t kPiece = 4096;  // known to the compiler, which vectorizes
  const auto* values = static_cast<const Bits*>(data);
  const auto find = [exponent](const Bits* piece, size_t length) {
    Bits found = 0;
    for (size_t i = 0; i < length; ++i) {
      found |= static_cast<Bits>((piece[i] & exponent) == exponent);
    }
    return found != 0;
  };
  size_t at = 0;
  for (; at + kPiece <= count; at += kPiece) {
    if (find(values + at, kPiece)) return false;
  }
  return !find(values + at, count - at);
}

}  // namespace

bool all_finite(const at::Tensor& tensor) {
  if (!tensor.defined() || !at::isFloatingType(tensor.scalar_type())) {
    return true;
  }
  const at::Tensor dense = tensor.contiguous();
  const void* data = dense.const_data_ptr();
  const auto count = static_cast<size_t>(dense.numel());
  switch (dense.scalar_type()) {
    case at::kFloat:
      return exponents_finite<uint32_t>(data, count, 0x7f800000);
    case at::kHalf:
      return exponents_finite<uint16_t>(data, count, 0x7c00);
    case at::kBFloat16:
      return exponents_finite<uint16_t>(data, count, 0x7f80);
    case at::kDouble:
      return exponents_finite<uint64_t>(data, count, 0x7ff0000000000000);
    default:
      return all_finite(dense.to(at::kFloat));
  }
}

}  // namespace declip
