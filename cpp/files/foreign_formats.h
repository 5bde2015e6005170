#pragma once

#include <string>
#include <vector>

#include "declip/refusal.h"
#include "files/mapped_file.h"

namespace declip {

/// What a file was found to be.
struct Foreign {
  const Refusal* refusal = nullptr;  // null: that cannot be told
  std::string seen;                  // of its contents, for the message
};

/// What a file is that is neither safetensors nor from torch.save. Looks at the
/// first bytes, and at the name where formats begin alike.
Foreign foreign_format(const MappedFile& file);

/// The same of a zip file without a pickle, by the names of its entries.
Foreign foreign_zip(const std::vector<std::string>& entries);

/// Throws Error(kWeights) that says what `foreign` is, if that is known.
void reject_foreign(const MappedFile& file, const Foreign& foreign);

/// All formats that are told, each once.
std::vector<const Refusal*> foreign_formats();

}  // namespace declip
