#pragma once

#include <ATen/ATen.h>

#include <array>
#include <string>

#include "declip/initial.h"
#include "declip/train.h"
#include "families/clip.h"
#include "families/eva.h"
#include "random_planes.h"

/// Models and batches small enough to train in a test.
namespace small {

inline declip::ModelConfig config(const declip::FamilySpec* family) {
  declip::ModelConfig out;
  out.family = family;
  auto& v = out.vision;
  v.patch = 8;
  v.grid = 4;
  v.image_size = 32;
  v.width = 16;
  v.heads = 2;
  v.layers = 3;
  v.mlp_hidden = 24;
  v.embed_dim = 12;
  v.activation = declip::Activation::kGelu;
  if (family == &declip::families::eva) v.layer_norm_eps = 1e-6;
  declip::TextConfig t;
  t.width = 16;
  t.heads = 2;
  t.layers = 2;
  t.context = 6;
  t.vocab = 20;
  t.embed_dim = 12;
  t.activation = declip::Activation::kGelu;
  out.text = t;
  return out;
}

/// Its weights, moved about so that no norm is one and no bias zero; the plain
/// tower has LayerScale.
inline declip::Checkpoint model(const declip::FamilySpec* family,
                                uint64_t seed = 1) {
  auto out = declip::initial_checkpoint(config(family), seed);
  Random random;
  for (int64_t i = 0; family == &declip::families::clip && i < 3; ++i) {
    for (const char* scale : {"1", "2"}) {
      out.tensors[c10::str(
          "visual.transformer.resblocks.", i, ".ls_", scale, ".gamma")] =
          at::ones({16}, at::kFloat);
    }
  }
  for (auto& [name, tensor] : out.tensors) {
    if (tensor.dim() > 0) tensor = tensor + 0.2 * random.tensor(tensor.sizes());
  }
  return out;
}

/// Pictures with two and one valid boxes, and all else that any objective
/// takes. 5 x 5 patches: positions are resized.
inline declip::TrainBatch batch(uint64_t seed = 1, int64_t side = 40) {
  Random random;
  random.engine.seed(seed);
  declip::TrainBatch out;
  out.images = random.tensor({2, 3, side, side});
  out.boxes = at::zeros({2, 3, 5}, at::kFloat);
  const auto put = [&](int64_t image, int64_t row, at::ArrayRef<float> box) {
    out.boxes[image][row].copy_(at::tensor(box));
  };
  put(0, 0, {0.0f, 0.1f, 0.5f, 0.7f, 1.0f});
  put(0, 2, {0.3f, 0.2f, 0.9f, 1.0f, 1.0f});
  put(1, 1, {0.2f, 0.0f, 0.8f, 0.4f, 1.0f});
  out.crops = random.tensor({3, 3, 32, 32});
  out.vfm_features = random.tensor({2, 7, side / 8, side / 8});
  out.labels = at::zeros({2, 3}, at::kLong);
  out.labels[0][2] = 3;
  out.labels[1][1] = 5;
  out.tokens = at::zeros({2, 6}, at::kLong);
  out.tokens[0].slice(0, 0, 3).copy_(at::tensor({18, 4, 19}));
  out.tokens[1].slice(0, 0, 5).copy_(at::tensor({18, 7, 2, 9, 19}));
  out.region_tokens = at::zeros({6, 4}, at::kLong);
  for (int64_t c = 0; c < 6; ++c) {
    out.region_tokens[c].slice(0, 0, 3).copy_(at::tensor({18L, 3 + c, 19L}));
  }
  return out;
}

inline declip::TrainOptions options(declip::Objective objective) {
  declip::TrainOptions out;
  out.objective = objective;
  out.schedule.kind = declip::Schedule::Kind::kConstant;
  out.schedule.warmup = 2;
  out.schedule.rate = 1e-3;
  if (objective == declip::Objective::kRegionText) {
    Random random;
    const auto features = random.tensor({9, 12});
    out.class_features = features / features.norm(2, {1}, true);
    out.least_classes = 6;
  }
  return out;
}

inline constexpr std::array kObjectives{declip::Objective::kClipSelf,
                                        declip::Objective::kDeClip,
                                        declip::Objective::kRegionText,
                                        declip::Objective::kContrastive};
inline constexpr std::array kFamilies{&declip::families::clip,
                                      &declip::families::eva};

}  // namespace small
