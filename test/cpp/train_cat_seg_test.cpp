// CAT-Seg's training: two steps of the authors' own program, and what every
// trainer here has to do.

#include "declip/train_cat_seg.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cat_seg/plain_head.h"
#include "checkpoint/family.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "golden.h"
#include "rank_threads.h"
#include "small_models.h"
#include "tap.h"
#include "tensor_maps.h"
#include "train/cat_seg_heads.h"
#include "train/cat_seg_initial.h"
#include "train/cat_seg_loss.h"
#include "train/training_mode.h"

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
  out.student.cat_seg = std::make_shared<declip::CatSegFile>(std::move(head));

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
    pictures.push_back(
        (pixels.to(at::kFloat).permute({2, 0, 1}) - planes("clip_mean")) /
        planes("clip_std"));
  }
  out.batch.images = at::stack(pictures);
  out.batch.labels = cat_seg().tensor(of(inputs, "labels"));
  return out;
}

/// What a fixture holds of a tensor, which is stored with a step.
at::Tensor stored(const declip::Json& spec, at::Tensor x) {
  const auto* every = spec.find("stored_every");
  if (!every || !every->array()) return x.to(at::kDouble);
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
    const auto expected = stored(*spec, cat_seg().tensor(*spec));
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
    const double share =
        off.le(number_of(*tight, "atol")).to(at::kDouble).mean().item<double>();
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

namespace {

declip::CatSegTrainOptions small_cat_seg() {
  declip::CatSegTrainOptions out;
  auto& head = out.head;
  head.channels = 16;
  head.layers = 2;
  head.image_guidance = 6;
  head.text_guidance = 5;
  head.guidance = {7, 6};
  head.decoder = {32, 16};
  head.decoder_guidance = {4, 3};
  head.side = 32;
  head.canvas = 64;
  head.cut = 32;
  head.stride = 16;
  head.heads = 2;
  head.window = 2;
  head.word_limit = 9;
  head.blocks = {0, 1};
  out.classes = {"dog", "cup", "tree"};
  out.tokens = at::zeros({3, 6}, at::kInt);
  for (int64_t i = 0; i < 3; ++i) {
    out.tokens[i].slice(0, 0, 4).copy_(at::tensor({18L, 2 + i, 7L, 19L}));
  }
  out.clip_rate = 0.1;
  out.schedule.kind = declip::Schedule::Kind::kCosine;
  out.schedule.warmup = 0;
  out.schedule.total = 100;
  out.schedule.rate = 1e-2;
  return out;
}

declip::CatSegBatch small_cat_seg_batch(uint64_t seed = 1,
                                        int64_t pictures = 2) {
  Random random;
  random.engine.seed(seed);
  declip::CatSegBatch out;
  out.images = random.tensor({pictures, 3, 32, 32});
  out.labels = random.tensor({pictures, 20, 24}).mul(9).floor().to(at::kLong) %
               4;  // some negative, some 3: ignored
  return out;
}

std::map<std::string, at::Tensor> copies_of(
    const declip::CatSegTrainer& trainer) {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : trainer.parameters()) {
    out.emplace(name, tensor.clone());
  }
  return out;
}

void check_equal(const std::map<std::string, at::Tensor>& a,
                 const std::map<std::string, at::Tensor>& b,
                 double tolerance = 0) {
  CHECK(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    const tap::Case which(name);
    CHECK(b.contains(name));
    if (!b.contains(name)) continue;
    const auto off = (tensor - b.at(name)).abs().max().item<double>();
    CHECK(off <= tolerance);
  }
}

}  // namespace

