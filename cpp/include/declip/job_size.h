#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/encoded_image.h"
#include "declip/model.h"
#include "declip/pipeline.h"
#include "declip/size.h"

namespace declip {

/// What a job costs, as far as that is known before it runs: a matter of the
/// job alone, never of what else runs.
struct JobSize {
  /// Floating-point operations of matrix products, or what takes as long.
  double operations = 0;
  /// That grow with the picture: its pixels, planes of its size, activations.
  double bytes = 0;
};

JobSize operator+(const JobSize& a, const JobSize& b);

/// Of work whose cost is not known, or that must run alone.
JobSize unknown_size();

/// How many of `threads` threads a job computes with. Where this gives 1, other
/// jobs run beside it.
int threads_of(const JobSize& size, int threads);

/// Whether one thread is enough for it, however many there are.
bool is_small(const JobSize& size);

/// A pass of `pictures` pictures of this size through a model's image tower.
JobSize size_of_pass(const Model& model, int64_t pictures, Size size);

/// Model::encode_crops() of so many parts of a picture.
JobSize size_of_crops(const Model& model,
                      const at::Tensor& pixels,
                      int64_t crops);

/// pool_boxes() or pool_masks() of a map.
JobSize size_of_pooling(const at::Tensor& map, const at::Tensor& regions);

/// EncodedImage::encode() of a picture of this size; `resized`: it is brought
/// to `options.short_side` first.
JobSize size_of_encoding(const Model& model,
                         Size picture,
                         bool resized,
                         const EncodeOptions& options);

/// EncodedImage::segment() on a picture of this size, without the products of
/// words and features.
JobSize size_of_labels(Size picture, int64_t words, const PostOptions& options);

/// What a CAT-Seg head takes for so many words of a picture; nothing where
/// `options` say another method.
JobSize size_of_asking(const Model& model,
                       const EncodeOptions& options,
                       int64_t words);

/// The products of words and features, or what a CAT-Seg head takes:
/// view.segment() and view.similarity().
JobSize size_of_query(const EncodedImage& view, int64_t words);

/// Resizing and normalising 8-bit pixels.
JobSize size_of_resizing(const at::Tensor& pixels);

/// Copying a tensor to another number format, or a few products with it.
JobSize size_of_conversion(const at::Tensor& tensor);

/// masks_at() of so many prompts of a picture of this size.
JobSize size_of_prompts(const Model& model, Size picture, int64_t prompts);

/// Model::encode_text() of so many texts.
JobSize size_of_texts(const Model& model, int64_t texts);

}  // namespace declip
