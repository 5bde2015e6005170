#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "declip/memory.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "declip/train_detector.h"
#include "detect/detector_file.h"
#include "files/mapped_file.h"
#include "model/device.h"
#include "model/encoder.h"
#include "train/adamw.h"
#include "train/detector_batch.h"
#include "train/detector_export.h"
#include "train/detector_heads.h"
#include "train/detector_initial.h"
#include "train/detector_losses.h"
#include "train/detector_norm.h"
#include "train/random.h"
#include "train/ranks.h"
#include "train/state_file.h"
#include "train/training_mode.h"
#include "train/update.h"

namespace declip {
namespace {

constexpr char kDetectorState[] = "declip-native detector training state 1";
constexpr char kWords[] = "roi_head.bbox_head.all_embeddings";
constexpr char kTemperature[] = "roi_head.bbox_head.detect_temperature";

/// Whether a tensor of the heads stays as it is whatever happens.
bool is_fixed(const std::string& name) {
  return name == kWords || name.starts_with("roi_head.bbox_head.fc_cls.");
}

void check_numbers(const DetectorTrainOptions& o) {
  learning_rate(o.schedule, 0);
  constexpr double kBelowOne = 1 - 1e-9;
  check_range("beta1", o.beta1, 0, kBelowOne);
  check_range("beta2", o.beta2, 0, kBelowOne);
  check_range("epsilon", o.epsilon, 0, INFINITY);
  check_range("weightDecay", o.weight_decay, 0, INFINITY);
  check_range("clipNorm", o.clip_norm, 0, INFINITY);
  check_range("emaDecay", o.ema_decay, 0, 1);
  check_range("normMomentum", o.norm_momentum, 0, 1);
  check_range("backgroundWeight", o.background_weight, 0, INFINITY);
  check_range("rpnPositiveIou", o.rpn_positive_iou, 0, 1);
  check_range("rpnNegativeIou", o.rpn_negative_iou, 0, o.rpn_positive_iou);
  check_range("boxIou", o.box_iou, 0, 1);
  check_range("rpnPositiveShare", o.rpn_positive_share, 0, 1);
  check_range("boxPositiveShare", o.box_positive_share, 0, 1);
  check_range("proposalNms", o.proposal_nms, 0, 1);
  const auto whole = [](const char* name, int64_t value) {
    check_range(name, static_cast<double>(value), 1, INFINITY);
  };
  whole("side", o.side);
  whole("rpnSamples", o.rpn_samples);
  whole("boxSamples", o.box_samples);
  whole("perLevel", o.per_level);
  whole("proposals", o.proposals);
}

/// Unit rows [K + 1, E] of what is given, or of the heads' own.
at::Tensor words_of(const DetectorTrainOptions& options,
                    const std::map<std::string, at::Tensor>& heads,
                    int64_t embed_dim) {
  at::Tensor words;
  if (options.words.defined()) {
    words = options.words.to(at::kCPU, at::kFloat);
  } else if (heads.contains(kWords)) {
    words = heads.at(kWords).to(at::kCPU, at::kFloat).t();
  } else {
    throw Error(ErrorCode::kInvalidArg,
                "New heads need words: features of the classes, the "
                "background's last.");
  }
  if (words.dim() != 2 || words.size(0) < 2 || words.size(1) != embed_dim ||
      !words.isfinite().all().item<bool>()) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("words must be finite features [K + 1, ",
                         embed_dim,
                         "], a row per class and the background's last, "
                         "received ",
                         words.sizes(),
                         "."));
  }
  // What is of unit length keeps its bits, however often it is saved.
  const auto is_unit = words.norm(2, {1}, true).sub(1).abs().le(1e-6);
  return at::where(is_unit, words, l2_normalize(words, 1)).contiguous();
}

}  // namespace

