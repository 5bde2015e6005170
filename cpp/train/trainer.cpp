#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "declip/memory.h"
#include "declip/safetensors.h"
#include "declip/train.h"
#include "files/mapped_file.h"
#include "model/device.h"
#include "model/layers.h"
#include "train/adamw.h"
#include "train/export.h"
#include "train/objectives.h"
#include "train/parameters.h"
#include "train/random.h"
#include "train/ranks.h"
#include "train/state_file.h"
#include "train/training_mode.h"
#include "train/trunk.h"
#include "train/update.h"

namespace declip {
namespace {

constexpr char kFormat[] = "declip-native training state 1";
constexpr char kScale[] = "logit_scale";

const double kMaxLogScale = std::log(100.0);

struct ObjectiveName {
  Objective objective;
  const char* name;
};
constexpr std::array<ObjectiveName, 4> kObjectives{
    {{Objective::kClipSelf, "clipself"},
     {Objective::kDeClip, "declip"},
     {Objective::kRegionText, "region-text"},
     {Objective::kContrastive, "contrastive"}}};

/// The same with its pictures as float32 on the student's device.
TrainBatch on_device(const TrainBatch& batch, at::Device device) {
  auto out = batch;
  out.images = batch.images.to(device, at::kFloat);
  if (batch.crops.defined()) out.crops = batch.crops.to(device, at::kFloat);
  return out;
}

AdamW::Options adamw_options(const TrainOptions& options,
                             const TrainingSide& side) {
  AdamW::Options out;
  out.beta1 = options.beta1.value_or(0.9);
  out.beta2 = options.beta2.value_or(side.beta2);
  out.epsilon = options.epsilon.value_or(side.epsilon);
  out.weight_decay = options.weight_decay;
  constexpr double kBelowOne = 1 - 1e-9;
  check_range("beta1", out.beta1, 0, kBelowOne);
  check_range("beta2", out.beta2, 0, kBelowOne);
  check_range("epsilon", out.epsilon, 0, INFINITY);
  check_range("weightDecay", out.weight_decay, 0, INFINITY);
  return out;
}

void check_options(const TrainOptions& options, const ModelConfig& config) {
  learning_rate(options.schedule, 0);
  check_range("contentWeight", options.content_weight, 0, INFINITY);
  check_range("contextWeight", options.context_weight, 0, INFINITY);
  check_range("regionWeight", options.region_weight, 0, INFINITY);
  check_range("clipNorm", options.clip_norm, 0, INFINITY);
  check_range("emaDecay", options.ema_decay, 0, 1);
  if (options.objective == Objective::kDeClip) {
    switch (options.mode) {
      case DenseMode::kQq:
      case DenseMode::kKk:
      case DenseMode::kVv:
      case DenseMode::kCsa:
      case DenseMode::kAll:
        break;
      default:
        throw Error(ErrorCode::kInvalidArg,
                    "mode must be 'qq', 'kk', 'vv', 'csa' or 'all' to train "
                    "DeCLIP, received '" +
                        std::string(dense_mode_name(options.mode)) + "'.");
    }
  }
  const auto& classes = options.class_features;
  if (options.objective == Objective::kRegionText &&
      (!classes.defined() || classes.dim() != 2 || classes.size(0) < 1 ||
       classes.size(1) != config.vision.embed_dim)) {
    throw Error(
        ErrorCode::kInvalidArg,
        "Region-text training needs classFeatures, a float tensor [C, " +
            std::to_string(config.vision.embed_dim) +
            "] with one row per class.");
  }
  if (options.objective == Objective::kContrastive && !config.text) {
    throw Error(ErrorCode::kInvalidArg,
                "Contrastive training needs a text tower, and this checkpoint "
                "has none.");
  }
}

/// The dense mode that training makes good; none if no dense features learn.
std::optional<DenseMode> trained_mode(const TrainOptions& options) {
  if (options.objective == Objective::kDeClip) return options.mode;
  if (options.objective == Objective::kContrastive &&
      options.region_weight == 0) {
    return {};
  }
  return DenseMode::kMaskClip;
}

/// Whether an objective has a use for a tensor of the student.
bool is_used(const std::string& name, Objective objective) {
  return objective == Objective::kContrastive || !name.starts_with("text.");
}

/// What open_clip's names, in which models are saved, cannot hold.
void check_exportable(const Checkpoint& student) {
  for (const char* name : {"visual.proj_bias", "text.text_projection_bias"}) {
    if (!student.tensors.contains(name)) continue;
    throw Error(ErrorCode::kInvalidArg,
                student.path +
                    " cannot be trained here: its projection has a bias, which "
                    "the layout that models are saved in has no name for. "
                    "Train a model with open_clip's own towers.");
  }
}

/// Whether two checkpoints have the same tensors.
void check_alike(const Checkpoint& student, const Checkpoint& pretrained) {
  for (const auto& [name, tensor] : student.tensors) {
    const auto it = pretrained.tensors.find(name);
    if (it != pretrained.tensors.end() &&
        it->second.sizes() == tensor.sizes()) {
      continue;
    }
    throw Error(ErrorCode::kInvalidArg,
                pretrained.path + " must be the same model as " + student.path +
                    ", but " + name +
                    " is missing there or has another shape.");
  }
}

}  // namespace

Objective objective_from(const std::string& name) {
  for (const auto& known : kObjectives) {
    if (name == known.name) return known.objective;
  }
  throw Error(ErrorCode::kInvalidArg,
              "objective must be 'clipself', 'declip', 'region-text' or "
              "'contrastive', received '" +
                  name + "'.");
}

const char* objective_name(Objective objective) {
  return std::find_if(kObjectives.begin(),
                      kObjectives.end(),
                      [&](const ObjectiveName& known) {
                        return known.objective == objective;
                      })
      ->name;
}

RegionLoss region_loss_from(const std::string& name) {
  if (name == "sigmoid") return RegionLoss::kSigmoid;
  if (name == "softmax") return RegionLoss::kSoftmax;
  throw Error(
      ErrorCode::kInvalidArg,
      "regionLoss must be 'sigmoid' or 'softmax', received '" + name + "'.");
}

struct Trainer::State {
  std::optional<KeptMemory> kept;  // from the first step on
  TrainOptions options;
  ModelConfig config;
  TokenizerKind tokenizer = TokenizerKind::kNone;
  at::Device device = at::kCPU;
  Numerics numerics;                                   // of the student
  std::map<std::string, at::Tensor> tensors;           // float32 leaves
  std::map<std::string, at::Tensor> unused;            // as stored in the file
  std::map<std::string, at::Tensor> pretrained;        // as stored in its file
  std::vector<std::weak_ptr<const MappedFile>> files;  // of those two
  std::unique_ptr<VisionTower> teacher;                // null if not needed
  std::vector<Parameter> learning;
  AdamW optimizer{{}, {}};
  std::vector<at::Tensor> average;  // of `learning`, empty without
  int64_t step = 0;
  SplitMix random{0};  // a step's; each of its parts draws from a fork
  Ranks ranks;

