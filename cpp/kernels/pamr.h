#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"

namespace declip {

// Pixel-adaptive mask refinement (Araslanov and Roth, arXiv:2005.08104), as
// ITACLIP, SCLIP and NACLIP run it: every pixel of a plane becomes a mean of
// its 8 neighbours per dilation, weighted by how alike the image's pixels are.

/// Planes that pamr_apply() refines at once, so that a weight that was fetched
/// serves several of them.
constexpr int64_t kPamrPlanes = 4;

/// Weights of every pixel's neighbours, for one image.
struct PamrAffinity {
  at::Tensor weights;  // float32 [H, P, W], P = 8 * dilations; sums to 1 over P
  std::vector<int64_t> dilations;  // pixels
  /// Working memory [2, kPamrPlanes, H, W + margins]: of the image first, then
  /// of the planes that are refined.
  at::Tensor padded;
};

/// image is float32 [1, 3, H, W]; 1 to 8 dilations of 1 to 1024 pixels.
PamrAffinity pamr_affinity(const at::Tensor& image,
                           const std::vector<int64_t>& dilations);

/// Refines `count` <= kPamrPlanes planes in place. planes is contiguous float32
/// [K, H, W] with K >= count. One call at a time for an affinity.
void pamr_apply(const PamrAffinity& affinity,
                const at::Tensor& planes,
                int64_t count,
                int64_t iterations,
                const Call& call);

/// Refines masks float32 [Q, h, w] along the edges of an image [1, 3, H, W] and
/// returns [Q, H, W]. Masks of another size are first resized with aligned
/// corners, as in the reference.
at::Tensor pamr(const at::Tensor& image,
                const at::Tensor& masks,
                int64_t iterations,
                const std::vector<int64_t>& dilations,
                const Call& call);

}  // namespace declip
