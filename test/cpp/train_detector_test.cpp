// One training step of F-ViT's own program on mmdetection, stage by stage.

#include "declip/train_detector.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "declip/checkpoint.h"
#include "declip/detector.h"
#include "golden.h"
#include "tap.h"
#include "train/detector_losses.h"

namespace {

const Golden& fvit() {
  static const Golden folder("fvit");
  return folder;
}

bool is_train_step(const std::string& id) {
  return id.ends_with(".train-step");
}

struct GoldenStep {
  declip::Checkpoint student;
  declip::DetectorTrainOptions options;
  declip::DetectorBatch batch;
};

const declip::Json& member(const declip::Json& json, const char* name) {
  const auto* found = json.find(name);
  if (found == nullptr) throw std::runtime_error(std::string("no ") + name);
  return *found;
}
double number(const declip::Json& json, const char* name) {
  return *member(json, name).number();
}

std::vector<std::string> texts(const declip::Json& json) {
  std::vector<std::string> out;
  for (const auto& item : *json.array()) out.push_back(*item.string());
  return out;
}

/// Resized pixels [H, W, 3] as the network gets them: ImageNet's statistics,
/// then zeros to a square.
at::Tensor normalized(const at::Tensor& pixels, int64_t side) {
  const auto planes = [](std::initializer_list<float> values) {
    return at::tensor(std::vector<float>(values)).view({3, 1, 1});
  };
  const auto picture = (pixels.to(at::kFloat).permute({2, 0, 1}) -
                        planes({123.675f, 116.28f, 103.53f})) *
                       planes({1 / 58.395f, 1 / 57.12f, 1 / 57.375f});
  return at::constant_pad_nd(
      picture, {0, side - picture.size(2), 0, side - picture.size(1)}, 0);
}

GoldenStep golden_step(const std::string& id) {
  const auto& json = fvit().at(id);
  const auto& inputs = member(json, "inputs");
  const auto& given = member(json, "options");
  const auto& config = member(json, "config");
  GoldenStep out;
  declip::ConfigOverrides overrides;
  overrides.head_width = *member(config, "head_width").integer();
  out.student = declip::load_checkpoint(
      fvit().path(*member(json, "weights").string()), overrides);
  auto& o = out.options;
  o.side = *member(config, "input_size").integer();
  for (const auto& block : *member(config, "taken_blocks").array()) {
    o.blocks.push_back(*block.integer());
  }
  o.classes = texts(member(config, "classes"));
  o.novel = texts(member(config, "novel"));
  const auto& weights =
      *member(member(json, "values"), "class_weights").array();
  o.background_weight = *weights.back().number();
  const auto& rpn = member(given, "rpn");
  o.rpn_samples = *member(rpn, "samples").integer();
  o.rpn_positive_share = number(rpn, "positive_fraction");
  o.rpn_positive_iou = number(rpn, "positive_iou");
  o.rpn_negative_iou = number(rpn, "negative_iou");
  o.rpn_least_iou = number(rpn, "low_quality_iou");
  const auto& proposals = member(given, "proposals");
  o.per_level = *member(proposals, "per_level").integer();
  o.proposals = *member(proposals, "keep").integer();
  o.proposal_nms = number(proposals, "nms_iou");
  const auto& roi = member(given, "roi");
  o.box_samples = *member(roi, "samples").integer();
  o.box_positive_share = number(roi, "positive_fraction");
  o.box_iou = number(roi, "positive_iou");
  o.low_quality_boxes = !member(roi, "low_quality_iou").is_null();
  o.schedule.kind = declip::Schedule::Kind::kConstant;
  o.schedule.warmup = 0;
  o.schedule.rate = number(given, "lr");
  o.weight_decay = number(given, "weight_decay");
  o.clip_norm = number(given, "max_norm");
  o.norm_momentum = number(given, "bn_momentum");

  std::vector<at::Tensor> pictures;
  for (int64_t i = 0;; ++i) {
    const auto input = [&](const std::string& name) {
      return inputs.find(name + "." + std::to_string(i));
    };
    if (input("resized") == nullptr) break;
    const auto tensor = [&](const std::string& name) {
      return fvit().tensor(*input(name));
    };
    const auto pixels = tensor("resized");
    pictures.push_back(normalized(pixels, o.side));
    declip::DetectorSample sample;
    sample.size = {.height = pixels.size(0), .width = pixels.size(1)};
    sample.boxes = tensor("boxes");
    sample.labels = tensor("labels");
    if (const auto* masks = input("masks")) {
      const auto& file = masks->string() ? *masks->string()
                         : masks->find("png")
                             ? *member(*masks, "png").string()
                             : *member(*masks, "file").string();
      sample.masks = png::read(fvit().path(file))
                         .reshape({sample.boxes.size(0), o.side, o.side, -1})
                         .select(3, 0);
    }
    out.batch.samples.push_back(sample);
    // Proposals as the program has them: a rounding in a box goes through tens
    // of thousands of ReLUs, of which one that turns shows in a gradient.
    const auto proposals = fvit().tensor(member(
        member(json, "outputs"), ("proposals." + std::to_string(i)).c_str()));
    out.batch.choices.push_back({.proposals = proposals.slice(1, 0, 4),
                                 .anchors_positive = tensor("sampled.rpn.pos"),
                                 .anchors_negative = tensor("sampled.rpn.neg"),
                                 .boxes_positive = tensor("sampled.roi.pos"),
                                 .boxes_negative = tensor("sampled.roi.neg")});
  }
  out.batch.images = at::stack(pictures);
  return out;
}

/// Compares the stages in order and stops at the first that is wrong, which is
/// named by the failure.
class Stages {
 public:
  explicit Stages(const std::string& id) : id_(id) {}

