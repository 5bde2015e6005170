#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "declip/config.h"
#include "declip/train_detector.h"

namespace declip {

/// What a detector's batches have to fit.
struct DetectorNeeds {
  const VisionConfig* config = nullptr;               // of the tower
  const std::vector<bool>* novel = nullptr;           // of every class
  const std::vector<std::string>* classes = nullptr;  // their names, or empty
  int64_t blocks = 0;                                 // maps of a picture
  bool masks = false;
};

/// Throws Error(kInvalidArg) unless `images` is float [B, 3, S, S] of whole
/// patches.
void check_pictures(const at::Tensor& images, const VisionConfig& config);

/// Throws Error(kInvalidArg) that names the picture and the box for a batch
/// that nothing can be learned from.
void check_batch(const DetectorBatch& batch, const DetectorNeeds& needs);

}  // namespace declip
