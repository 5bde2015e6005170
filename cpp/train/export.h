#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>

#include "declip/checkpoint.h"
#include "declip/config.h"
#include "declip/dense.h"

namespace declip {

/// Writes a model as open_clip lays it out. A path that ends in .safetensors is
/// the weights alone; any other is a folder, made if need be, with the weights
/// as open_clip_model.safetensors and, in open_clip_config.json, what weights
/// cannot tell: heads, activation, pixel statistics.
///
/// tensors    under internal names, `visual.` and `text.`
/// tokenizer  of its texts
/// mode       the dense mode that the model was trained for, kept as metadata
/// Throws Error(kIo).
void export_open_clip(const std::string& path,
                      const ModelConfig& config,
                      const std::map<std::string, at::Tensor>& tensors,
                      TokenizerKind tokenizer = TokenizerKind::kOpenClip,
                      std::optional<DenseMode> mode = {});

/// The same of tensors that have the names of the file, with `metadata`.
///
/// text_projection  whether the text tower ends in one
void write_model(const std::string& path,
                 const ModelConfig& config,
                 const std::map<std::string, at::Tensor>& tensors,
                 const std::map<std::string, std::string>& metadata,
                 TokenizerKind tokenizer,
                 bool text_projection);

}  // namespace declip
