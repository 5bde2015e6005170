#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "declip/train_detector.h"
#include "random_planes.h"
#include "small_models.h"

/// Detectors and their batches, small enough to train in a test.
namespace small {

inline declip::DetectorTrainOptions detector_options(bool lvis = false) {
  declip::DetectorTrainOptions out;
  out.channels = 8;
  out.hidden = 16;
  out.convolutions = 2;
  out.masks = lvis;
  out.rpn_norm = lvis;
  out.low_quality_boxes = lvis;
  out.side = 64;
  out.blocks = {0, 1, 1, 2};
  out.classes = {"dog", "cup", "kite", "tree"};
  out.novel = {"kite"};
  Random random;
  out.words = random.tensor({5, 12});
  out.temperature = 10;
  out.rpn_samples = 32;
  out.per_level = 50;
  out.proposals = 20;
  out.box_samples = 16;
  out.schedule.kind = declip::Schedule::Kind::kConstant;
  out.schedule.warmup = 2;
  out.schedule.rate = 1e-3;
  return out;
}

/// `count` pictures; the first has no boxes if `empty`. A picture is the same
/// in whatever batch it comes.
inline declip::DetectorBatch detector_batch(const std::vector<uint64_t>& seeds,
                                            bool masks = false,
                                            int64_t side = 64) {
  declip::DetectorBatch out;
  std::vector<at::Tensor> images;
  for (const uint64_t seed : seeds) {
    Random random;
    random.engine.seed(seed);
    images.push_back(random.tensor({3, side, side}));
    declip::DetectorSample sample;
    sample.size = {.height = side - 10, .width = side};
    sample.seed = seed;
    const int64_t n = static_cast<int64_t>(seed % 4);  // none among them
    sample.boxes = at::zeros({n, 4}, at::kFloat);
    sample.labels = at::zeros({n}, at::kInt);
    sample.masks = at::zeros({n, side, side}, at::kByte);
    constexpr int32_t kBase[] = {0, 1, 3};
    for (int64_t i = 0; i < n; ++i) {
      const double x = random.real(0, 30), y = random.real(0, 20);
      const double w = random.real(8, 30), h = random.real(8, 30);
      sample.boxes[i][0] = x;
      sample.boxes[i][1] = y;
      sample.boxes[i][2] = x + w;
      sample.boxes[i][3] = y + h;
      sample.labels[i] = kBase[random.integer(0, 2)];
      sample.masks[i]
          .slice(0, static_cast<int64_t>(y), static_cast<int64_t>(y + h))
          .slice(1, static_cast<int64_t>(x), static_cast<int64_t>(x + w / 2))
          .fill_(1);
    }
    if (!masks) sample.masks = at::Tensor();
    out.samples.push_back(sample);
  }
  out.images = at::stack(images);
  return out;
}

}  // namespace small
