#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "declip/call.h"
#include "declip/config.h"
#include "declip/regions.h"
#include "declip/train.h"

namespace declip {

/// A picture that a batch is made of.
struct BatchPicture {
  at::Tensor pixels;                // as rgb_pixels() takes them
  std::vector<PixelBox> proposals;  // where regions are not cells of a grid
  uint64_t seed = 0;                // of the choice of its regions
};

/// How a picture is fitted into a square: its long side to `side` (Pillow
/// bicubic), black at the right and bottom, normalised.
struct SquareInput {
  int64_t side = 0;
  PixelStats pixels;
};

/// Boxes and the crops under them, for CLIPSelf and DeCLIP.
struct RegionInput {
  bool from_proposals = false;
  GridOptions grid;
  ProposalOptions proposal;
  int64_t rows = 0;       // of a picture in TrainBatch::boxes
  int64_t crop_side = 0;  // normalised like the pictures
};

struct BatchSpec {
  SquareInput student;
  std::optional<RegionInput> regions;
  /// CLIPSelf's multiscale: the squares are resized to this side, bilinearly
  /// and without antialiasing, half-pixel centres; 0: they are not.
  int64_t resized_side = 0;
  std::optional<SquareInput> teacher;  // what DeCLIP's foundation model sees
};

struct PictureBatch {
  TrainBatch batch;           // images, and with regions boxes and crops
  at::Tensor teacher_images;  // [B, 3, T, T]; undefined without a teacher
};

/// What a step takes of its pictures. Outside inference mode the tensors may
/// take part in a graph.
/// Throws Error(kInvalidArg) for pictures, boxes or sides that cannot be.
PictureBatch make_batch(std::vector<BatchPicture> pictures,
                        const BatchSpec& spec,
                        const Call& call);

}  // namespace declip