  void operator()(const std::string& name, const at::Tensor& got) {
    const auto* spec = fvit().at(id_).find("outputs")->find(name);
    if (spec == nullptr || failed_) return;
    const auto expected = fvit().tensor(*spec);
    if (got.numel() != expected.numel()) {
      fail(name + ": has " + std::to_string(got.numel()) +
           " numbers instead of " + std::to_string(expected.numel()));
      return;
    }
    const auto a = got.detach().to(at::kDouble).reshape(expected.sizes());
    const auto b = expected.to(at::kDouble);
    const auto* atol = spec->find("atol");
    const auto allowed =
        atol ? *atol->number() + *spec->find("rtol")->number() * b.abs()
             : at::zeros_like(b);
    const auto off = (a - b).abs();
    if (off.le(allowed).all().item<bool>()) return;
    fail(name + ": off by up to " + std::to_string(off.max().item<double>()) +
         ", " + std::to_string(off.gt(allowed).sum().item<int64_t>()) +
         " numbers beyond tolerance");
  }

 private:
  void fail(const std::string& what) {
    failed_ = true;
    tap::fail(__FILE__, __LINE__, id_ + " first wrong stage " + what);
  }
  std::string id_;
  bool failed_ = false;
};

std::string numbered(const std::string& name, size_t i) {
  return name + "." + std::to_string(i);
}

}  // namespace

