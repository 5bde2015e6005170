#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "declip/detector.h"
#include "detect/box_head.h"
#include "detect/mask_head.h"
#include "detect/pyramid.h"
#include "detect/rpn.h"
#include "detect/up_sampling.h"

namespace declip {

/// F-ViT (Wu et al., arXiv:2310.01403): what its heads make of a tower's maps,
/// and of words.
class FVit final : public Detector {
 public:
  /// weights under mmdetection's names.
  FVit(const DetectorConfig& config,
       const Weights& weights,
       const Numerics& numerics);

  at::Tensor words() const override { return words_; }
  DetectorView encode(const Model& model,
                      const at::Tensor& pixels,
                      const DetectorInput& input,
                      const Call& call) const override;
  DetectedObjects detect(const DetectorView& view,
                         const DetectorQuestion& question,
                         const Call& call) const override;

 private:
  /// What the tower sees: four maps [1, C, G, G], and one that votes, [1, E, G,
  /// G] of unit length.
  struct TowerMaps {
    std::vector<at::Tensor> maps;
    at::Tensor votes;
  };
  TowerMaps tower_maps(const Model& model,
                       const at::Tensor& image,
                       const DetectorInput& input,
                       const Call& call) const;
  /// Of the view's proposals.
  void answer_boxes(const std::vector<at::Tensor>& maps,
                    DetectorView& view,
                    const Call& call) const;
  std::vector<Rle> masks_of(const DetectorView& view,
                            const at::Tensor& boxes,
                            const Call& call) const;

  at::Tensor words_;
  UpSampling up_sampling_;
  Pyramid pyramid_;
  Rpn rpn_;
  BoxHead box_head_;
  std::optional<MaskHead> mask_head_;
};

std::unique_ptr<Detector> make_f_vit(const DetectorConfig& config,
                                     const Weights& weights,
                                     const Numerics& numerics);

}  // namespace declip
