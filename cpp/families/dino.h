#pragma once

#include <cstdint>
#include <vector>

#include "families/block.h"
#include "families/foundation_model.h"
#include "families/positions.h"

namespace declip {

/// DINO's ViT: class token and patches, each with its position; ordinary
/// attention; a final norm. Caron et al., arXiv:2104.14294.
class Dino : public Teacher {
 public:
  Dino(const ModelConfig& config,
       const Weights& weights,
       const Numerics& numerics)
      : Dino(config, weights, numerics, TableResize::kScaleFactor) {}

  at::Tensor features(const at::Tensor& image, const Call& call) const override;
  at::Tensor class_token(const at::Tensor& image,
                         const Call& call) const override;

 protected:
  Dino(const ModelConfig& config,
       const Weights& weights,
       const Numerics& numerics,
       TableResize rule);

  /// Normed tokens of the last block: [B, 1 + registers + h * w, C].
  at::Tensor tokens(const at::Tensor& image, const Call& call) const;
  /// Input of block 0. Registers stand behind the class token and have no
  /// position.
  at::Tensor embed(const at::Tensor& image) const;

 private:
  TableResize rule_;
  Linear patches_;
  at::Tensor class_;      // [C], its position added
  at::Tensor registers_;  // [R, C], or undefined
  at::Tensor table_;      // [N, N, C], positions of the patches
  std::vector<TeacherBlock> blocks_;
  LayerNorm norm_;
};

}  // namespace declip
