#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "checkpoint/family.h"
#include "checkpoint/fingerprint.h"
#include "declip/error.h"
#include "declip/memory.h"
#include "declip/train_cat_seg.h"
#include "files/mapped_file.h"
#include "model/dense_mode.h"
#include "model/device.h"
#include "model/encoder.h"
#include "model/text_tower.h"
#include "train/cat_seg_export.h"
#include "train/cat_seg_heads.h"
#include "train/cat_seg_initial.h"
#include "train/cat_seg_loss.h"
#include "train/cat_seg_names.h"
#include "train/learning_state.h"
#include "train/random.h"
#include "train/ranks.h"
#include "train/training_mode.h"
#include "train/trunk.h"
#include "train/update.h"

namespace declip {
namespace {

constexpr char kCatSegState[] = "declip-native CAT-Seg training state 1";
constexpr char kCatSegTokens[] = "tokens";
constexpr std::array kCatSegLosses{"mask"};
/// Pictures are filled up to multiples of it before they become the tower's
/// input, as detectron2's `size_divisibility` has it.
constexpr int64_t kDivisor = 32;

void check_cat_seg_options(const CatSegTrainOptions& o) {
  learning_rate(o.schedule, 0);
  constexpr double kBelowOne = 1 - 1e-9;
  check_range("beta1", o.beta1, 0, kBelowOne);
  check_range("beta2", o.beta2, 0, kBelowOne);
  check_range("epsilon", o.epsilon, 0, INFINITY);
  check_range("weightDecay", o.weight_decay, 0, INFINITY);
  check_range("clipNorm", o.clip_norm, 0, INFINITY);
  check_range("clipRate", o.clip_rate, 0, INFINITY);
  check_range("emaDecay", o.ema_decay, 0, 1);
  check_range(
      "sampledWords", static_cast<double>(o.sampled_words), 0, INFINITY);
  check_range("pooling", static_cast<double>(o.pooling), 1, INFINITY);
  if (o.clip != "attention" && o.clip != "none") {
    throw Error(
        ErrorCode::kInvalidArg,
        "clip must be 'attention' or 'none', received '" + o.clip + "'.");
  }
}

/// int64 [T, L] on the CPU of what is given.
at::Tensor cat_seg_tokens(const CatSegTrainOptions& options) {
  const auto& tokens = options.tokens;
  const auto classes = static_cast<int64_t>(options.classes.size());
  if (!tokens.defined() || tokens.dim() != 2 ||
      !at::isIntegralType(tokens.scalar_type(), false) ||
      tokens.size(0) != classes || classes == 0) {
    throw Error(
        ErrorCode::kInvalidArg,
        c10::str("tokens must be whole numbers [T, L], the prompt of "
                 "each of the ",
                 classes,
                 " classes, received ",
                 tokens.defined()
                     ? c10::str(tokens.scalar_type(), " ", tokens.sizes())
                     : std::string("nothing"),
                 "."));
  }
  return tokens.to(at::kCPU, at::kLong).contiguous();
}

void check_cat_seg_batch(const CatSegBatch& batch) {
  const auto found = [](const at::Tensor& x) {
    return x.defined() ? c10::str(x.scalar_type(), " ", x.sizes())
                       : std::string("nothing");
  };
  const auto& images = batch.images;
  const auto& labels = batch.labels;
  if (!images.defined() || images.dim() != 4 || images.size(1) != 3 ||
      images.numel() == 0 || !images.is_floating_point()) {
    throw Error(ErrorCode::kInvalidArg,
                "images must be a float tensor [B, 3, H, W], received " +
                    found(images) + ".");
  }
  if (!labels.defined() || labels.dim() != 3 || labels.numel() == 0 ||
      labels.size(0) != images.size(0) ||
      !at::isIntegralType(labels.scalar_type(), false)) {
    throw Error(ErrorCode::kInvalidArg,
                "labels must be whole numbers [B, H, W] with a map for each of "
                "the " +
                    std::to_string(images.size(0)) + " pictures, received " +
                    found(labels) + ".");
  }
}

/// The tower's input: of another size, filled up right and below with 0 to
/// multiples of 32, then resized.
at::Tensor to_side(const at::Tensor& images, int64_t side) {
  const int64_t height = images.size(2), width = images.size(3);
  if (height == side && width == side) return images;
  const auto missing = [](int64_t size) {
    return (kDivisor - size % kDivisor) % kDivisor;
  };
  return at::upsample_bilinear2d(
      at::constant_pad_nd(images, {0, missing(width), 0, missing(height)}, 0),
      {side, side},
      /*align_corners=*/false);
}

/// What a part learns from.
struct AskedWords {
  at::Tensor words;   // int64 [K], in order; undefined: all
  at::Tensor labels;  // int64 [B, H, W] of those words, -1 for none
};

/// The words that labels [B, H, W] have, and others of `count` up to `most`.
AskedWords asked_words(const at::Tensor& labels,
                       int64_t count,
                       int64_t most,
                       SplitMix& draws) {
  if (most == 0 || most >= count) return {{}, labels};
  const auto known = labels.ge(0).logical_and(labels.lt(count));
  const auto there =
      at::bincount(labels.masked_select(known).to(at::kCPU), {}, count);
  std::vector<int64_t> chosen, others;
  for (int64_t i = 0; i < count; ++i) {
    (there[i].item<int64_t>() > 0 ? chosen : others).push_back(i);
  }
  const auto missing = most - static_cast<int64_t>(chosen.size());
  for (const int64_t i :
       draws.sample(std::move(others), std::max<int64_t>(missing, 0))) {
    chosen.push_back(i);
  }
  std::sort(chosen.begin(), chosen.end());
  const auto words = at::tensor(chosen, at::kLong);
  auto place = at::full({count}, -1, at::kLong);
  place.index_put_({words}, at::arange(words.size(0)));
  const auto device = labels.device();
  const auto moved = place.to(device)
                         .index_select(0, labels.clamp(0, count - 1).flatten())
                         .view_as(labels);
  return {words.to(device), at::where(known, moved, at::full_like(moved, -1))};
}

}  // namespace

struct CatSegTrainer::State {
  std::optional<KeptMemory> kept;  // from the first step on
  CatSegTrainOptions options;
  CatSegConfig config;
  Checkpoint student;  // its tensors are in `towers`
  at::Device device = at::kCPU;
  at::ScalarType products = at::kFloat;
  CatSegTowerTensors towers;  // float32; those that learn are leaves
  std::map<std::string, at::Tensor> head;  // leaves, by their short names
  std::string print;                       // of what of the towers stays
  std::unique_ptr<VisionEncoder> frozen;   // where no tower learns
  at::Tensor tokens;                       // int64 [T, L]
  at::Tensor words;                        // unit [T, E], where no tower learns
  LearningState learned;
  Ranks ranks;