  void backward(const TrainBatch& part,
                double share,
                const Place& place,
                TrainStep& result,
                const Call& call);
  TrainStep accumulate(const std::vector<TrainBatch>& parts, const Call& call);
};

/// Adds the gradients of `share` times a part's loss to the parameters, and the
/// losses to `result`.
void Trainer::State::backward(const TrainBatch& part,
                              double share,
                              const Place& place,
                              TrainStep& result,
                              const Call& call) {
  // The towers are made anew of what has changed. Their layers hold views,
  // stacks and casts of the parameters, through which gradients flow back.
  Call quiet = call;
  quiet.progress = nullptr;
  const Weights weights(tensors, device, at::kFloat, quiet);
  const auto student =
      config.family->training->make_tower(config.vision, weights, numerics);
  std::unique_ptr<TextTower> text;
  if (options.objective == Objective::kContrastive) {
    text = std::make_unique<TextTower>(*config.text, weights, numerics);
  }
  Towers towers;
  towers.student = student.get();
  towers.teacher = teacher.get();
  towers.text = text.get();
  const auto scale = tensors.find(kScale);
  towers.logit_scale = scale != tensors.end()
                           ? scale->second
                           : at::full({}, std::log(1 / 0.07), device);

  if (ranks.size() > 1) {
    towers.gather = [&](const at::Tensor& rows) {
      Place here = place;
      here.pictures = rows.size(0);
      ranks.meet(here, quiet);
      return ranks.gather_rows(rows, quiet);
    };
  }

  const auto batch = on_device(part, device);
  Trunk trunk(*student, batch.images, options.checkpoint_activations, quiet);
  // One process with every rank's parts would take them in this order.
  auto draws = random.fork(
      static_cast<uint64_t>(place.part * ranks.size() + ranks.rank()));
  const auto losses =
      objective_losses(towers, trunk, batch, options, draws, quiet);
  at::Tensor total;
  for (const auto& [name, loss] : losses) {
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error(ErrorCode::kDiverged,
                  "The " + name + " loss of step " + std::to_string(step + 1) +
                      " is not finite; the model is as it was before. Look for "
                      "damaged inputs, or lower the learning rate.");
    }
    result.losses[name] += value * share;
    total = total.defined() ? total + loss : loss;
  }
  if (!total.requires_grad()) return;  // nothing that learns takes part
  (total * share).backward();
  trunk.backward(quiet);
}

