#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "declip/cat_seg.h"
#include "declip/checkpoint.h"

namespace declip {

/// Writes a CAT-Seg that loadModel() takes: a safetensors file, or a folder as
/// write_model() makes it.
///
/// student  its configuration and tokenizer
/// tensors  towers and head, under the authors' names
/// config   what shapes do not tell is kept as JSON in the metadata
///          `declip.catSeg`
/// Throws Error(kIo).
void export_cat_seg(const std::string& path,
                    const Checkpoint& student,
                    const std::map<std::string, at::Tensor>& tensors,
                    const CatSegConfig& config);

}  // namespace declip
