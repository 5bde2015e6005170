#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "declip/mask_decoder.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// Points, boxes and masks as tokens and embeddings of SAM's mask decoder.
/// Float32; modeling/prompt_encoder.py of the authors' code.
class SamPrompts {
 public:
  SamPrompts(const Scope& scope,
             const MaskDecoderConfig& config,
             const Numerics& numerics);

  /// Position codes of the places of the grid, row by row: [G * G, C].
  const at::Tensor& grid_codes() const { return grid_codes_; }
  /// The embedding of a place where no mask prompt is, [C].
  const at::Tensor& no_mask() const { return no_mask_; }

  /// Position codes of points in pixels of the square, half a pixel included:
  /// any shape [..., 2] -> [..., C]. All sines, then all cosines.
  at::Tensor codes(const at::Tensor& points) const;

  /// [B, n, C]: points, a padding token unless there is a box, two corners. No
  /// tokens without points and boxes.
  at::Tensor sparse(const MaskPrompts& prompts, const SamImage& image) const;

  /// Mask prompts [B, 1, 4G, 4G] on the device -> [B, G * G, C].
  at::Tensor dense(const at::Tensor& masks) const;

  /// Throws Error(kInvalidArg) unless the prompts fit each other and the model.
  void check(const MaskPrompts& prompts) const;

 private:
  MaskDecoderConfig config_;
  at::Tensor directions_;  // [2, C / 2]: of x and y
  at::Tensor outside_, inside_, upper_left_, lower_right_, no_point_;  // [C]
  at::Tensor no_mask_, grid_codes_;
  Linear conv1_, conv2_, conv3_;
  LayerNorm norm1_, norm2_;
};

}  // namespace declip