/// Gradients of the mean of all ranks' parts' losses, in the parameters.
TrainStep Trainer::State::accumulate(const std::vector<TrainBatch>& parts,
                                     const Call& call) {
  drop_gradients(learning);
  TrainStep result;
  result.step = step + 1;
  Place place;
  place.step = step;
  place.random = static_cast<int64_t>(random.state());
  place.parts = static_cast<int64_t>(parts.size());
  try {
    if (parts.empty()) {
      throw Error(ErrorCode::kInvalidArg, "A step needs at least one batch.");
    }
    for (const auto& part : parts) check_batch(part, options, config);
    result.learning_rate = learning_rate(options.schedule, step);
    const double share =
        1.0 / (static_cast<double>(parts.size()) * ranks.size());
    for (const auto& part : parts) {
      backward(part, share, place, result, call);
      call.report(Step::kTrain, ++place.part, place.parts);
    }
  } catch (const GroupError&) {
    throw;  // the others know
  } catch (const std::exception& error) {
    ranks.fail(place, error, call);
    throw;
  }
  ranks.meet(place, call);
  ranks.sum(result.losses, kLossNames, call);
  for (const auto& [name, loss] : result.losses) result.total += loss;
  ranks.sum_gradients(learning, call);
  // From here on all ranks have the same numbers.
  result.gradient_norm = gradient_norm(learning).item<double>();
  if (!std::isfinite(result.gradient_norm)) {
    throw Error(ErrorCode::kDiverged,
                "The gradients of step " + std::to_string(step + 1) +
                    " are not finite; the model is as it was before. Lower the "
                    "learning rate, or train in float32.");
  }
  return result;
}

Trainer::Trainer(const Checkpoint& student,
                 const std::optional<Checkpoint>& pretrained,
                 const TrainOptions& options,
                 std::shared_ptr<ProcessGroup> group,
                 const Call& call)
    : state_(std::make_unique<State>()) {
  const TrainingMode mode;
  auto& s = *state_;
  s.options = options;
  s.config = student.config;
  if (s.config.family->training == nullptr) {
    const bool foundation = s.config.family->text == nullptr;
    throw Error(ErrorCode::kWeights,
                student.path + " is a " +
                    (foundation ? "vision foundation model (" : "model (") +
                    std::string(s.config.family->name) +
                    "), which is not trained here. The student must be a CLIP "
                    "checkpoint" +
                    (foundation ? "; this one can make the features of its "
                                  "context loss."
                                : "."));
  }
  check_exportable(student);
  check_options(options, s.config);
  s.tokenizer = student.tokenizer;
  const auto& reference = pretrained ? *pretrained : student;
  check_alike(student, reference);

  s.device = place(options.device, "float32").device;
  s.numerics.dtype = product_type(options.dtype);
  s.numerics.mixed = s.numerics.dtype != at::kFloat;
  s.numerics.recorded = true;
  s.random = SplitMix(options.seed);
  s.pretrained = reference.tensors;
  for (const auto& [name, tensor] : reference.tensors) {
    if (reference.check_finite) reference.check_finite(name, tensor);
  }
  for (const auto& [name, tensor] : student.tensors) {
    if (student.check_finite) student.check_finite(name, tensor);
    if (is_used(name, options.objective)) {
      s.tensors.emplace(name, tensor.to(s.device, at::kFloat, false, true));
    } else {
      s.unused.emplace(name, tensor);
    }
  }
  s.ranks = Ranks(std::move(group));
  s.ranks.share(objective_name(options.objective), s.tensors, call);
  for (const auto& name : trainable_parameters(s.config, s.tensors, options)) {
    auto& tensor = s.tensors.at(name);
    tensor.requires_grad_();
    s.learning.push_back({name, tensor, has_weight_decay(name, tensor)});
  }
  s.optimizer =
      AdamW(s.learning, adamw_options(options, *s.config.family->training));
  if (options.ema_decay > 0) {
    const c10::NoGradGuard guard;
    for (const auto& value : values_of(s.learning))
      s.average.push_back(value.clone());
  }
  if (options.objective == Objective::kClipSelf ||
      options.objective == Objective::kDeClip) {
    const c10::NoGradGuard guard;
    Numerics numerics;
    numerics.dtype = s.numerics.dtype;
    numerics.fused = true;
    Call quiet = call;
    quiet.progress = nullptr;
    const Weights weights(
        reference.tensors, s.device, numerics.stream(), quiet);
    s.teacher = reference.config.family->training->make_tower(
        reference.config.vision, weights, numerics);
  }
  s.files = student.files;
  s.files.insert(s.files.end(), reference.files.begin(), reference.files.end());
  check_files(s.files);
  MappedFile::drop_pages();  // all that a step needs was copied
}