struct DetectorTrainer::State {
  std::optional<KeptMemory> kept;  // from the first step on
  DetectorTrainOptions options;
  Checkpoint student;  // without its heads; tensors as stored in the file
  at::Device device = at::kCPU;
  at::ScalarType products = at::kFloat;
  std::unique_ptr<VisionEncoder> tower;
  std::map<std::string, at::Tensor> tensors;  // heads: leaves and statistics
  std::map<std::string, at::Tensor> fixed;    // and what stays
  std::vector<bool> novel;                    // of the classes
  DetectorLossContext context;                // but for a step's own
  std::vector<Parameter> learning;
  AdamW optimizer{{}, {}};
  std::vector<at::Tensor> average;  // of `learning`, empty without
  int64_t step = 0;
  SplitMix random{0};
  Ranks ranks;

  void take_words();
  std::vector<at::Tensor> maps_of(const DetectorBatch& batch,
                                  const Call& call) const;
  std::vector<at::Tensor> see(const at::Tensor& images, const Call& call) const;
  void backward(const DetectorBatch& part,
                double share,
                const DetectorLossContext& context,
                BatchNorms& norms,
                TrainStep& result,
                const Call& call);
  TrainStep accumulate(const std::vector<DetectorBatch>& parts,
                       std::map<std::string, at::Tensor>& running,
                       const Call& call);
  std::map<std::string, at::Tensor> heads() const;
};

/// Which classes are learned, and what each weighs in the loss.
void DetectorTrainer::State::take_words() {
  const auto words = words_of(options, fixed, student.config.vision.embed_dim);
  const int64_t classes = words.size(0) - 1;
  if (options.classes.empty() && student.detector) {
    const auto& own = student.detector->config;
    if (static_cast<int64_t>(own.names.size()) == classes) {
      options.classes = own.names;
      if (options.novel.empty()) options.novel = own.novel;
    }
  }
  if (!options.classes.empty() &&
      static_cast<int64_t>(options.classes.size()) != classes) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("words must have a row for each of the ",
                         options.classes.size(),
                         " classes and one for the background, received ",
                         words.size(0),
                         " rows."));
  }
  novel.assign(static_cast<size_t>(classes), false);
  for (const auto& name : options.novel) {
    const auto it = std::ranges::find(options.classes, name);
    if (it == options.classes.end()) {
      throw Error(ErrorCode::kInvalidArg,
                  "novel must name classes, and '" + name + "' is none.");
    }
    novel[static_cast<size_t>(it - options.classes.begin())] = true;
  }
  std::vector<int64_t> learned;
  for (int64_t k = 0; k < classes; ++k) {
    if (!novel[static_cast<size_t>(k)]) learned.push_back(k);
  }
  if (learned.empty()) {
    throw Error(ErrorCode::kInvalidArg,
                "All classes are novel: there is nothing to learn.");
  }
  learned.push_back(classes);
  auto weights = at::ones({static_cast<int64_t>(learned.size())}, at::kFloat);
  weights[-1] = options.background_weight;
  fixed.insert_or_assign(kWords, words.t().contiguous());
  context.words = words.to(device);
  context.learned = at::tensor(learned, at::kLong).to(device);
  context.weights = weights.to(device);
}

std::vector<at::Tensor> DetectorTrainer::State::see(const at::Tensor& images,
                                                    const Call& call) const {
  const c10::NoGradGuard guard;
  StageOptions wanted;
  wanted.blocks = options.blocks;
  wanted.dense.mode = options.mode;
  std::vector<std::vector<at::Tensor>> rows(options.blocks.size());
  for (int64_t i = 0; i < images.size(0); ++i) {
    call.check();
    const auto picture =
        images.slice(0, i, i + 1).to(device, tower->numerics().stream());
    const auto stages = tower->stages(picture, wanted, call).blocks;
    for (size_t b = 0; b < rows.size(); ++b) {
      rows[b].push_back(stages[b].map.to(at::kFloat));
    }
  }
  std::vector<at::Tensor> out;
  for (const auto& maps : rows) {
    out.push_back(at::cat(maps).contiguous(at::MemoryFormat::ChannelsLast));
  }
  return out;
}