  bool learns() const { return options.clip == "attention"; }
  at::Tensor encode_words(const TextTower& tower, const Call& call) const;
  void backward(const CatSegBatch& part,
                const at::Tensor& text,
                double share,
                int64_t place,
                TrainStep& result,
                const Call& call);
  void accumulate(const std::vector<CatSegBatch>& parts,
                  Place& place,
                  TrainStep& result,
                  const Call& call);
  TrainStep accumulate(const std::vector<CatSegBatch>& parts, const Call& call);
};

at::Tensor CatSegTrainer::State::encode_words(const TextTower& tower,
                                              const Call& call) const {
  const auto text = tower.encode(tokens, call).to(at::kFloat);
  return text / text.norm(2, {1}, true);
}

/// Adds the gradients of `share` times a part's loss to the parameters and to
/// the words, and the loss to `result`.
void CatSegTrainer::State::backward(const CatSegBatch& part,
                                    const at::Tensor& text,
                                    double share,
                                    int64_t place,
                                    TrainStep& result,
                                    const Call& call) {
  const auto images = to_side(part.images.to(device, at::kFloat), config.side);
  const auto labels = part.labels.to(device, at::kLong);
  std::unique_ptr<VisionTower> tower;
  std::optional<Trunk> trunk;
  Stages stages;
  if (learns()) {
    // Made anew of what has changed, as Trainer's towers are.
    Numerics numerics;
    numerics.dtype = products;
    numerics.mixed = products != at::kFloat;
    numerics.recorded = true;
    const auto tensors = towers.internal();
    const Weights weights(tensors, device, at::kFloat, call);
    tower = student.config.family->training->make_tower(
        student.config.vision, weights, numerics);
    trunk.emplace(
        *tower, images, options.checkpoint_activations, call, config.blocks);
    const auto grid = trunk->grid();
    for (const int64_t block : config.blocks) {
      Stage stage;
      stage.map = trunk->after(block)
                      .slice(1, 1)
                      .transpose(1, 2)
                      .unflatten(2, {grid.h, grid.w})
                      .to(at::kFloat);
      stages.blocks.push_back(std::move(stage));
    }
    stages.features =
        finish_dense(*tower, trunk->output(), grid, config.mode).to(at::kFloat);
  } else {
    const c10::NoGradGuard guard;
    StageOptions wanted;
    wanted.blocks = config.blocks;
    wanted.dense.mode = config.mode;
    wanted.features = true;
    stages = frozen->stages(images, wanted, call);
    stages.features = stages.features.to(at::kFloat);
  }
  call.check();
  const RecordedCatSeg heads(config, head, products);
  auto draws =
      SplitMix(options.seed)
          .fork(static_cast<uint64_t>(learned.step))
          .fork(static_cast<uint64_t>(place * ranks.size() + ranks.rank()));
  const auto asked =
      asked_words(labels, tokens.size(0), options.sampled_words, draws);
  const auto loss = cat_seg_loss(
      heads.logits(
          stages.features,
          stages.blocks[0].map,
          stages.blocks[1].map,
          asked.words.defined() ? text.index_select(0, asked.words) : text,
          options.pooling,
          call),
      asked.labels);
  const double value = loss.item<double>();
  if (!std::isfinite(value)) {
    throw Error(ErrorCode::kDiverged,
                "The mask loss of step " + std::to_string(learned.step + 1) +
                    " is not finite; the model is as it was before. Look for "
                    "damaged inputs, or lower the learning rate.");
  }
  result.losses["mask"] += value * share;
  call.check();
  (loss * share).backward();
  if (trunk) trunk->backward(call);
}

void CatSegTrainer::State::accumulate(const std::vector<CatSegBatch>& parts,
                                      Place& place,
                                      TrainStep& result,
                                      const Call& call) {
  if (parts.empty()) {
    throw Error(ErrorCode::kInvalidArg, "A step needs at least one batch.");
  }
  for (const auto& part : parts) check_cat_seg_batch(part);
  Call quiet = call;
  quiet.progress = nullptr;
  // Words are made once; what all parts say of them goes back together.
  auto text = words, leaf = words;
  if (learns()) {
    Numerics numerics;
    numerics.dtype = products;
    numerics.mixed = products != at::kFloat;
    numerics.recorded = true;
    const auto tensors = towers.internal();
    const Weights weights(tensors, device, at::kFloat, quiet);
    text =
        encode_words(TextTower(*student.config.text, weights, numerics), quiet);
    leaf = text.detach().requires_grad_();
  }
  const double share = 1.0 / (static_cast<double>(parts.size()) * ranks.size());
  for (const auto& part : parts) {
    backward(part, leaf, share, place.part, result, quiet);
    call.report(Step::kTrain, ++place.part, place.parts);
  }
  if (leaf.grad().defined()) text.backward(leaf.grad());
  // The query of a plain tower's last block takes part in no feature: its
  // gradient is 0, and it decays.
  const c10::NoGradGuard guard;
  for (auto& parameter : learned.learning) {
    auto& gradient = parameter.value.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(parameter.value);
  }
}

/// Gradients of the mean of all ranks' parts' losses, in the parameters.
TrainStep CatSegTrainer::State::accumulate(
    const std::vector<CatSegBatch>& parts, const Call& call) {
  drop_gradients(learned.learning);
  TrainStep result;
  result.step = learned.step + 1;
  Place place;
  place.step = learned.step;
  place.random = static_cast<int64_t>(learned.random.state());
  place.parts = static_cast<int64_t>(parts.size());
  try {
    result.learning_rate = learning_rate(options.schedule, learned.step);
    accumulate(parts, place, result, call);
  } catch (const GroupError&) {
    throw;  // the others know
  } catch (const std::exception& error) {
    ranks.fail(place, error, call);
    throw;
  }
  ranks.meet(place, call);
  ranks.sum(result.losses, kCatSegLosses, call);
  for (const auto& [name, loss] : result.losses) result.total += loss;
  ranks.sum_gradients(learned.learning, call);
  // From here on all ranks have the same numbers.
  result.gradient_norm = gradient_norm(learned.learning).item<double>();
  if (!std::isfinite(result.gradient_norm)) {
    throw Error(ErrorCode::kDiverged,
                "The gradients of step " + std::to_string(result.step) +
                    " are not finite; the model is as it was before. Lower the "
                    "learning rate, or train in float32.");
  }
  return result;
}

CatSegTrainer::CatSegTrainer(const Checkpoint& student,
                             const CatSegTrainOptions& options,
                             std::shared_ptr<ProcessGroup> group,
                             const Call& call)
    : state_(std::make_unique<State>()) {
  const TrainingMode mode;
  auto& s = *state_;
  s.options = options;
  const auto& model = student.config;
  if (model.family->training == nullptr || !model.text) {
    throw Error(ErrorCode::kWeights,
                student.path + " is a model (" +
                    std::string(model.family->name) +
                    (model.text ? ") whose towers CAT-Seg is not trained on "
                                : ") without a text tower, or one that is not "
                                  "trained ") +
                    "here. Take a CLIP checkpoint with both towers, or a "
                    "CAT-Seg.");
  }
  check_cat_seg_options(options);
  s.tokens = cat_seg_tokens(options);
  s.device = place(options.device, "float32").device;
  s.products = product_type(options.dtype);
  s.learned.random = SplitMix(options.seed);

  std::map<std::string, at::Tensor> head;
  if (student.cat_seg) {
    s.config = student.cat_seg->config;
    check_cat_seg_config(s.config, model);
    head = student.cat_seg->tensors;
    for (const auto& [name, tensor] : head) {
      if (student.cat_seg->check_finite) {
        student.cat_seg->check_finite(name, tensor);
      }
    }
  } else if (!student.cat_seg_fault.empty()) {
    throw Error(ErrorCode::kWeights,
                student.path + " holds a head that is not whole: " +
                    student.cat_seg_fault);
  } else {
    s.config = new_cat_seg_config(options.head, model);
    head = initial_cat_seg(s.config, model.vision.width, options.seed);
  }
  s.config.names = options.classes;
  if (!options.head.prompt.empty()) s.config.prompt = options.head.prompt;
  s.options.head = s.config;
  if ((s.config.side / model.vision.patch) % options.pooling != 0) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("pooling must divide the ",
                         s.config.side / model.vision.patch,
                         " patches along a side, received ",
                         options.pooling,
                         "."));
  }
  if (s.config.word_limit > 0 && s.tokens.size(0) > s.config.word_limit) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("There are ",
                         s.tokens.size(0),
                         " classes, and a window aggregates ",
                         s.config.word_limit,
                         " (head.wordLimit). Give fewer classes, or a head "
                         "with a higher limit."));
  }

  for (const auto& [name, tensor] : student.tensors) {
    if (student.check_finite) student.check_finite(name, tensor);
  }
  s.student = student;
  s.towers = cat_seg_tower_tensors(student);
  std::map<std::string, at::Tensor> constant;
  for (auto& [name, tensor] : s.towers.tensors) {
    const bool moves = s.learns() && learns_attention(name);
    if (!moves) constant.emplace(name, tensor);
    tensor = tensor.to(s.device, at::kFloat, false, /*copy=*/true).contiguous();
    if (!moves) continue;
    tensor.requires_grad_();
    s.learned.tensors.emplace(name, tensor);
    s.learned.learning.push_back(
        {name, tensor, /*decays=*/true, options.clip_rate});
  }
  s.print = fingerprint(constant, options.clip);
  for (const auto& [name, tensor] : head) {
    auto leaf = tensor.to(s.device, at::kFloat, false, /*copy=*/true)
                    .contiguous()
                    .requires_grad_();
    const auto file = cat_seg_name(name);
    s.head.emplace(name, leaf);
    s.learned.tensors.emplace(file, leaf);
    s.learned.learning.push_back({file, leaf, !is_cat_seg_norm(file)});
  }
  s.ranks = Ranks(std::move(group));
  s.ranks.share("cat-seg " + s.print, s.learned.tensors, call);
  s.learned.begin({.beta1 = options.beta1,
                   .beta2 = options.beta2,
                   .epsilon = options.epsilon,
                   .weight_decay = options.weight_decay},
                  options.ema_decay);
  if (!s.learns()) {
    const c10::NoGradGuard guard;
    Numerics numerics;
    numerics.fused = true;
    numerics.dtype = s.products;
    Call quiet = call;
    quiet.progress = nullptr;
    const Weights weights(student.tensors, s.device, numerics.stream(), quiet);
    s.frozen = model.family->make_encoder(model, weights, numerics);
    s.frozen->check_mode(s.config.mode);
    s.words = s.encode_words(TextTower(*model.text, weights, numerics), quiet);
  }
  check_files(s.student.files);
  // What a step needs was copied.
  s.student.tensors.clear();
  if (const auto& text = student.tensors.find("text.text_projection");
      text != student.tensors.end()) {
    s.student.tensors.insert(*text);  // says that the layout has one
  }
  s.student.cat_seg.reset();
  s.student.others.clear();
  MappedFile::drop_pages();
}

