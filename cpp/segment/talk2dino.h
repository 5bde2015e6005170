#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/pipeline.h"
#include "declip/size.h"
#include "declip/talk2dino.h"
#include "image/windows.h"

namespace declip {

class Model;

/// What Talk2DINO keeps of a picture: all that does not depend on words.
struct Talk2DinoWindows {
  Talk2DinoOptions options;
  WindowPlan plan;  // without padding
  /// Patches after the last norm, of length 1: float32 [nW, C, h, w].
  at::Tensor features;
  /// The class token's logits on the patches: float32 [nW, heads, h * w].
  at::Tensor class_logits;
  /// What each head looks at: patches weighted by its logits, of length 1,
  /// float32 [nW, heads, C].
  at::Tensor head_features;
  /// Pixels 0..255 of the resized picture for PAMR: float32 [1, 3, Hr, Wr].
  at::Tensor rgb;

  int64_t bytes() const;  // but for `rgb`
};

/// Throws Error(kInvalidArg) for a model that is not built as DINO is.
void check_talk2dino(const Model& model);

/// image     normalised resized picture, float32 [1, 3, Hr, Wr], on the model's
///           device
/// is_bytes  whether its pixels were 8 bits before
/// window    side in pixels, 0 for the whole picture; windows whose sides are
///           others, or not whole patches, are resized for the tower
Talk2DinoWindows talk2dino_windows(const Model& model,
                                   const at::Tensor& image,
                                   bool is_bytes,
                                   int64_t window,
                                   int64_t stride,
                                   const Talk2DinoOptions& options,
                                   const Call& call);

/// Scores of words on the patch grid, 0..1: text [Q, C] -> [nW, Q, h, w].
at::Tensor talk2dino_scores(const Talk2DinoWindows& windows,
                            const at::Tensor& text);

/// Labels every pixel. The words of class post.background count for nothing: in
/// their place stands the constant score post.prob_threshold.
Segmentation talk2dino_labels(const Talk2DinoWindows& windows,
                              const at::Tensor& text,
                              const std::vector<int64_t>& word_class,
                              const PostOptions& post,
                              Size size,
                              const Call& call);

}  // namespace declip