TEST(the_trained_form_of_the_head_is_the_plain_one_with_its_gradients) {
  const declip::TrainingMode mode;
  Random random;
  auto options = small_cat_seg();
  const auto model = small::config(&declip::families::clip);
  struct Shape {
    int64_t side, window, limit, pooling, words;
    bool unit;
  };
  for (const auto& shape : {Shape{32, 2, 9, 2, 3, false},
                            Shape{48, 3, 9, 2, 9, true},
                            Shape{32, 8, 0, 1, 4, false}}) {
    options.head.side = shape.side;
    options.head.window = shape.window;
    options.head.word_limit = shape.limit;
    options.head.unit_patches = shape.unit;
    const auto config = declip::new_cat_seg_config(options.head, model);
    auto tensors = declip::initial_cat_seg(config, model.vision.width, 3);
    for (auto& [name, tensor] : tensors) {
      tensor = (tensor + 0.2 * random.tensor(tensor.sizes())).requires_grad_();
    }
    const int64_t grid = shape.side / 8;
    const auto leaf = [&](at::IntArrayRef sizes) {
      return random.tensor(sizes).requires_grad_();
    };
    const auto features = leaf({2, 12, grid, grid});
    const auto first = leaf({2, 16, grid, grid});
    const auto second = leaf({2, 16, grid, grid});
    const auto words = leaf({shape.words, 12});
    const auto unit = [&] { return words / words.norm(2, {1}, true); };
    const auto weights = random.tensor({2, shape.words, 4 * grid, 4 * grid});
    std::vector<at::Tensor> leaves{features, first, second, words};
    for (const auto& [name, tensor] : tensors) leaves.push_back(tensor);
    const auto gradients = [&](const at::Tensor& logits) {
      (logits * weights).sum().backward();
      std::vector<at::Tensor> out{logits.detach()};
      for (auto& tensor : leaves) {
        const auto& gradient = tensor.grad();
        out.push_back(gradient.defined() ? gradient.clone()
                                         : at::zeros_like(tensor));
        tensor.mutable_grad().reset();
      }
      return out;
    };
    const auto got = gradients(
        declip::RecordedCatSeg(config, tensors, at::kFloat)
            .logits(features, first, second, unit(), shape.pooling, {}));
    const auto expected = gradients(declip::cat_seg::plain_logits(
        config,
        tensors,
        declip::cat_seg::plain_maps(config, tensors, features, first, second),
        unit().unsqueeze(1),
        shape.pooling,
        shape.limit));
    for (size_t i = 0; i < got.size(); ++i) {
      const tap::Case which("tensor " + std::to_string(i));
      const double size = expected[i].abs().max().item<double>();
      CHECK_CLOSE((got[i] - expected[i]).abs().max().item<double>(),
                  0,
                  1e-4 * size + 1e-5);
    }
    // In 16 bits it is the same within their precision.
    const auto rough =
        declip::RecordedCatSeg(config, tensors, at::kBFloat16)
            .logits(features, first, second, unit(), shape.pooling, {});
    const auto scale = expected[0].abs().max().item<double>();
    CHECK((rough - expected[0]).abs().max().item<double>() < 0.1 * scale);
  }
}

TEST(the_loss_is_the_mean_cross_entropy_of_all_pixels_and_classes) {
  const declip::TrainingMode mode;
  Random random;
  const auto logits = random.tensor({2, 5, 6, 7}).requires_grad_();
  const auto batch = small_cat_seg_batch();
  auto target = at::zeros({2, 5, 20, 24});
  for (int64_t c = 0; c < 5; ++c) {
    target.select(1, c).copy_(batch.labels.eq(c));
  }
  const auto plain = at::binary_cross_entropy_with_logits(
      at::upsample_bilinear2d(logits, {20, 24}, false), target);
  plain.backward();
  const auto expected = logits.grad().clone();
  logits.mutable_grad().reset();
  const auto loss = declip::cat_seg_loss(logits, batch.labels);
  (2 * loss).backward();
  CHECK_CLOSE(loss.item<double>(), plain.item<double>(), 1e-6);
  CHECK_CLOSE(
      (logits.grad() - 2 * expected).abs().max().item<double>(), 0, 1e-7);
}

TEST(gradients_of_a_cat_seg_step_are_slopes_of_its_loss) {
  for (const auto* family : small::kFamilies) {
    declip::CatSegTrainer trainer(small::model(family), small_cat_seg());
    const auto batch = small_cat_seg_batch();
    std::map<std::string, at::Tensor> gradients, ignored;
    trainer.gradients({batch}, gradients, {});
    const auto now = trainer.parameters();
    // Along the gradient of every part the loss rises by its square.
    for (const std::string part :
         {"clip_model.visual", "clip_model.t", "predictor.transformer"}) {
      const tap::Case which(part);
      double square = 0;
      for (const auto& [name, gradient] : gradients) {
        if (name.find(part) == std::string::npos) continue;
        square += gradient.square().sum().item<double>();
      }
      CHECK(square > 0);
      const double length = 2e-3 / std::sqrt(square);
      const auto moved = [&](double by) {
        const c10::NoGradGuard guard;
        for (const auto& [name, gradient] : gradients) {
          if (name.find(part) == std::string::npos) continue;
          now.at(name).add_(gradient, by);
        }
        const double loss = trainer.gradients({batch}, ignored, {}).total;
        for (const auto& [name, gradient] : gradients) {
          if (name.find(part) == std::string::npos) continue;
          now.at(name).sub_(gradient, by);
        }
        return loss;
      };
      const double slope = (moved(length) - moved(-length)) / (2 * length);
      CHECK_CLOSE(slope / square, 1, 0.05);
    }
  }
}