CatSegTrainer::~CatSegTrainer() = default;

const CatSegTrainOptions& CatSegTrainer::options() const {
  return state_->options;
}
const CatSegConfig& CatSegTrainer::config() const { return state_->config; }
int64_t CatSegTrainer::step_count() const { return state_->learned.step; }
std::vector<std::string> CatSegTrainer::trainable() const {
  return state_->learned.names();
}
bool CatSegTrainer::any_rank(bool flag, const Call& call) const {
  return state_->ranks.any(flag, call);
}

std::map<std::string, at::Tensor> CatSegTrainer::parameters() const {
  auto out = state_->learned.values(/*averaged=*/false);
  for (const auto& [name, tensor] : state_->towers.tensors) {
    out.emplace(name, tensor.detach());
  }
  return out;
}

int64_t CatSegTrainer::bytes() const {
  const auto& s = *state_;
  size_t bytes = 0;
  for (const auto& [name, tensor] : parameters()) bytes += tensor.nbytes();
  return static_cast<int64_t>(bytes) + s.learned.bytes();
}

TrainStep CatSegTrainer::gradients(const std::vector<CatSegBatch>& parts,
                                   std::map<std::string, at::Tensor>& out,
                                   const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  return gradients_of(
      s.learned.learning, out, [&] { return s.accumulate(parts, call); });
}

