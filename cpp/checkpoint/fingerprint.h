#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace declip {

/// 16 hexadecimal digits that tell sets of tensors apart: a hash of names,
/// types, shapes and a sample of each tensor's bytes, so that most of a mapped
/// file stays unread. `salt` is whatever else matters. Equal prints of weights
/// that were trained mean equal weights; it is no defence against forgery.
std::string fingerprint(const std::map<std::string, at::Tensor>& tensors,
                        const std::string& salt);

}  // namespace declip
