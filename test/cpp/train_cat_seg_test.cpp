// CAT-Seg's training: two steps of the authors' own program, and what every
// trainer here has to do.

#include "declip/train_cat_seg.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "declip/checkpoint.h"
#include "golden.h"
#include "tap.h"

namespace {

const Golden& cat_seg() {
  static const Golden folder("cat-seg");
  return folder;
}

const declip::Json& of(const declip::Json& json, const char* name) {
  const auto* found = json.find(name);
  if (found == nullptr) throw std::runtime_error(std::string("no ") + name);
  return *found;
}
double number_of(const declip::Json& json, const char* name) {
  return *of(json, name).number();
}
std::vector<int64_t> integers_of(const declip::Json& json, const char* name) {
  std::vector<int64_t> out;
  for (const auto& item : *of(json, name).array()) {
    out.push_back(*item.integer());
  }
  return out;
}

struct CatSegStep {
  declip::Checkpoint student;
  declip::CatSegTrainOptions options;
  declip::CatSegBatch batch;
};

CatSegStep cat_seg_step(const std::string& id) {
  const auto& json = cat_seg().at(id);
  const auto& inputs = of(json, "inputs");
  const auto& config = of(json, "config");
  const auto& given = of(json, "options");
  CatSegStep out;
  declip::ConfigOverrides overrides;
  const auto integer = [&](const char* name) {
    return *of(config, name).integer();
  };
  overrides.head_width = integer("vision_width") / integer("vision_heads");
  overrides.text_heads = integer("text_heads");
  out.student = declip::load_checkpoint(
      cat_seg().path(*of(json, "weights").string()), overrides);
  if (!out.student.cat_seg) throw std::runtime_error("the head was not read");
  // What the authors' files do not say.
  auto head = *out.student.cat_seg;
  head.config.side = integers_of(config, "clip_resolution")[0];
  head.config.blocks = integers_of(config, "guidance_layers");
  head.config.heads = integer("heads");
  head.config.window = integer("window");
  head.config.word_limit = *of(given, "pad_length").integer();
  out.student.cat_seg =
      std::make_shared<declip::CatSegFile>(std::move(head));

  auto& o = out.options;
  o.tokens = cat_seg().tensor(of(inputs, "ids"));
  for (const auto& name : *of(inputs, "names").array()) {
    o.classes.push_back(*name.string());
  }
  o.pooling = integers_of(given, "class_pooling")[0];
  o.schedule.kind = declip::Schedule::Kind::kConstant;
  o.schedule.warmup = 0;
  o.schedule.rate = number_of(given, "base_lr");
  o.clip_rate = number_of(given, "clip_multiplier");
  o.weight_decay = number_of(given, "weight_decay");
  o.clip_norm = number_of(given, "clip_norm");

  const auto planes = [&](const char* name) {
    std::vector<float> values;
    for (const auto& value : *of(config, name).array()) {
      values.push_back(static_cast<float>(*value.number()));
    }
    return at::tensor(values).view({3, 1, 1});
  };
  std::vector<at::Tensor> pictures;
  for (const auto& image : *of(inputs, "images").array()) {
    const auto pixels = png::read(cat_seg().path(*of(image, "png").string()));
    pictures.push_back((pixels.to(at::kFloat).permute({2, 0, 1}) -
                        planes("clip_mean")) /
                       planes("clip_std"));
  }
  out.batch.images = at::stack(pictures);
  out.batch.labels = cat_seg().tensor(of(inputs, "labels"));
  return out;
}

/// What a fixture holds of a tensor, which is stored with a step.
at::Tensor stored(const declip::Json& spec, at::Tensor x) {
  const auto* every = spec.find("stored_every");
  if (every == nullptr) return x.to(at::kDouble);
  for (size_t i = 0; i < every->array()->size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    x = x.slice(axis, 0, x.size(axis), *(*every->array())[i].integer());
  }
  return x.to(at::kDouble);
}

/// Compares what a case says, in order, and stops at the first that is wrong,
/// which the failure names.
class CatSegStages {
 public:
  explicit CatSegStages(const std::string& id) : id_(id) {}