TEST(stages_of_a_detector_step_are_the_programs) {
  for (const auto& id : fvit().ids()) {
    if (!is_train_step(id)) continue;
    const auto golden = golden_step(id);
    declip::DetectorTrainer trainer(golden.student, golden.options);
    const auto tensors = trainer.parameters();
    declip::BatchNorms norms(tensors, golden.options.norm_momentum);
    const declip::RecordedHeads heads(tensors, at::kFloat, norms);
    const auto words =
        tensors.at("roi_head.bbox_head.all_embeddings").t().contiguous();
    declip::DetectorLossContext context;
    context.options = &trainer.options();
    declip::DetectorConfig levels;
    levels.patch = golden.student.config.vision.patch;
    context.strides = levels.strides();
    context.words = words;
    std::vector<int64_t> learned;
    std::vector<float> weights;
    const auto& all =
        *fvit().at(id).find("values")->find("class_weights")->array();
    for (size_t k = 0; k < all.size(); ++k) {
      if (*all[k].number() == 0) continue;
      learned.push_back(static_cast<int64_t>(k));
      weights.push_back(static_cast<float>(*all[k].number()));
    }
    context.learned = at::tensor(learned);
    context.weights = at::tensor(weights);
    context.temperature = tensors.at("roi_head.bbox_head.detect_temperature");
    const c10::NoGradGuard guard;
    declip::DetectorTrace trace;
    const auto losses =
        declip::detector_losses(heads,
                                trainer.tower_maps(golden.batch.images, {}),
                                golden.batch,
                                context,
                                {},
                                &trace);
    Stages check(id);
    for (size_t i = 0; i < trace.anchors.size(); ++i) {
      check(numbered("rpn.assigned", i), trace.anchors[i]);
    }
    for (size_t l = 0; l < trace.rpn_cls.size(); ++l) {
      check(numbered("loss.loss_rpn_cls", l), trace.rpn_cls[l]);
      check(numbered("loss.loss_rpn_bbox", l), trace.rpn_bbox[l]);
    }
    check("loss.loss_rpn_cls", losses.at("rpn_cls"));
    check("loss.loss_rpn_bbox", losses.at("rpn_bbox"));
    for (size_t i = 0; i < trace.anchors.size(); ++i) {
      check(numbered("proposals", i), trace.proposals[i]);
      check(numbered("roi.assigned", i), trace.boxes[i]);
    }
    check("roi.boxes", trace.rois);
    check("roi.labels", trace.labels);
    check("roi.targets", trace.targets);
    check("roi.deltas", trace.deltas);
    auto logits = at::zeros({trace.logits.size(0), words.size(0)});
    logits.index_copy_(1, context.learned, trace.logits);
    check("roi.logits", logits);
    check("loss.loss_cls", losses.at("cls"));
    check("loss.loss_bbox", losses.at("bbox"));
    auto total = losses.at("rpn_cls") + losses.at("rpn_bbox") +
                 losses.at("cls") + losses.at("bbox");
    if (losses.contains("mask")) {
      check("mask.logits", trace.mask_logits);
      check("mask.targets", trace.mask_targets);
      check("loss.loss_mask", losses.at("mask"));
      total = total + losses.at("mask");
    }
    check("loss.total", total);
  }
}

TEST(gradients_and_an_update_of_a_detector_are_the_programs) {
  for (const auto& id : fvit().ids()) {
    if (!is_train_step(id)) continue;
    const auto golden = golden_step(id);
    declip::DetectorTrainer trainer(golden.student, golden.options);
    const auto& values = member(fvit().at(id), "values");
    std::map<std::string, at::Tensor> gradients;
    const auto first = trainer.gradients({golden.batch}, gradients, {});
    const auto& tolerance = member(values, "grad_norm_tolerance");
    const auto close =
        [&](const std::string& name, double got, double expected) {
          const double allowed =
              number(tolerance, "atol") + number(tolerance, "rtol") * expected;
          if (std::abs(got - expected) <= allowed) return;
          tap::fail(__FILE__,
                    __LINE__,
                    id + " gradient of " + name + " is " + std::to_string(got) +
                        " long instead of " + std::to_string(expected));
        };
    const auto& norms = *member(values, "grad_norms").object();
    CHECK(gradients.size() == norms.size());
    for (const auto& [name, norm] : norms) {
      const tap::Case which(name);
      CHECK(gradients.contains(name));
      if (!gradients.contains(name)) continue;
      close(name, gradients.at(name).norm().item<double>(), *norm.number());
    }
    close("everything", first.gradient_norm, number(values, "total_grad_norm"));
    Stages check(id);
    for (const auto& [name, gradient] : gradients) {
      check("grad." + name, gradient);
    }

    trainer.step({golden.batch}, {});
    const auto after = trainer.parameters();
    for (const auto& [name, tensor] : after) {
      check("step1." + name, tensor);
      check("after." + name, tensor);
    }
    for (const auto& [name, counts] :
         *member(values, "num_batches_tracked").object()) {
      const tap::Case which(name);
      CHECK(after.at(name).item<int64_t>() == *(*counts.array())[1].integer());
    }
    for (const auto& name :
         *member(values, "trainable_without_gradient").array()) {
      CHECK(!gradients.contains(*name.string()));
    }
  }
}
