#pragma once

#include <memory>

#include "declip/safetensors.h"
#include "files/mapped_file.h"

namespace declip {

/// The same of a file that is mapped already. Tensors alias its memory where
/// that is aligned to their element, and keep it alive.
Safetensors read_safetensors(const std::shared_ptr<const MappedFile>& file);

}  // namespace declip
