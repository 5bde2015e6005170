#pragma once

#include <ATen/core/Tensor.h>

namespace declip {

/// CAT-Seg's loss: binary cross-entropy of every class at every pixel, the mean
/// over all of them. Logits [B, T, h, w] are resized to the labels bilinearly
/// (align_corners = false); labels int64 [B, H, W], and what is no class 0..T-1
/// counts against every class, as the authors' program has it for ignored
/// pixels (the target is 0).
///
/// Neither resized logits nor targets of all classes exist at a time: a few
/// classes are worked off after the other, and their gradients made at once.
at::Tensor cat_seg_loss(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace declip
