#include "train/objectives.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>

#include "declip/error.h"
#include "declip/model.h"
#include "kernels/roi_align.h"
#include "model/dense_mode.h"
#include "train/losses.h"

namespace declip {
namespace {

constexpr double kValid = 0.5;

[[noreturn]] void refuse(const std::string& what, const at::Tensor& found) {
  std::string shape = "nothing";
  if (found.defined()) {
    shape = c10::str(found.scalar_type(), " ", found.sizes());
  }
  throw Error(ErrorCode::kInvalidArg, what + ", received " + shape + ".");
}

void check_pictures(const at::Tensor& images,
                    const std::string& name,
                    const std::string& count,
                    int64_t patch) {
  if (images.defined() && images.dim() == 4 && images.size(0) >= 1 &&
      images.size(1) == 3 && images.size(2) >= patch &&
      images.size(3) >= patch && images.is_floating_point()) {
    return;
  }
  refuse(name + " must be a float tensor [" + count +
             ", 3, H, W] of at least one patch",
         images);
}

bool are_tokens(const at::Tensor& tokens) {
  return tokens.defined() && tokens.dim() == 2 &&
         at::isIntegralType(tokens.scalar_type(), false);
}

/// Valid flags, bool [B, M] on the CPU.
at::Tensor valid_boxes(const at::Tensor& boxes) {
  return boxes.select(2, 4).to(at::kCPU).gt(kValid);
}

void check_regions(const TrainBatch& batch,
                   const TrainOptions& options,
                   int64_t patch) {
  const auto& boxes = batch.boxes;
  if (!boxes.defined() || boxes.dim() != 3 || boxes.size(2) != 5 ||
      boxes.size(0) != batch.images.size(0) || !boxes.is_floating_point()) {
    refuse(
        "boxes must be a float tensor [B, M, 5] with one row of boxes for "
        "each picture",
        boxes);
  }
  const auto count = valid_boxes(boxes).sum().item<int64_t>();
  if (count == 0) {
    throw Error(ErrorCode::kInvalidArg,
                "boxes must have a valid one (fifth column above 0.5).");
  }
  if (options.objective == Objective::kRegionText ||
      options.objective == Objective::kContrastive) {
    const bool texts = options.objective == Objective::kContrastive;
    const auto& classes = texts ? batch.region_tokens : options.class_features;
    const auto& labels = batch.labels;
    if (!labels.defined() || !at::isIntegralType(labels.scalar_type(), false) ||
        labels.sizes() != boxes.sizes().slice(0, 2)) {
      refuse("labels must be an int32 or int64 tensor [B, M] like the boxes",
             labels);
    }
    const auto used =
        labels.to(at::kCPU, at::kLong).masked_select(valid_boxes(boxes));
    if (used.min().item<int64_t>() < 0 ||
        used.max().item<int64_t>() >= classes.size(0)) {
      throw Error(ErrorCode::kInvalidArg,
                  "labels must be 0.." + std::to_string(classes.size(0) - 1) +
                      ", the rows of " +
                      (texts ? "regionTokens." : "classFeatures."));
    }
    return;
  }
  check_pictures(batch.crops, "crops", "K", patch);
  if (batch.crops.size(0) != count) {
    refuse("crops must hold one picture for each of the " +
               std::to_string(count) + " valid boxes",
           batch.crops);
  }
  const auto& vfm = batch.vfm_features;
  if (options.objective == Objective::kDeClip && vfm.defined() &&
      (vfm.dim() != 4 || vfm.size(0) != batch.images.size(0) ||
       vfm.numel() == 0 || !vfm.is_floating_point())) {
    refuse(
        "vfmFeatures must be a float tensor [B, C, h, w] with one map per "
        "picture",
        vfm);
  }
}

std::map<std::string, at::Tensor> distillation_losses(
    const Towers& towers,
    const Trunk& trunk,
    const TrainBatch& batch,
    const TrainOptions& options,
    const Call& call) {
  at::Tensor teacher;
  {
    // Not InferenceMode: its tensors may not take part in a graph.
    const c10::NoGradGuard guard;
    teacher = l2_normalize(
        towers.teacher->encode_image(batch.crops, Positions::kSize, call)
            .to(at::kFloat),
        1);
  }
  Heads heads;
  const auto student =
      region_features(*towers.student, trunk, batch.boxes, options, &heads);
  const auto content = cosine_loss(student, teacher);
  if (options.objective == Objective::kClipSelf) return {{"cosine", content}};

  std::map<std::string, at::Tensor> losses{
      {"content", content * options.content_weight}};
  const auto& vfm = batch.vfm_features;
  if (vfm.defined()) {
    const bool per_head = options.context_per_head.value_or(
        options.mode == DenseMode::kCsa || options.mode == DenseMode::kAll);
    const auto similarity = context_similarity(heads,
                                               options.mode,
                                               per_head,
                                               trunk.grid(),
                                               {vfm.size(2), vfm.size(3)});
    const auto wanted = token_similarity(
        vfm.to(student.device(), at::kFloat).flatten(2).transpose(1, 2));
    losses.emplace("context",
                   context_loss(similarity, wanted) * options.context_weight);
  }
  return losses;
}

at::Tensor region_text(const Towers& towers,
                       const Trunk& trunk,
                       const TrainBatch& batch,
                       const TrainOptions& options,
                       SplitMix& random) {
  const auto regions =
      region_features(*towers.student, trunk, batch.boxes, options, nullptr);
  const auto labels = batch.labels.to(at::kCPU, at::kLong)
                          .masked_select(valid_boxes(batch.boxes));
  const auto classes = draw_classes(
      labels, options.class_features.size(0), options.least_classes, random);
  return region_text_loss(regions,
                          labels,
                          options.class_features.to(regions.device()),
                          classes,
                          towers.logit_scale.detach(),
                          options.region_loss);
}

std::map<std::string, at::Tensor> contrastive_losses(
    const Towers& towers,
    const Trunk& trunk,
    const TrainBatch& batch,
    const TrainOptions& options,
    const Call& call) {
  const auto encode = [&](const at::Tensor& tokens) {
    return l2_normalize(
        in_float(towers.text->encode(tokens.to(at::kCPU, at::kLong), call)), 1);
  };
  auto images = l2_normalize(
      in_float(towers.student->class_features(trunk.output(), trunk.grid())),
      1);
  auto texts = encode(batch.tokens);
  if (towers.gather) {
    const auto pairs = towers.gather(at::cat({images, texts}, 1)).chunk(2, 1);
    images = pairs[0];
    texts = pairs[1];
  }
  std::map<std::string, at::Tensor> losses{
      {"contrastive", contrastive_loss(images, texts, towers.logit_scale)}};
  if (!batch.boxes.defined()) return losses;

  const auto regions =
      region_features(*towers.student, trunk, batch.boxes, options, nullptr);
  const auto labels = batch.labels.to(at::kCPU, at::kLong)
                          .masked_select(valid_boxes(batch.boxes));
  std::vector<int64_t> classes(
      static_cast<size_t>(batch.region_tokens.size(0)));
  std::iota(classes.begin(), classes.end(), 0);
  losses.emplace(
      "region_text",
      options.region_weight * region_text_loss(regions,
                                               labels,
                                               encode(batch.region_tokens),
                                               classes,
                                               towers.logit_scale,
                                               options.region_loss));
  return losses;
}

}  // namespace

void check_batch(const TrainBatch& batch,
                 const TrainOptions& options,
                 const ModelConfig& config) {
  const int64_t patch = config.vision.patch;
  check_pictures(batch.images, "images", "B", patch);
  if (options.objective != Objective::kContrastive) {
    check_regions(batch, options, patch);
    return;
  }
  if (!are_tokens(batch.tokens) ||
      batch.tokens.size(0) != batch.images.size(0)) {
    refuse(
        "tokens must be an int32 or int64 tensor [B, L] with one caption "
        "for each picture",
        batch.tokens);
  }
  if (!batch.boxes.defined()) return;
  if (!are_tokens(batch.region_tokens) || batch.region_tokens.size(0) == 0) {
    refuse(
        "regionTokens must be an int32 or int64 tensor [C, L] with one caption "
        "for each class of the boxes",
        batch.region_tokens);
  }
  check_regions(batch, options, patch);
}

at::Tensor region_features(const VisionTower& student,
                           const Trunk& trunk,
                           const at::Tensor& boxes,
                           const TrainOptions& options,
                           Heads* heads) {
  const bool declip = options.objective == Objective::kDeClip;
  const auto mode = declip ? options.mode : DenseMode::kMaskClip;
  auto map = in_float(
      finish_dense(student, trunk.output(), trunk.grid(), mode, heads));
  if (!declip || student.traits().unit_patches) map = l2_normalize(map, 1);

  const auto rows = valid_boxes(boxes).nonzero();  // (K, 2): picture, box
  const auto chosen = boxes.detach()
                          .to(at::kCPU, at::kFloat)
                          .index({rows.select(1, 0), rows.select(1, 1)});
  const auto pooled = roi_align(map,
                                chosen.slice(1, 0, 4).contiguous(),
                                rows.select(1, 0).contiguous(),
                                static_cast<double>(map.size(2)),
                                static_cast<double>(map.size(3)))
                          .flatten(1);
  return l2_normalize(pooled, 1);
}

std::map<std::string, at::Tensor> objective_losses(const Towers& towers,
                                                   const Trunk& trunk,
                                                   const TrainBatch& batch,
                                                   const TrainOptions& options,
                                                   SplitMix& random,
                                                   const Call& call) {
  switch (options.objective) {
    case Objective::kRegionText:
      return {
          {"region_text", region_text(towers, trunk, batch, options, random)}};
    case Objective::kContrastive:
      return contrastive_losses(towers, trunk, batch, options, call);
    default:
      return distillation_losses(towers, trunk, batch, options, call);
  }
}

}  // namespace declip
