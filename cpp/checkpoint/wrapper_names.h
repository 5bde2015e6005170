#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace declip {

/// Takes off what training programs put in front of a model's names: `module.`
/// (data-parallel training), `_orig_mod.` (torch.compile), `model.`
/// (Lightning) and others, one inside the other; and any other first part that
/// leads to names which `known` knows. Where some of the tensors are another
/// thing's, such as a loss's, they are left out; what was done is added to
/// `notes`.
/// Throws Error(kWeights) that begins with `path` where several models stand
/// side by side, none of them an average of another.
void strip_wrapper_names(
    std::map<std::string, at::Tensor>& tensors,
    const std::function<bool(const std::map<std::string, at::Tensor>&)>& known,
    const std::string& path,
    std::vector<std::string>& notes);

}  // namespace declip