std::vector<at::Tensor> DetectorTrainer::State::maps_of(
    const DetectorBatch& batch, const Call& call) const {
  if (batch.maps.empty()) return see(batch.images, call);
  std::vector<at::Tensor> out;
  for (const auto& map : batch.maps) {
    out.push_back(
        map.to(device, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast));
  }
  return out;
}

/// Adds the gradients of `share` times a part's loss to the parameters, and the
/// losses to `result`.
void DetectorTrainer::State::backward(const DetectorBatch& part,
                                      double share,
                                      const DetectorLossContext& here,
                                      BatchNorms& norms,
                                      TrainStep& result,
                                      const Call& call) {
  const RecordedHeads heads(tensors, products, norms);
  const auto losses =
      detector_losses(heads, maps_of(part, call), part, here, call);
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
  (total * share).backward();
}

/// Gradients of the mean of the parts' losses, in the parameters; running
/// statistics as the parts leave them go to `running`.
TrainStep DetectorTrainer::State::accumulate(
    const std::vector<DetectorBatch>& parts,
    std::map<std::string, at::Tensor>& running,
    const Call& call) {
  drop_gradients(learning);
  TrainStep result;
  result.step = step + 1;
  Place place;
  place.step = step;
  place.random = static_cast<int64_t>(random.state());
  place.parts = static_cast<int64_t>(parts.size());
  auto here = context;
  here.random = random;
  if (ranks.size() > 1) {
    // Ranks meet before they exchange numbers, so that one that has failed can
    // say so.
    here.gather = [&](const at::Tensor& numbers) {
      ++place.pictures;
      ranks.meet(place, call);
      return ranks.gather_rows(numbers.view({1, -1}), call);
    };
  }
  try {
    if (parts.empty()) {
      throw Error(ErrorCode::kInvalidArg, "A step needs at least one batch.");
    }
    for (const auto& part : parts) {
      check_batch(
          part,
          {.config = &student.config.vision,
           .novel = &novel,
           .classes = &options.classes,
           .blocks = static_cast<int64_t>(options.blocks.size()),
           .masks = tensors.contains("roi_head.mask_head.conv_logits.weight")});
    }
    result.learning_rate = learning_rate(options.schedule, step);
    BatchNorms norms(tensors, options.norm_momentum, here.gather);
    const double share = 1.0 / static_cast<double>(parts.size());
    for (const auto& part : parts) {
      place.pictures = 0;
      backward(part, share, here, norms, result, call);
      call.report(Step::kTrain, ++place.part, place.parts);
    }
    running = norms.running();
  } catch (const GroupError&) {
    throw;  // the others know
  } catch (const std::exception& error) {
    ranks.fail(place, error, call);
    throw;
  }
  place.pictures = 0;
  ranks.meet(place, call);
  ranks.sum(result.losses, kDetectorLossNames, call);
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

std::map<std::string, at::Tensor> DetectorTrainer::State::heads() const {
  auto out = fixed;
  for (const auto& [name, tensor] : tensors) {
    out.emplace(name, tensor.detach());
  }
  return out;
}

DetectorTrainer::DetectorTrainer(const Checkpoint& student,
                                 const DetectorTrainOptions& options,
                                 std::shared_ptr<ProcessGroup> group,
                                 const Call& call)
    : state_(std::make_unique<State>()) {
  const TrainingMode mode;
  auto& s = *state_;
  s.options = options;
  s.student = student;
  const auto& config = student.config;
  if (config.family->training == nullptr) {
    throw Error(ErrorCode::kWeights,
                student.path + " is a model (" +
                    std::string(config.family->name) +
                    ") whose tower F-ViT's heads are not trained on here. Take "
                    "a CLIP checkpoint, or a detector.");
  }
  check_numbers(options);
  s.device = place(options.device, "float32").device;
  s.products = product_type(options.dtype);
  s.random = SplitMix(options.seed);

  std::map<std::string, at::Tensor> heads;
  if (student.detector) {
    heads = student.detector->tensors;
    const auto& own = student.detector->config;
    if (s.options.blocks.empty()) s.options.blocks = own.blocks;
    if (!s.options.alpha) s.options.alpha = own.alpha;
    if (!s.options.beta) s.options.beta = own.beta;
    if (!s.options.vote_temperature) {
      s.options.vote_temperature = own.vote_temperature;
    }
    for (const auto& [name, tensor] : heads) {
      if (student.detector->check_finite) {
        student.detector->check_finite(name, tensor);
      }
    }
  } else if (!student.detector_fault.empty()) {
    throw Error(ErrorCode::kWeights,
                student.path + " holds heads that are not whole: " +
                    student.detector_fault);
  } else {
    heads = initial_heads(config.vision, options);
  }
  if (s.options.blocks.empty()) {
    s.options.blocks = usual_detector_blocks(config.vision.layers);
  }
  if (s.options.blocks.size() != 4) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("blocks must be 4, one for each level, received ",
                         s.options.blocks.size(),
                         "."));
  }
  if (s.options.side % config.vision.patch != 0) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("side must be a multiple of the patch, ",
                         config.vision.patch,
                         ", received ",
                         s.options.side,
                         "."));
  }
  for (const auto& [name, tensor] : heads) {
    const bool counts = !at::isFloatingType(tensor.scalar_type());
    auto own = tensor.to(s.device,
                         counts ? tensor.scalar_type() : at::kFloat,
                         false,
                         /*copy=*/true);
    (is_fixed(name) ? s.fixed : s.tensors).emplace(name, std::move(own));
  }
  // Files of other tools may lack the counters.
  for (const auto& [name, tensor] : heads) {
    constexpr std::string_view kEnd = ".running_mean";
    if (!name.ends_with(kEnd)) continue;
    s.tensors.try_emplace(
        name.substr(0, name.size() - kEnd.size()) + ".num_batches_tracked",
        at::zeros({}, at::TensorOptions(s.device).dtype(at::kLong)));
  }
  s.take_words();
  DetectorConfig levels;
  levels.patch = config.vision.patch;
  s.context.strides = levels.strides();
  for (const auto& [name, tensor] : student.tensors) {
    if (student.check_finite) student.check_finite(name, tensor);
  }

  s.ranks = Ranks(std::move(group));
  auto shared = s.tensors;
  shared.insert(s.fixed.begin(), s.fixed.end());
  s.ranks.share("fvit", shared, call);
  for (auto& [name, tensor] : s.tensors) {
    if (is_running(name)) continue;
    tensor.requires_grad_();
    s.learning.push_back({name, tensor, /*decays=*/true});
  }
  s.context.options = &s.options;
  s.context.temperature = s.tensors.at(kTemperature);
  s.optimizer = AdamW(s.learning,
                      {.beta1 = options.beta1,
                       .beta2 = options.beta2,
                       .epsilon = options.epsilon,
                       .weight_decay = options.weight_decay});
  const c10::NoGradGuard guard;
  if (options.ema_decay > 0) {
    for (const auto& value : values_of(s.learning))
      s.average.push_back(value.clone());
  }
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = s.products;
  Call quiet = call;
  quiet.progress = nullptr;
  const Weights weights(student.tensors, s.device, numerics.stream(), quiet);
  s.tower = config.family->make_encoder(config, weights, numerics);
  // Blocks that there are not are refused now, not at the first step.
  StageTap(s.options.blocks, config.vision.layers, 1, {});
  s.tower->check_mode(s.options.mode);
  check_files(s.student.files);
}

