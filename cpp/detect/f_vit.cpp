#include "detect/f_vit.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "declip/error.h"
#include "declip/model.h"
#include "detect/boxes.h"
#include "detect/detector_input.h"
#include "detect/paste.h"
#include "model/encoder.h"

namespace declip {
namespace {

constexpr size_t kTowerLevels = 4;
/// Boxes that go through a head together: enough to keep products at their
/// best, few enough that what is pooled stays near the cache.
constexpr int64_t kBoxesAtATime = 128;
constexpr int64_t kMasksAtATime = 32;
constexpr int64_t kEncodeSteps = 4;  // tower, pyramid, proposals, boxes

[[noreturn]] void invalid(const std::string& message) {
  throw Error(ErrorCode::kInvalidArg, message);
}

void check_side(int64_t side, int64_t patch) {
  if (side >= 2 * patch && side % patch == 0) return;
  invalid("inputSize must be a multiple of the patch, " +
          std::to_string(patch) +
          " pixels, and at least two of them, received " +
          std::to_string(side) + ".");
}

void check_limits(const DetectorInput& input) {
  if (input.per_level < 1 || input.proposals < 1) {
    invalid(
        "proposals.perLevel and proposals.keep must be at least 1, "
        "received " +
        std::to_string(input.per_level) + " and " +
        std::to_string(input.proposals) + ".");
  }
}

/// Throws Error(kWeights) if they are not finite.
void check_features(const at::Tensor& x, const Model& model, const char* what) {
  const auto [low, high] = at::aminmax(x);
  if (std::isfinite((high - low).item<float>())) return;
  throw Error(ErrorCode::kWeights,
              model.info().path + ": " + what +
                  " of this picture are not finite numbers (NaN or infinity), "
                  "so nothing can be found. Its weights make numbers that are "
                  "too large" +
                  (model.dtype() == "float16"
                       ? " for float16: load it with dtype 'float32'."
                       : ": take an earlier checkpoint."));
}

/// The maps as pool_boxes_of_levels() takes them, and boxes of one picture.
at::Tensor pooled(const std::vector<at::Tensor>& maps,
                  const std::vector<double>& strides,
                  const at::Tensor& boxes,
                  int64_t bins) {
  const auto pictures =
      at::zeros({boxes.size(0)}, boxes.options().dtype(at::kLong));
  return pool_boxes_of_levels(maps, strides, boxes, pictures, bins);
}

/// sx, sy, sx, sy.
at::Tensor box_scale(const DetectorView& view, const at::Tensor& like) {
  const auto& s = view.scale;
  return at::tensor({s[0], s[1], s[0], s[1]}, at::kFloat).to(like.device());
}

std::vector<double> first_strides(const DetectorConfig& config) {
  auto strides = config.strides();
  strides.resize(kTowerLevels);
  return strides;
}

}  // namespace

FVit::FVit(const DetectorConfig& config,
           const Weights& weights,
           const Numerics& numerics)
    : Detector(config),
      words_(l2_normalize(
          Scope(weights, "roi_head.bbox_head.")["all_embeddings"].t(), 1)),
      up_sampling_(Scope(weights, "backbone."),
                   lateral_convolutions(Scope(weights, "neck.")),
                   numerics),
      pyramid_(Scope(weights, "neck."), numerics),
      rpn_(Scope(weights, "rpn_head."), numerics),
      box_head_(Scope(weights, "roi_head.bbox_head."), numerics) {
  if (config.masks) {
    mask_head_.emplace(Scope(weights, "roi_head.mask_head."), numerics);
  }
}

FVit::TowerMaps FVit::tower_maps(const Model& model,
                                 const at::Tensor& image,
                                 const DetectorInput& input,
                                 const Call& call) const {
  const auto& blocks = input.blocks.empty() ? config_.blocks : input.blocks;
  if (blocks.size() != kTowerLevels) {
    invalid("blocks must be " + std::to_string(kTowerLevels) +
            ", one for each level, received " + std::to_string(blocks.size()) +
            ".");
  }
  const DenseMode mode = input.mode.value_or(config_.mode);
  const DenseMode vote_mode = input.vote_mode.value_or(mode);
  const bool shared = vote_mode == mode;
  StageOptions options;
  options.blocks = blocks;
  options.dense.mode = mode;
  options.dense.positions = Positions::kSize;
  options.features = shared;
  const int64_t depth = model.info().config.vision.layers;
  // Another mode needs what came into the last block.
  if (!shared) options.blocks.push_back(depth - 2);
  auto stages = model.encode_stages(image, options, call);
  at::Tensor votes = stages.features;
  if (!shared) {
    votes = model.encoder()
                .features_after(stages.blocks.back(), vote_mode)
                .to(at::kFloat);
    stages.blocks.pop_back();
  }
  check_features(votes, model, "the tower's features");
  TowerMaps out;
  for (auto& stage : stages.blocks) out.maps.push_back(std::move(stage.map));
  out.votes = l2_normalize(votes, 1);
  return out;
}

DetectorView FVit::encode(const Model& model,
                          const at::Tensor& pixels,
                          const DetectorInput& input,
                          const Call& call) const {
  const c10::InferenceMode guard;
  const int64_t side = input.side.value_or(config_.side);
  check_side(side, config_.patch);
  check_limits(input);
  int64_t step = 0;
  const auto done = [&] { call.report(Step::kEncode, ++step, kEncodeSteps); };

  auto picture = detector_picture(pixels, side);
  DetectorView view;
  view.picture = picture.picture;
  view.input = picture.resized;
  view.scale = picture.scale;
  auto tower = tower_maps(model, picture.image, input, call);
  done();
  auto levels = up_sampling_(tower.maps);
  tower.maps.clear();
  call.check();
  auto maps = pyramid_(std::move(levels));
  done();
  std::vector<at::Tensor> logits, deltas;
  for (const auto& map : maps) {
    call.check();
    auto level = rpn_(map);
    check_features(level.logits, model, "the scores of places");
    logits.push_back(level.logits[0]);
    deltas.push_back(level.deltas[0]);
  }
  const auto proposals =
      propose(logits,
              deltas,
              config_.strides(),
              view.input,
              {input.per_level, input.proposals, input.proposal_nms});
  logits.clear();
  deltas.clear();
  view.proposals = proposals.boxes;
  view.proposal_scores = proposals.scores;
  done();
  maps.resize(kTowerLevels);
  answer_boxes(maps, view, call);
  view.votes = l2_normalize(pooled({tower.votes},
                                   {static_cast<double>(config_.patch)},
                                   view.proposals,
                                   1)
                                .flatten(1),
                            1);
  done();
  if (mask_head_) {
    for (const auto& map : maps) view.maps.push_back(map.to(at::kFloat));
  }
  return view;
}

void FVit::answer_boxes(const std::vector<at::Tensor>& maps,
                        DetectorView& view,
                        const Call& call) const {
  if (view.proposals.size(0) == 0) {
    view.embeddings =
        at::empty({0, config_.embed_dim}, view.proposals.options());
    view.deltas = at::empty({0, 4}, view.proposals.options());
    return;
  }
  std::vector<at::Tensor> embeddings, deltas;
  for (const auto& boxes : view.proposals.split(kBoxesAtATime)) {
    call.check();
    auto answers =
        box_head_(pooled(maps, first_strides(config_), boxes, BoxHead::kBins));
    embeddings.push_back(answers.embeddings);
    deltas.push_back(answers.deltas);
  }
  const auto all = at::cat(embeddings);
  // Without an epsilon, as F-ViT: a box whose embedding is zero gives NaN, and
  // drops out of every answer.
  view.embeddings = all / all.norm(2, {1}, true);
  view.deltas = at::cat(deltas);
}

DetectedObjects FVit::detect(const DetectorView& view,
                             const DetectorQuestion& question,
                             const Call& call) const {
  const c10::InferenceMode guard;
  const auto device = view.proposals.device();
  const auto words =
      question.words.defined() ? question.words.to(device, at::kFloat) : words_;
  if (words.dim() != 2 || words.size(0) < 2 ||
      words.size(1) != config_.embed_dim) {
    invalid("words must be [W, " + std::to_string(config_.embed_dim) +
            "], the detector's space, with one for the background among "
            "them, received " +
            c10::str(words.sizes()) + ".");
  }
  const int64_t count = words.size(0);
  const auto word_class =
      question.word_class.defined()
          ? question.word_class.to(device, at::kLong)
          : at::arange(count, at::TensorOptions(at::kLong).device(device));
  if (word_class.dim() != 1 || word_class.size(0) != count ||
      word_class.min().item<int64_t>() < 0) {
    invalid("word_class must have a class for each of " +
            std::to_string(count) + " words.");
  }
  const int64_t classes = word_class.max().item<int64_t>();
  const auto flags = at::TensorOptions(at::kBool).device(device);
  const auto novel = question.novel.defined()
                         ? question.novel.to(device, at::kBool)
                         : at::zeros({classes}, flags);
  if (novel.dim() != 1 || novel.size(0) != classes) {
    invalid("novel must have a flag for each of " + std::to_string(classes) +
            " classes, received " + c10::str(novel.sizes()) +
            ". The last class is the background, which needs a word.");
  }
  if (question.masks && !mask_head_) {
    invalid(
        "This detector has no mask head: leave masks out, or load one of "
        "the LVIS variant.");
  }
  call.check();
  const auto scores =
      combined_scores(view.embeddings,
                      view.votes,
                      words,
                      word_class,
                      novel,
                      question.alpha,
                      question.beta,
                      question.temperature.value_or(config_.temperature),
                      question.vote_temperature);
  const auto scale = box_scale(view, view.proposals);
  const auto boxes =
      decode_boxes(view.proposals, view.deltas, kBoxDeviations, view.input) /
      scale;
  call.check();
  const Kept kept = choose_objects(boxes,
                                   scores,
                                   question.score_threshold,
                                   question.nms_threshold,
                                   question.limit);
  DetectedObjects out;
  out.boxes = kept.boxes.to(at::kCPU);
  out.scores = kept.scores.to(at::kCPU);
  out.labels = kept.labels.to(at::kCPU);
  out.proposals = kept.rows.to(at::kCPU);
  if (question.masks) out.masks = masks_of(view, kept.boxes, call);
  return out;
}

std::vector<Rle> FVit::masks_of(const DetectorView& view,
                                const at::Tensor& boxes,
                                const Call& call) const {
  const auto scale = box_scale(view, boxes);
  const int64_t count = boxes.size(0);
  std::vector<Rle> out;
  for (int64_t first = 0; first < count; first += kMasksAtATime) {
    call.check();
    // There and back, as mmdetection: the boxes that are pasted are those that
    // were pooled.
    const auto seen =
        boxes.slice(0, first, std::min(first + kMasksAtATime, count)) * scale;
    const auto logits = (*mask_head_)(
        pooled(view.maps, first_strides(config_), seen, MaskHead::kBins));
    auto some = paste_masks(at::sigmoid(logits), seen / scale, view.picture);
    std::move(some.begin(), some.end(), std::back_inserter(out));
    call.report(Step::kPixels, static_cast<int64_t>(out.size()), count);
  }
  return out;
}

std::unique_ptr<Detector> make_f_vit(const DetectorConfig& config,
                                     const Weights& weights,
                                     const Numerics& numerics) {
  return std::make_unique<FVit>(config, weights, numerics);
}

}  // namespace declip
