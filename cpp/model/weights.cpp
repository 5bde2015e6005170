#include "model/weights.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"
#include "files/mapped_file.h"

namespace declip {
namespace {

/// After how many tensors the pages of the file that were read are given back.
constexpr int64_t kTensorsPerDrop = 16;

}  // namespace

at::Tensor Weights::stored(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) return {};
  call_.check();
  const auto total = static_cast<int64_t>(tensors_.size());
  call_.report(Step::kLoad, std::min(++done_, total), total);
  if (check_) check_(name, it->second);
  if (done_ % kTensorsPerDrop == 0) MappedFile::drop_pages();
  return it->second.to(device_);
}

at::Tensor Weights::find(const std::string& name) const {
  const auto tensor = stored(name);
  return tensor.defined() ? tensor.to(dtype_).contiguous() : tensor;
}

at::Tensor Scope::operator[](const std::string& name) const {
  const auto found = find(name);
  if (!found.defined()) {
    throw Error(ErrorCode::kInternal, "missing weight " + prefix_ + name);
  }
  return found;
}

}  // namespace declip