DetectorTrainer::~DetectorTrainer() = default;

const DetectorTrainOptions& DetectorTrainer::options() const {
  return state_->options;
}
int64_t DetectorTrainer::step_count() const { return state_->step; }
bool DetectorTrainer::any_rank(bool flag, const Call& call) const {
  return state_->ranks.any(flag, call);
}

std::vector<std::string> DetectorTrainer::trainable() const {
  std::vector<std::string> names;
  for (const auto& parameter : state_->learning) {
    names.push_back(parameter.name);
  }
  return names;
}

std::map<std::string, at::Tensor> DetectorTrainer::parameters() const {
  return state_->heads();
}

int64_t DetectorTrainer::bytes() const {
  const auto& s = *state_;
  size_t bytes = 0;
  for (const auto& [name, tensor] : s.tensors) bytes += tensor.nbytes();
  for (const auto& [name, tensor] : s.student.tensors) {
    bytes += tensor.nbytes();
  }
  const size_t kept = s.average.empty() ? 2 : 3;
  for (const auto& value : values_of(s.learning))
    bytes += kept * value.nbytes();
  return static_cast<int64_t>(bytes);
}

std::vector<at::Tensor> DetectorTrainer::tower_maps(const at::Tensor& images,
                                                    const Call& call) const {
  const TrainingMode mode;
  check_pictures(images, state_->student.config.vision);
  return state_->see(images, call);
}

