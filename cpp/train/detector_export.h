#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "declip/checkpoint.h"
#include "declip/train_detector.h"

namespace declip {

/// Writes a detector that loadModel() takes: a safetensors file, or a folder as
/// write_model() makes it.
///
/// student  its towers, under internal names: the image tower becomes
///          `backbone.visual.*`, the text tower and logit scale keep theirs
/// heads    under mmdetection's names
/// options  what shapes do not tell is kept as JSON in the metadata
///          `declip.detector`
/// Throws Error(kIo).
void export_detector(const std::string& path,
                     const Checkpoint& student,
                     const std::map<std::string, at::Tensor>& heads,
                     const DetectorTrainOptions& options);

}  // namespace declip
