#include "checkpoint/fingerprint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace declip {
namespace {

constexpr size_t kSample = 64;  // bytes, at a tensor's begin, middle and end

/// FNV-1a.
class Hash {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      value_ = (value_ ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace

std::string fingerprint(const std::map<std::string, at::Tensor>& tensors,
                        const std::string& salt) {
  Hash hash;
  hash.add(salt);
  for (const auto& [name, tensor] : tensors) {
    hash.add(name);
    hash.add(at::toString(tensor.scalar_type()));
    for (const int64_t side : tensor.sizes()) {
      hash.add("," + std::to_string(side));
    }
    const auto values = tensor.contiguous();
    const auto* data = static_cast<const char*>(values.const_data_ptr());
    const size_t size = values.nbytes();
    const size_t last = size - std::min(size, kSample);
    for (const size_t at : {size_t{0}, last / 2, last}) {
      hash.add({data + at, std::min(size, kSample)});
    }
  }
  std::array<char, 17> text{};
  std::snprintf(text.data(),
                text.size(),
                "%016llx",
                static_cast<unsigned long long>(hash.value()));
  return text.data();
}

}  // namespace declip