  void operator()(const std::string& name, const at::Tensor& got) {
    const auto* spec = of(cat_seg().at(id_), "outputs").find(name);
    if (spec == nullptr || failed_) return;
    const auto expected = cat_seg().tensor(*spec).to(at::kDouble);
    const auto actual = stored(*spec, got.detach()).reshape(expected.sizes());
    const auto off = (actual - expected).abs();
    const auto allowed =
        number_of(*spec, "atol") + number_of(*spec, "rtol") * expected.abs();
    const auto beyond = off.gt(allowed).sum().item<int64_t>();
    ++compared_;
    if (beyond > 0 || !off.isfinite().all().item<bool>()) {
      fail(name + ": off by up to " + std::to_string(off.max().item<double>()) +
           ", " + std::to_string(beyond) + " of " +
           std::to_string(off.numel()) + " numbers beyond tolerance");
      return;
    }
    const auto* tight = spec->find("tight");
    if (tight == nullptr) return;
    const double share = off.le(number_of(*tight, "atol"))
                             .to(at::kDouble)
                             .mean()
                             .item<double>();
    if (share < number_of(*tight, "min_share")) {
      fail(name + ": only a share of " + std::to_string(share) +
           " is within the tight bound");
    }
  }
  void operator()(const std::string& name, double got) {
    (*this)(name, at::tensor({got}, at::kDouble));
  }
  int64_t compared() const { return compared_; }

 private:
  void fail(const std::string& what) {
    failed_ = true;
    tap::fail(__FILE__, __LINE__, id_ + " first wrong stage " + what);
  }
  std::string id_;
  bool failed_ = false;
  int64_t compared_ = 0;
};

}  // namespace

TEST(two_steps_of_cat_seg_are_the_programs) {
  for (const auto& id : cat_seg().ids()) {
    if (!id.ends_with("train-step")) continue;
    const tap::Case which(id);
    const auto golden = cat_seg_step(id);
    const auto& outputs = *of(cat_seg().at(id), "outputs").object();
    for (const bool checkpoints : {false, true}) {
      auto options = golden.options;
      options.checkpoint_activations = checkpoints;
      declip::CatSegTrainer trainer(golden.student, options);
      CatSegStages check(id);
      std::map<std::string, at::Tensor> gradients;
      const auto first = trainer.gradients({golden.batch}, gradients, {});
      check("loss.step1", first.total);
      check("gradient_norm.step1", first.gradient_norm);
      std::vector<double> norms;
      const auto& names =
          *of(of(cat_seg().at(id), "values"), "parameters").array();
      for (const auto& name : names) {
        const auto found = gradients.find(*name.string());
        CHECK(found != gradients.end());
        if (found == gradients.end()) {
          tap::fail(__FILE__, __LINE__, "no gradient of " + *name.string());
          return;
        }
        norms.push_back(found->second.norm().item<double>());
      }
      CHECK(gradients.size() == names.size());
      CHECK(trainer.trainable().size() == names.size());
      check("gradient_norms", at::tensor(norms, at::kDouble));
      constexpr std::string_view kPrefix = "sem_seg_head.predictor.";
      const auto shortened = [&](const std::string& name) {
        return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
      };
      for (const auto& [name, gradient] : gradients) {
        check("grad." + shortened(name), gradient);
      }
      trainer.step({golden.batch}, {});
      if (checkpoints) continue;  // the same from here on
      const auto second = trainer.step({golden.batch}, {});
      check("loss.step2", second.total);
      check("gradient_norm.step2", second.gradient_norm);
      for (const auto& [name, tensor] : trainer.parameters()) {
        check("param.step2." + shortened(name), tensor);
      }
      CHECK(check.compared() == static_cast<int64_t>(outputs.size()));
    }
  }
}
