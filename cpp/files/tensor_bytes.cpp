#include "files/tensor_bytes.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>

namespace declip {

std::optional<int64_t> checked_numel(const std::vector<int64_t>& sizes) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t numel = 1;
  bool overflow = false;
  for (const int64_t size : sizes) {
    if (size == 0) return 0;
    overflow = overflow || numel > kLimit / size;
    if (!overflow) numel *= size;
  }
  if (overflow) return std::nullopt;
  return numel;
}

std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t step = 1;
  for (size_t d = sizes.size(); d-- > 0;) {
    strides[d] = step;
    step *= sizes[d] > 0 ? sizes[d] : 1;
  }
  return strides;
}

at::Tensor tensor_over_file(const std::shared_ptr<const MappedFile>& file,
                            size_t offset,
                            const std::vector<int64_t>& sizes,
                            const std::vector<int64_t>& strides,
                            at::ScalarType dtype) {
  const size_t element = c10::elementSize(dtype);
  const auto numel = checked_numel(sizes);
  if (!numel || *numel == 0) return at::empty(sizes, dtype);

  // Pages are private to the process, so dropping const changes no file.
  auto* data = const_cast<uint8_t*>(file->data()) + offset;
  if (reinterpret_cast<uintptr_t>(data) % element == 0) {
    return at::from_blob(
        data, sizes, strides, [file](void*) {}, at::TensorOptions(dtype));
  }
  size_t span = 1;  // elements from the first to the last, both included
  for (size_t d = 0; d < sizes.size(); ++d) {
    span += static_cast<size_t>((sizes[d] - 1) * strides[d]);
  }
  const at::Tensor copy = at::empty({static_cast<int64_t>(span)}, dtype);
  std::memcpy(copy.data_ptr(), data, span * element);
  return copy.as_strided(sizes, strides);
}

}  // namespace declip
