#include "train/detector_losses.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "declip/error.h"
#include "detect/boxes.h"
#include "train/detector_assign.h"
#include "train/detector_sample.h"

namespace declip {
namespace {

constexpr int64_t kBoxSide = 7, kMaskSide = 14, kMaskTarget = 28;

at::Tensor rows_tensor(const std::vector<int64_t>& rows) {
  return at::tensor(rows, at::kLong);
}

std::vector<int64_t> to_rows(const at::Tensor& x) {
  const auto whole = x.to(at::kCPU, at::kLong).contiguous();
  const auto* data = whole.const_data_ptr<int64_t>();
  return {data, data + whole.numel()};
}

/// Rows of true boxes that positives belong to.
at::Tensor owners_of(const std::vector<int64_t>& assigned,
                     const std::vector<int64_t>& positive) {
  std::vector<int64_t> out;
  for (const int64_t row : positive) {
    out.push_back(assigned[static_cast<size_t>(row)] - 1);
  }
  return rows_tensor(out);
}

/// A picture's share of a loss, on the CPU.
struct Chosen {
  at::Tensor positive, negative;  // rows
  at::Tensor owners;              // of the positive: rows of true boxes
};

Chosen choose(const std::vector<int64_t>& assigned,
              const at::Tensor& positive,
              const at::Tensor& negative,
              int64_t count,
              double share,
              SplitMix random) {
  Sampled rows;
  if (positive.defined()) {
    rows = {to_rows(positive), to_rows(negative)};
  } else {
    rows = sample_boxes(assigned, count, share, random);
  }
  return {rows_tensor(rows.positive),
          rows_tensor(rows.negative),
          owners_of(assigned, rows.positive)};
}

/// Levels [B, a k, h, w] as [B, anchors of all levels, k].
at::Tensor by_anchor(const std::vector<at::Tensor>& levels, int64_t k) {
  std::vector<at::Tensor> rows;
  for (const auto& level : levels) {
    rows.push_back(level.permute({0, 2, 3, 1}).reshape({level.size(0), -1, k}));
  }
  return at::cat(rows, 1);
}

/// What the first stage gives: sums, not yet divided.
struct RegionLosses {
  at::Tensor cls, bbox;  // of each sampled anchor; of each positive
  std::vector<int64_t> cls_levels, bbox_levels;
  double count = 0;
};

/// Proposals of NaN are none at all: the step must fail before them.
void check_scores(const RecordedHeads::Regions& regions) {
  for (const auto* levels : {&regions.logits, &regions.deltas}) {
    for (const auto& level : *levels) {
      if (level.detach().sum().isfinite().item<bool>()) continue;
      throw Error(
          ErrorCode::kDiverged,
          "The scores of regions are not finite; the model is as it was "
          "before. Look for damaged inputs, or lower the learning "
          "rate.");
    }
  }
}

/// Where the anchors of each level begin, and their end.
std::vector<int64_t> starts_of(const std::vector<at::Tensor>& anchors) {
  std::vector<int64_t> out{0};
  for (const auto& level : anchors) out.push_back(out.back() + level.size(0));
  return out;
}

int64_t level_of(const std::vector<int64_t>& starts, int64_t row) {
  return std::upper_bound(starts.begin(), starts.end(), row) - starts.begin() -
         1;
}

RegionLosses region_losses(const RecordedHeads::Regions& regions,
                           const DetectorBatch& batch,
                           const DetectorLossContext& context,
                           DetectorTrace* trace) {
  const auto& options = *context.options;
  std::vector<at::Tensor> of_levels;
  for (size_t l = 0; l < regions.logits.size(); ++l) {
    const auto& level = regions.logits[l];
    of_levels.push_back(
        make_anchors(level.size(2), level.size(3), context.strides[l])
            .to(at::kCPU));
  }
  const auto anchors = at::cat(of_levels);
  const auto starts = starts_of(of_levels);
  const int64_t per_picture = anchors.size(0);
  const AssignRule rule{.positive = options.rpn_positive_iou,
                        .negative = options.rpn_negative_iou,
                        .low_quality = true,
                        .least = options.rpn_least_iou};
  RegionLosses out;
  std::vector<int64_t> positive, sampled;
  std::vector<at::Tensor> targets;
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    const auto& sample = batch.samples[i];
    const auto truth = sample.boxes.to(at::kCPU, at::kFloat);
    const auto assigned = assign_boxes(anchors, truth, rule);
    const auto given =
        batch.choices.empty() ? DetectorBatch::Choice() : batch.choices[i];
    const auto chosen = choose(assigned,
                               given.anchors_positive,
                               given.anchors_negative,
                               options.rpn_samples,
                               options.rpn_positive_share,
                               context.random.fork(2 * sample.seed));
    // As mmdetection counts: a picture without has one of each.
    out.count +=
        static_cast<double>(std::max<int64_t>(chosen.positive.numel(), 1) +
                            std::max<int64_t>(chosen.negative.numel(), 1));
    const auto offset = static_cast<int64_t>(i) * per_picture;
    for (const int64_t row : to_rows(chosen.positive)) {
      positive.push_back(offset + row);
      out.bbox_levels.push_back(level_of(starts, row));
    }
    for (const int64_t row : to_rows(chosen.negative)) {
      sampled.push_back(offset + row);
      out.cls_levels.push_back(level_of(starts, row));
    }
    targets.push_back(encode_boxes(anchors.index_select(0, chosen.positive),
                                   truth.index_select(0, chosen.owners),
                                   kRpnDeviations));
    if (trace) trace->anchors.push_back(rows_tensor(assigned));
  }
  sampled.insert(sampled.begin(), positive.begin(), positive.end());
  out.cls_levels.insert(
      out.cls_levels.begin(), out.bbox_levels.begin(), out.bbox_levels.end());
  const auto device = regions.logits[0].device();
  const auto logits = by_anchor(regions.logits, 1)
                          .flatten()
                          .index_select(0, rows_tensor(sampled).to(device));
  const auto wanted = at::zeros_like(logits.detach());
  wanted.slice(0, 0, static_cast<int64_t>(positive.size())).fill_(1);
  out.cls = at::binary_cross_entropy_with_logits(
      logits, wanted, {}, {}, at::Reduction::None);
  const auto deltas = by_anchor(regions.deltas, 4)
                          .flatten(0, 1)
                          .index_select(0, rows_tensor(positive).to(device));
  out.bbox = (deltas - at::cat(targets).to(device)).abs().sum(1);
  return out;
}

/// Sums over each level of what belongs to it, for a trace.
std::vector<at::Tensor> by_level(const at::Tensor& losses,
                                 const std::vector<int64_t>& levels,
                                 size_t count,
                                 double divisor) {
  const auto which = rows_tensor(levels);
  std::vector<at::Tensor> out;
  for (size_t l = 0; l < count; ++l) {
    out.push_back(losses.detach()
                      .to(at::kCPU)
                      .masked_select(which.eq(static_cast<int64_t>(l)))
                      .sum()
                      .div(divisor));
  }
  return out;
}

/// Boxes of the second stage.
struct Sampling {
  at::Tensor boxes, pictures;      // [N, 4], [N]; of a picture positives first
  at::Tensor labels;               // [N], K for background
  at::Tensor positive;             // rows of those that have a true box
  at::Tensor targets;              // of the positive, [M, 4]
  std::vector<at::Tensor> owners;  // of pictures, as Chosen
};

Sampling sample_proposals(const RecordedHeads::Regions& regions,
                          const DetectorBatch& batch,
                          const DetectorLossContext& context,
                          DetectorTrace* trace) {
  const c10::NoGradGuard guard;
  const auto& options = *context.options;
  const int64_t background = context.words.size(0) - 1;
  const AssignRule rule{.positive = options.box_iou,
                        .negative = options.box_iou,
                        .low_quality = options.low_quality_boxes,
                        .least = options.box_iou};
  const ProposalLimits limits{
      options.per_level, options.proposals, options.proposal_nms};
  Sampling out;
  std::vector<at::Tensor> boxes, pictures, labels, targets;
  std::vector<int64_t> positive;
  int64_t total = 0;
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    const auto& sample = batch.samples[i];
    const auto row = static_cast<int64_t>(i);
    std::vector<at::Tensor> logits, deltas;
    for (size_t l = 0; l < regions.logits.size(); ++l) {
      logits.push_back(regions.logits[l][row].detach().contiguous());
      deltas.push_back(regions.deltas[l][row].detach().contiguous());
    }
    const auto found =
        propose(logits, deltas, context.strides, sample.size, limits);
    const auto given =
        batch.choices.empty() ? DetectorBatch::Choice() : batch.choices[i];
    const auto proposals = given.proposals.defined()
                               ? given.proposals.to(at::kCPU, at::kFloat)
                               : found.boxes.to(at::kCPU);
    const auto truth = sample.boxes.to(at::kCPU, at::kFloat);
    const auto classes = sample.labels.to(at::kCPU, at::kLong);
    // The true boxes are in front, each its own.
    auto assigned = assign_boxes(proposals, truth, rule);
    std::vector<int64_t> own;
    for (int64_t g = 0; g < truth.size(0); ++g) own.push_back(g + 1);
    assigned.insert(assigned.begin(), own.begin(), own.end());
    const auto candidates = at::cat({truth, proposals});
    const auto chosen = choose(assigned,
                               given.boxes_positive,
                               given.boxes_negative,
                               options.box_samples,
                               options.box_positive_share,
                               context.random.fork(2 * sample.seed + 1));
    const auto mine = candidates.index_select(0, chosen.positive);
    boxes.push_back(mine);
    boxes.push_back(candidates.index_select(0, chosen.negative));
    const int64_t count = chosen.positive.numel() + chosen.negative.numel();
    pictures.push_back(at::full({count}, row, at::kLong));
    labels.push_back(classes.index_select(0, chosen.owners));
    labels.push_back(
        at::full({chosen.negative.numel()}, background, at::kLong));
    targets.push_back(encode_boxes(
        mine, truth.index_select(0, chosen.owners), kBoxDeviations));
    for (int64_t p = 0; p < chosen.positive.numel(); ++p) {
      positive.push_back(total + p);
    }
    total += count;
    out.owners.push_back(chosen.owners);
    if (trace) {
      trace->boxes.push_back(rows_tensor(assigned));
      trace->proposals.push_back(
          at::cat({found.boxes, found.scores.unsqueeze(1)}, 1).to(at::kCPU));
    }
  }
  const auto device = regions.logits[0].device();
  out.boxes = at::cat(boxes).to(device);
  out.pictures = at::cat(pictures).to(device);
  out.labels = at::cat(labels).to(device);
  out.targets = at::cat(targets).to(device);
  out.positive = rows_tensor(positive).to(device);
  return out;
}