TrainStep DetectorTrainer::gradients(const std::vector<DetectorBatch>& parts,
                                     std::map<std::string, at::Tensor>& out,
                                     const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  std::map<std::string, at::Tensor> running;
  return gradients_of(
      s.learning, out, [&] { return s.accumulate(parts, running, call); });
}

TrainStep DetectorTrainer::step(const std::vector<DetectorBatch>& parts,
                                const Call& call) {
  const TrainingMode mode;
  auto& s = *state_;
  if (!s.kept) s.kept.emplace();
  std::map<std::string, at::Tensor> running;
  const auto result = update(s.learning, s.optimizer, s.options.clip_norm, [&] {
    return s.accumulate(parts, running, call);
  });
  s.random.next();
  s.step = result.step;

  const c10::NoGradGuard guard;
  for (const auto& [name, tensor] : running) s.tensors.at(name).copy_(tensor);
  if (!s.average.empty()) {
    at::_foreach_lerp_(
        s.average, values_of(s.learning), 1 - s.options.ema_decay);
  }
  return result;
}

void DetectorTrainer::save(const std::string& path) const {
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
  tensors.emplace("words", s.fixed.at(kWords));
  write_safetensors(path,
                    tensors,
                    {{"format", kDetectorState},
                     {"step", std::to_string(s.step)},
                     {"random", std::to_string(s.random.state())}});
}

void DetectorTrainer::load(const std::string& path) {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  auto& s = *state_;
  // Everything is looked at before anything changes.
  const StateFile file(path, kDetectorState);
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
  const auto& words = s.fixed.at(kWords);
  if (!at::equal(file.find("words", words), words.cpu())) {
    file.reject(
        "the state is of other words: give the classes and the text tower that "
        "it was begun with.");
  }
  s.optimizer.check_state(file.tensors(), path);
  file.check();

  s.optimizer.restore(file.tensors());
  for (const auto& [to, from] : copies) to.copy_(from);
  s.step = step;
  s.random = SplitMix(random);
}

void DetectorTrainer::export_checkpoint(const std::string& path,
                                        bool average) const {
  const TrainingMode mode;
  const c10::NoGradGuard guard;
  const auto& s = *state_;
  if (average && s.average.empty()) {
    throw Error(ErrorCode::kInvalidArg,
                "There is no average to export: train with emaDecay above 0.");
  }
  auto heads = s.heads();
  for (size_t i = 0; average && i < s.average.size(); ++i) {
    heads[s.learning[i].name] = s.average[i];
  }
  check_files(s.student.files);
  export_detector(path, s.student, heads, s.options);
}

}  // namespace declip
