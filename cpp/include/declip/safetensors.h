#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace declip {

struct Safetensors {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a safetensors file: 8 bytes header length, a JSON header, the data.
/// Tensors are copies: the file may change afterwards. The header is checked in
/// full before any tensor is made: every byte of the data must belong to
/// exactly one tensor. Throws Error(kIo) if the file cannot be opened,
/// Error(kWeights) naming file, key, expected and found if it is malformed.
Safetensors read_safetensors(const std::string& path);

/// Writes the file whole or not at all. Tensors of any device and layout; on
/// disk they are contiguous, widest elements first so that all are aligned.
/// Throws Error(kIo) if it cannot be written, Error(kInvalidArg) for an element
/// type the format does not have.
void write_safetensors(const std::string& path,
                       const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace declip