/// bool [M, 28, 28]: the true masks of positives within their boxes.
at::Tensor mask_targets(const DetectorBatch& batch, const Sampling& sampling) {
  const c10::NoGradGuard guard;
  const auto boxes = sampling.boxes.index_select(0, sampling.positive);
  std::vector<at::Tensor> out;
  int64_t begin = 0;
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    const auto owners = sampling.owners[i].to(boxes.device());
    const int64_t count = owners.numel();
    if (count == 0) continue;
    const auto masks = batch.samples[i]
                           .masks.to(boxes.device())
                           .ne(0)
                           .to(at::kFloat)
                           .unsqueeze(1);
    const auto inside =
        at::minimum(boxes.slice(0, begin, begin + count).clamp_min(0),
                    at::tensor({static_cast<float>(masks.size(3)),
                                static_cast<float>(masks.size(2))})
                        .repeat({2})
                        .to(boxes.device()));
    out.push_back(
        pool_boxes_of_levels({masks}, {1}, inside, owners, kMaskTarget)
            .squeeze(1)
            .ge(0.5));
    begin += count;
  }
  if (out.empty()) {
    return at::zeros({0, kMaskTarget, kMaskTarget},
                     boxes.options().dtype(at::kBool));
  }
  return at::cat(out);
}

}  // namespace

