#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/dense.h"
#include "declip/train.h"
#include "model/layers.h"
#include "model/vision_tower.h"
#include "train/random.h"

namespace declip {

// Every loss is a scalar in the dtype of its arguments, which are float32 in
// training.

/// x in float32; float64, in which tests measure slopes, stays.
at::Tensor in_float(const at::Tensor& x);

/// 1 - mean over k of <s_k, t_k>, rows of unit length [K, E]. The loss of
/// CLIPSelf (arXiv:2310.01403, section 3.2), and DeCLIP's content loss
/// (arXiv:2505.04410, section 3.3).
at::Tensor cosine_loss(const at::Tensor& student, const at::Tensor& teacher);

/// Cosines between the rows of x [..., T, C]: [..., T, T].
at::Tensor token_similarity(const at::Tensor& x);

/// What of the last block imitates the foundation model: the q, k or v of
/// `mode`, or the mean of the similarities of several. Class token left out.
///
/// heads     as finish_dense() gives them, on `grid`
/// per_head  one similarity per head, over its d channels, instead of one over
///           all C channels
/// target    the foundation model's grid; tokens are resized to it bilinearly
/// Returns [B, n or 1, T, T].
at::Tensor context_similarity(
    const Heads& heads, DenseMode mode, bool per_head, Grid grid, Grid target);

/// Mean Euclidean length (not squared, not divided by T) of the rows of the
/// difference of two similarities: student [B, n or 1, T, T], teacher
/// [B, T, T]. DeCLIP's context loss, arXiv:2505.04410, section 3.4, in the form
/// of its program.
at::Tensor context_loss(const at::Tensor& student, const at::Tensor& teacher);

/// Distinct `labels`, then others drawn from 0..total-1 until there are
/// `least` classes, or as many as there are.
std::vector<int64_t> draw_classes(const at::Tensor& labels,
                                  int64_t total,
                                  int64_t least,
                                  SplitMix& random);

/// The logits of a region are exp(logit_scale) <region, class> for each of
/// `classes`. Returns the mean over regions of their loss: with kSigmoid the
/// sum of the classes' binary cross-entropies (CLIPSelf's program,
/// training/region_clip), with kSoftmax the cross-entropy.
///
/// regions   unit rows [K, E]
/// labels    int64 [K], each among `classes`
/// features  unit rows [C, E], one per class there is
at::Tensor region_text_loss(const at::Tensor& regions,
                            const at::Tensor& labels,
                            const at::Tensor& features,
                            const std::vector<int64_t>& classes,
                            const at::Tensor& logit_scale,
                            RegionLoss form);

/// Symmetric cross-entropy of exp(logit_scale) <image, text>, row i of one
/// belonging to row i of the other; unit rows [B, E]. arXiv:2103.00020,
/// figure 3.
at::Tensor contrastive_loss(const at::Tensor& images,
                            const at::Tensor& texts,
                            const at::Tensor& logit_scale);

}  // namespace declip
