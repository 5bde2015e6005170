#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "declip/call.h"
#include "declip/cat_seg.h"
#include "declip/size.h"
#include "segment/cat_seg_input.h"
#include "segment/cat_seg_planes.h"

namespace declip {

class Model;
struct EncodeOptions;

/// From inputs [n, 3, side, side] to what guides the head, and patch features.
using CatSegTower = std::function<Stages(const at::Tensor& x)>;

/// A picture as CAT-Seg's head sees it: the side that does not depend on words.
class CatSegView {
 public:
  /// together  inputs that go through the tower at a time
  /// Throws Error(kAborted); reports Step::kEncode, input by input.
  CatSegView(std::shared_ptr<const CatSeg> head,
             const CatSegGeometry& geometry,
             const CatSegQuestion& question,
             const CatSegInput& input,
             const CatSegTower& tower,
             int64_t together,
             const Call& call);

  const CatSegGeometry& geometry() const { return geometry_; }
  const CatSegMaps& maps() const { return maps_; }
  /// Width of a window's patch in a picture so wide, in pixels.
  double patch(int64_t width) const;
  int64_t bytes() const;
  /// Operations of asking so many words, for the size of a job.
  double operations(int64_t words) const;

  /// Logits of words text [T, E] or [T, P, E], one or more inputs at a time.
  /// Beside them, whose number is inputs x min(T, word limit), memory is the
  /// head's for one of those. Reports Step::kPixels, input by input.
  CatSegLogits logits(const at::Tensor& text, const Call& call) const;

  /// What segment() labels by: the planes of all words in a size.
  CatSegPlanes planes(const at::Tensor& text,
                      Size size,
                      const Call& call) const;

 private:
  std::shared_ptr<const CatSeg> head_;
  CatSegGeometry geometry_;
  CatSegQuestion question_;
  CatSegMaps maps_;
};

/// Operations of asking a head so many words of so many inputs of grid x grid
/// patches, for the size of a job.
double cat_seg_operations(const CatSegConfig& config,
                          const CatSegQuestion& question,
                          int64_t inputs,
                          int64_t grid,
                          int64_t words);

/// image  float32 [1, 3, H, W] on the model's device, as CatSegInput takes it
/// Throws Error(kWeights) for a model without a head, Error(kInvalidArg) for
/// options that do not fit it.
CatSegView see_with_cat_seg(const Model& model,
                            const at::Tensor& image,
                            bool normalised,
                            const EncodeOptions& options,
                            const Call& call);

/// Throws Error(kInvalidArg) for options of other methods that do not go with
/// CAT-Seg's head.
void check_cat_seg_options(const EncodeOptions& options);

}  // namespace declip
