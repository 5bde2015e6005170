#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "declip/safetensors.h"
#include "files/mapped_file.h"

namespace declip {

/// What a trainer has saved, on its way back: a safetensors file whose metadata
/// say what it is. Everything throws Error(kWeights) that names the file.
class StateFile {
 public:
  /// `format` is what the metadata must have under that name.
  StateFile(const std::string& path, const std::string& format);

  const std::string& entry(const std::string& key) const;
  uint64_t number(const std::string& key) const;
  /// A tensor of the shape and type of `like`, all finite.
  at::Tensor find(const std::string& name, const at::Tensor& like) const;
  const std::map<std::string, at::Tensor>& tensors() const {
    return file_.tensors;
  }
  /// Throws Error(kIo) if the file is no longer whole.
  void check() const { mapped_->check(); }
  [[noreturn]] void reject(const std::string& why) const;

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> mapped_;
  Safetensors file_;
};

}  // namespace declip
