#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "files/mapped_file.h"

namespace declip {

/// What a file is that is neither safetensors nor from torch.save, and what to
/// do with it: "a GGUF file; ..."; empty if that cannot be told. Looks at the
/// first bytes, and at the name where formats begin alike.
std::string foreign_format(const MappedFile& file);

/// The same of a zip file without a pickle, by the names of its entries.
std::string foreign_zip(const std::vector<std::string>& entries);

}  // namespace declip