TEST(what_learns_of_a_cat_seg_and_at_which_rate) {
  for (const auto* family : small::kFamilies) {
    const bool plain = family == &declip::families::clip;
    auto options = small_cat_seg();
    options.clip_rate = 0.5;
    options.clip_norm = 0;
    declip::CatSegTrainer trainer(small::model(family), options);
    const auto before = copies_of(trainer);
    trainer.step({small_cat_seg_batch()}, {});
    int64_t towers = 0;
    const auto after = trainer.parameters();
    for (const auto& [name, tensor] : before) {
      const tap::Case which(name);
      const auto moved = (after.at(name) - tensor).abs().max().item<double>();
      if (name.find("clip_model.") == std::string::npos) {
        // Adam's first step is as long as the rate, wherever there is a slope.
        CHECK(moved > 0 && moved < 1.1e-2);
        continue;
      }
      const bool learns = plain ? name.ends_with("q_proj_weight") ||
                                      name.ends_with("v_proj_weight")
                                : name.ends_with("q_proj.weight") ||
                                      name.ends_with("v_proj.weight") ||
                                      name.ends_with("in_proj_weight");
      if (learns) ++towers;
      CHECK(learns ? moved > 0 && moved < 0.55e-2 : moved == 0);
    }
    CHECK(towers == (plain ? 10 : 8));

    options.clip = "none";
    declip::CatSegTrainer head(small::model(family), options);
    head.step({small_cat_seg_batch()}, {});
    for (const auto& [name, tensor] : head.parameters()) {
      if (name.find("clip_model.") == std::string::npos) continue;
      CHECK(at::equal(tensor, before.at(name)));
    }
  }
}

TEST(a_cat_seg_state_goes_on_bit_for_bit_and_says_what_does_not_fit) {
  const files::TempFolder folder;
  const auto path = folder.file("state.safetensors");
  auto options = small_cat_seg();
  options.ema_decay = 0.9;
  const auto student = small::model(&declip::families::clip);
  declip::CatSegTrainer trainer(student, options);
  trainer.step({small_cat_seg_batch(1)}, {});
  trainer.save(path);
  trainer.step({small_cat_seg_batch(2), small_cat_seg_batch(3)}, {});
  options.seed = 9;
  declip::CatSegTrainer other(student, options);
  other.load(path);
  CHECK(other.step_count() == 1);
  other.step({small_cat_seg_batch(2), small_cat_seg_batch(3)}, {});
  check_equal(trainer.parameters(), other.parameters());

  const auto refused = [&](declip::CatSegTrainer& into) {
    const auto before = copies_of(into);
    CHECK_THROWS_CODE(into.load(path), declip::ErrorCode::kWeights);
    check_equal(before, into.parameters());
    CHECK(into.step_count() == 0);
  };
  auto words = options;
  words.tokens = words.tokens.clone();
  words.tokens[1][1] = 11;
  declip::CatSegTrainer of_others(student, words);
  refused(of_others);
  declip::CatSegTrainer of_another(small::model(&declip::families::eva),
                                   options);
  refused(of_another);
  auto wide = options;
  wide.head.channels = 32;
  declip::CatSegTrainer of_another_size(student, wide);
  refused(of_another_size);

  auto file = declip::read_safetensors(path);
  const std::string name = "parameters.upsample1.bias";
  file.tensors.at(name) = at::full_like(file.tensors.at(name), NAN);
  declip::write_safetensors(path, file.tensors, file.metadata);
  declip::CatSegTrainer fresh(student, options);
  refused(fresh);
  file.tensors.erase(name);
  declip::write_safetensors(path, file.tensors, file.metadata);
  refused(fresh);
}

TEST(two_ranks_of_a_cat_seg_are_one_process_with_all_pictures) {
  const auto student = small::model(&declip::families::eva);
  const auto options = small_cat_seg();
  std::vector<std::map<std::string, at::Tensor>> after(3);
  const auto learn = [&](const ranks::Group& group) {
    const int rank = group ? group->rank() : 2;
    declip::CatSegTrainer trainer(student, options, group);
    std::vector<declip::CatSegBatch> parts;
    for (const int each : {0, 1}) {
      if (!group || rank == each) {
        parts.push_back(small_cat_seg_batch(static_cast<uint64_t>(each + 5)));
      }
    }
    trainer.step(parts, {});
    if (group) {
      // One that fails takes the others with it, and nobody has moved.
      const auto before = copies_of(trainer);
      auto bad = parts;
      if (rank == 1) bad[0].labels = at::Tensor();
      const auto end = ranks::end_of([&] { trainer.step(bad, {}); });
      CHECK(!end.message.empty() && end.of_group == (rank == 0));
      // Not check_equal(): cases of several threads would mix.
      CHECK(tensor_maps::same(before, trainer.parameters()));
      CHECK(trainer.step_count() == 1);
    }
    after[static_cast<size_t>(rank)] = copies_of(trainer);
  };
  for (const auto& end : ranks::run(2, learn)) CHECK(end.message == "");
  learn(nullptr);
  check_equal(after[0], after[1]);
  // Adam's first step is the rate wherever a gradient is above its rounding.
  for (const auto& [name, tensor] : after[2]) {
    const tap::Case which(name);
    CHECK_CLOSE(
        (tensor - after[0].at(name)).abs().median().item<double>(), 0, 1e-5);
  }
}