std::map<std::string, at::Tensor> detector_losses(
    const RecordedHeads& heads,
    const std::vector<at::Tensor>& maps,
    const DetectorBatch& batch,
    const DetectorLossContext& context,
    const Call& call,
    DetectorTrace* trace) {
  call.check();
  const auto pyramid = heads.pyramid(maps);
  call.check();
  const auto regions = heads.regions(pyramid);
  check_scores(regions);
  const auto first = region_losses(regions, batch, context, trace);
  const auto sampling = sample_proposals(regions, batch, context, trace);

  // What is averaged over is of all ranks.
  double anchors = first.count;
  auto boxes = static_cast<double>(sampling.boxes.size(0));
  auto masks = static_cast<double>(sampling.positive.numel());
  if (context.gather) {
    const auto all =
        context.gather(at::tensor({anchors, boxes, masks}, at::kDouble)).sum(0);
    anchors = all[0].item<double>();
    boxes = all[1].item<double>();
    masks = all[2].item<double>();
  }
  std::map<std::string, at::Tensor> out;
  out["rpn_cls"] = first.cls.sum() / anchors;
  out["rpn_bbox"] = first.bbox.sum() / anchors;
  if (trace) {
    const size_t levels = regions.logits.size();
    trace->rpn_cls = by_level(first.cls, first.cls_levels, levels, anchors);
    trace->rpn_bbox = by_level(first.bbox, first.bbox_levels, levels, anchors);
  }
  call.check();

  const std::vector<at::Tensor> pooled_from(pyramid.begin(), pyramid.end() - 1);
  const std::vector<double> strides(context.strides.begin(),
                                    context.strides.end() - 1);
  const auto device = regions.logits[0].device();
  out["cls"] = out["bbox"] = at::zeros({}, device);
  if (boxes > 0) {
    const auto found = heads.boxes(pool_boxes_of_levels(
        pooled_from, strides, sampling.boxes, sampling.pictures, kBoxSide));
    const auto unit =
        found.embeddings / found.embeddings.norm(2, {1}, true).clamp_min(1e-12);
    const auto logits =
        context.temperature *
        at::mm(unit, context.words.index_select(0, context.learned).t());
    // The label's place among the rows that take part.
    const auto place = at::searchsorted(context.learned, sampling.labels);
    const auto each = at::nll_loss_nd(
        logits.log_softmax(1), place, context.weights, at::Reduction::None);
    out["cls"] = each.sum() / boxes;
    out["bbox"] =
        (found.deltas.index_select(0, sampling.positive) - sampling.targets)
            .abs()
            .sum() /
        boxes;
    if (trace) {
      trace->rois = at::cat(
          {sampling.pictures.unsqueeze(1).to(at::kFloat), sampling.boxes}, 1);
      trace->labels = sampling.labels;
      trace->targets = at::zeros_like(sampling.boxes)
                           .index_copy(0, sampling.positive, sampling.targets);
      trace->logits = logits.detach();
      trace->deltas = found.deltas.detach();
    }
  }
  if (!heads.masks()) return out;
  call.check();
  out["mask"] = at::zeros({}, device);
  if (masks > 0) {
    const auto wanted = mask_targets(batch, sampling);
    const auto logits = heads.mask_logits(pool_boxes_of_levels(
        pooled_from,
        strides,
        sampling.boxes.index_select(0, sampling.positive),
        sampling.pictures.index_select(0, sampling.positive),
        kMaskSide));
    out["mask"] = at::binary_cross_entropy_with_logits(logits.squeeze(1),
                                                       wanted.to(at::kFloat),
                                                       {},
                                                       {},
                                                       at::Reduction::Sum) /
                  (masks * static_cast<double>(kMaskTarget * kMaskTarget));
    if (trace) {
      trace->mask_logits = logits.detach();
      trace->mask_targets = wanted;
    }
  }
  return out;
}

}  // namespace declip