Trainer::~Trainer() = default;

const TrainOptions& Trainer::options() const { return state_->options; }
const ModelConfig& Trainer::config() const { return state_->config; }
int64_t Trainer::step_count() const { return state_->step; }
bool Trainer::any_rank(bool flag, const Call& call) const {
  return state_->ranks.any(flag, call);
}

std::vector<std::string> Trainer::trainable() const {
  std::vector<std::string> names;
  for (const auto& parameter : state_->learning) {
    names.push_back(parameter.name);
  }
  return names;
}

std::map<std::string, at::Tensor> Trainer::parameters() const {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : state_->tensors) {
    out.emplace(name, tensor.detach());
  }
  for (const auto& [name, tensor] : state_->unused) {
    out.emplace(name, tensor.to(at::kFloat));
  }
  return out;
}

int64_t Trainer::bytes() const {
  size_t bytes = 0;
  for (const auto& [name, tensor] : state_->tensors) bytes += tensor.nbytes();
  const size_t kept = state_->average.empty() ? 2 : 3;
  for (const auto& value : values_of(state_->learning))
    bytes += kept * value.nbytes();
  return static_cast<int64_t>(bytes);
}

TrainStep Trainer::gradients(const std::vector<TrainBatch>& parts,
                             std::map<std::string, at::Tensor>& out,
                             const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  return gradients_of(
      s.learning, out, [&] { return s.accumulate(parts, call); });
}

TrainStep Trainer::step(const std::vector<TrainBatch>& parts,
                        const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  if (!s.kept) s.kept.emplace();
  const auto result = update(s.learning, s.optimizer, s.options.clip_norm, [&] {
    return s.accumulate(parts, call);
  });
  s.random.next();
  s.step = result.step;

  const c10::NoGradGuard guard;
  const auto scale = s.tensors.find(kScale);
  if (scale != s.tensors.end() && scale->second.requires_grad()) {
    scale->second.clamp_(0, kMaxLogScale);
  }
  if (!s.average.empty()) {
    at::_foreach_lerp_(
        s.average, values_of(s.learning), 1 - s.options.ema_decay);
  }
  return result;
}

void Trainer::save(const std::string& path) const {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  const auto& s = *state_;
  auto tensors = s.optimizer.state();
  for (const auto& [name, tensor] : s.tensors) {
    tensors.emplace("parameters." + name, tensor.detach());
  }
  for (size_t i = 0; i < s.average.size(); ++i) {
    tensors.emplace("average." + s.learning[i].name, s.average[i]);
  }
  write_safetensors(path,
                    tensors,
                    {{"format", kFormat},
                     {"objective", objective_name(s.options.objective)},
                     {"step", std::to_string(s.step)},
                     {"random", std::to_string(s.random.state())}});
}

void Trainer::load(const std::string& path) {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  auto& s = *state_;
  // Everything is looked at before anything changes.
  const StateFile file(path, kFormat);
  const auto& objective = file.entry("objective");
  if (objective != objective_name(s.options.objective)) {
    file.reject("the state is of objective '" + objective +
                "', this trainer's is '" + objective_name(s.options.objective) +
                "'.");
  }
  const auto step = static_cast<int64_t>(file.number("step"));
  const uint64_t random = file.number("random");
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, tensor] : s.tensors) {
    copies.emplace_back(tensor, file.find("parameters." + name, tensor));
  }
  for (size_t i = 0; i < s.average.size(); ++i) {
    copies.emplace_back(
        s.average[i], file.find("average." + s.learning[i].name, s.average[i]));
  }
  s.optimizer.check_state(file.tensors(), path);
  file.check();

  s.optimizer.restore(file.tensors());
  for (const auto& [to, from] : copies) to.copy_(from);
  s.step = step;
  s.random = SplitMix(random);
}

void Trainer::export_checkpoint(const std::string& path,
                                double alpha,
                                bool average) const {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  const auto& s = *state_;
  check_range("alpha", alpha, 0, 1);
  if (average && s.average.empty()) {
    throw Error(ErrorCode::kInvalidArg,
                "There is no average to export: train with emaDecay above 0.");
  }
  auto student = parameters();
  for (size_t i = 0; average && i < s.average.size(); ++i) {
    student[s.learning[i].name] = s.average[i];
  }
  for (auto& [name, tensor] : student) {
    if (alpha == 1) break;
    const auto pretrained = s.pretrained.at(name).to(s.device, at::kFloat);
    tensor = alpha * tensor + (1 - alpha) * pretrained;
  }
  check_files(s.files);
  export_open_clip(
      path, s.config, student, s.tokenizer, trained_mode(s.options));
}

}  // namespace declip