TEST(an_exported_cat_seg_is_read_as_it_was_trained) {
  const files::TempFolder folder;
  for (const auto* family : small::kFamilies) {
    const auto path = folder.file("cat-seg");
    auto options = small_cat_seg();
    options.ema_decay = 0.5;
    auto model = small::model(family);
    for (int i = 0; i < 3; ++i) {  // a file of the authors' has no LayerScale
      for (const char* scale : {"1", "2"}) {
        model.tensors.erase(c10::str(
            "visual.transformer.resblocks.", i, ".ls_", scale, ".gamma"));
      }
    }
    declip::CatSegTrainer trainer(model, options);
    trainer.step({small_cat_seg_batch()}, {});
    trainer.export_checkpoint(path);
    declip::ConfigOverrides overrides;
    const auto back = declip::load_checkpoint(path, overrides);
    CHECK(back.format == "cat-seg");
    CHECK(back.cat_seg_fault.empty());
    CHECK(back.cat_seg != nullptr);
    if (!back.cat_seg) continue;
    const auto& config = back.cat_seg->config;
    CHECK(config.side == 32 && config.canvas == 64 && config.cut == 32);
    CHECK(config.stride == 16 && config.heads == 2 && config.window == 2);
    CHECK(config.word_limit == 9 && config.blocks == options.head.blocks);
    CHECK(config.mode == trainer.config().mode);
    CHECK(config.unit_patches == trainer.config().unit_patches);
    CHECK(config.names == options.classes);
    CHECK(config.prompt == options.head.prompt);
    CHECK(config.decoder == options.head.decoder);
    // It learns further, from the same numbers.
    declip::CatSegTrainer again(back, options);
    check_equal(trainer.parameters(), again.parameters());
    std::map<std::string, at::Tensor> ours, theirs;
    const auto a = trainer.gradients({small_cat_seg_batch(4)}, ours, {});
    const auto b = again.gradients({small_cat_seg_batch(4)}, theirs, {});
    CHECK(a.total == b.total);
    trainer.export_checkpoint(path, /*average=*/true);
    CHECK(!at::equal(declip::load_checkpoint(path, overrides)
                         .cat_seg->tensors.at("upsample1.bias"),
                     back.cat_seg->tensors.at("upsample1.bias")));
  }
}

TEST(options_that_no_cat_seg_can_have_are_refused) {
  const auto student = small::model(&declip::families::clip);
  const auto refused = [&](auto change,
                           declip::ErrorCode code =
                               declip::ErrorCode::kInvalidArg) {
    auto options = small_cat_seg();
    change(options);
    CHECK_THROWS_CODE(declip::CatSegTrainer(student, options), code);
  };
  using Options = declip::CatSegTrainOptions;
  refused([](Options& o) { o.clip = "all"; });
  refused([](Options& o) { o.tokens = at::Tensor(); });
  refused([](Options& o) { o.classes.pop_back(); });
  refused([](Options& o) { o.pooling = 3; });
  refused([](Options& o) { o.dtype = "float16"; });
  refused([](Options& o) { o.weight_decay = -1; });
  refused([](Options& o) { o.ema_decay = 2; });
  refused([](Options& o) { o.head.decoder = {24, 16}; });
  refused([](Options& o) { o.head.decoder_guidance = {16, 3}; });
  refused([](Options& o) { o.head.heads = 3; });
  refused([](Options& o) { o.head.window = 3; });
  refused([](Options& o) { o.head.side = 36; });
  refused([](Options& o) { o.head.blocks = {0, 2}; });
  refused([](Options& o) { o.head.blocks = {1}; });
  refused([](Options& o) { o.head.word_limit = 2; });
  refused([](Options& o) { o.schedule.total = 0; });

  declip::CatSegTrainer trainer(student, small_cat_seg());
  const auto batch = small_cat_seg_batch();
  CHECK_THROWS_CODE(trainer.step({}, {}), declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(trainer.step({{batch.images, {}}}, {}),
                    declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      trainer.step({{batch.images, batch.labels.slice(0, 0, 1)}}, {}),
      declip::ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      trainer.step({{batch.images, batch.labels.to(at::kFloat)}}, {}),
      declip::ErrorCode::kInvalidArg);
  auto damaged = batch;
  damaged.images = at::full_like(batch.images, NAN);
  const auto before = copies_of(trainer);
  CHECK_THROWS_CODE(trainer.step({damaged}, {}), declip::ErrorCode::kDiverged);
  check_equal(before, trainer.parameters());
  CHECK(trainer.step_count() == 0);
}