TrainStep CatSegTrainer::step(const std::vector<CatSegBatch>& parts,
                              const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  if (!s.kept) s.kept.emplace();
  const auto result =
      update(s.learned.learning, s.learned.optimizer, s.options.clip_norm, [&] {
        return s.accumulate(parts, call);
      });
  s.learned.advance(result.step, s.options.ema_decay);
  return result;
}

void CatSegTrainer::save(const std::string& path) const {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  const auto& s = *state_;
  s.learned.save(path,
                 {{"format", kCatSegState}, {"towers", s.print}},
                 {{kCatSegTokens, s.tokens}});
}

void CatSegTrainer::load(const std::string& path) {
  const TrainingMode mode;
  auto& s = *state_;
  s.learned.load(path, kCatSegState, [&](const StateFile& file) {
    if (file.entry("towers") != s.print) {
      file.reject(
          "the state is of other towers, or of another `clip`: give the "
          "student that it was begun with.");
    }
    if (!at::equal(file.find(kCatSegTokens, s.tokens), s.tokens)) {
      file.reject(
          "the state is of other words: give the classes that it was begun "
          "with.");
    }
  });
}

void CatSegTrainer::export_checkpoint(const std::string& path,
                                      bool average) const {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  const auto& s = *state_;
  auto tensors = s.learned.values(average);
  for (const auto& [name, tensor] : s.towers.tensors) {
    tensors.emplace(name, tensor.detach());
  }
  export_cat_seg(path, s.student, tensors, s.config);
}

}  // namespace declip
