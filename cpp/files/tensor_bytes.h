#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "files/mapped_file.h"

namespace declip {

/// Product of `sizes` (each >= 0), or nothing where it passes 2^62.
std::optional<int64_t> checked_numel(const std::vector<int64_t>& sizes);

/// A tensor over `file`'s bytes from `offset`, in place where they are aligned
/// to the element, else a copy. The caller has checked that every element lies
/// inside the file. `strides` count elements.
at::Tensor tensor_over_file(const std::shared_ptr<const MappedFile>& file,
                            size_t offset,
                            const std::vector<int64_t>& sizes,
                            const std::vector<int64_t>& strides,
                            at::ScalarType dtype);

/// Strides of a contiguous tensor of `sizes`.
std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes);

}  // namespace declip
