#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/pipeline.h"
#include "declip/size.h"
#include "image/windows.h"
#include "segment/plane_source.h"
#include "segment/word_planes.h"

namespace declip {

/// Blends the words' window maps, refines them and labels every pixel.
///
/// low         float32 [nW, Q, h, w], logits of every window and word on
///             the patch grid of the padded window
/// plan        the windows; plan.height x plan.width is the resized image
/// image       normalised resized image float32 [1, 3, plan.height, plan.width]
///             for PAMR; may be undefined if post.pamr_iterations is 0
/// word_class  class of each of the Q words, 0..C-1, every class at least once
/// size        of the result
/// share       scores by region that take part, or null
///
/// In bands of rows (label_in_bands), or with PAMR and on CUDA a few words at a
/// time: memory is a small multiple of H x W, plus [C, H, W] if logits or
/// probabilities are asked for.
Segmentation labels_from_windows(const at::Tensor& low,
                                 const WindowPlan& plan,
                                 const at::Tensor& image,
                                 const std::vector<int64_t>& word_class,
                                 const PostOptions& post,
                                 Size size,
                                 const Call& call,
                                 const ScoreShare* share = nullptr);

/// The same of any planes. image is a normalised picture of any size.
Segmentation labels_from_planes(const WordPlanes& source,
                                const at::Tensor& image,
                                const std::vector<int64_t>& word_class,
                                const PostOptions& post,
                                const Call& call);

/// The planes themselves, of all words: float32 [Q, H, W].
at::Tensor all_planes(const WordPlanes& source, const Call& call);

/// The same blending without refinement or labels: float32 [Q, H, W].
at::Tensor planes_from_windows(const at::Tensor& low,
                               const WindowPlan& plan,
                               Size size,
                               const Call& call,
                               const ScoreShare* share = nullptr);

}  // namespace declip
