// F-ViT: stages from its authors' code, each fed by the stored result of the
// one before it, whole detections, and a slow version written apart from ours
// on sizes that the fixture does not have.

#include "declip/detector.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "declip/safetensors.h"
#include "detect/boxes.h"
#include "detect/detector_input.h"
#include "detect/f_vit.h"
#include "files/torch_archive.h"
#include "golden.h"
#include "png.h"
#include "random_detector.h"
#include "tap.h"

using declip::DetectedObjects;
using declip::DetectorInput;
using declip::DetectorQuestion;
using declip::DetectorView;
using declip::Json;
using declip::Model;
using declip::Scope;

namespace {

const Golden& fvit_golden() {
  static const Golden golden("fvit");
  return golden;
}

const std::vector<std::string> kBothDetectors{"coco", "lvis"};

std::string detector_path(const std::string& name) {
  return fvit_golden().path(name + "-fvit.pth");
}

std::shared_ptr<const Model> detector_model(const std::string& path,
                                            bool eager = false,
                                            const char* dtype = "float32") {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = dtype;
  options.eager = eager;
  return Model::load(path, options, {});
}

const Json& part_of_case(const std::string& id, const char* group) {
  return *fvit_golden().at(id).find(group);
}

double number_in(const Json& json, const char* name) {
  return *json.find(name)->number();
}
int64_t integer_in(const Json& json, const char* name) {
  return *json.find(name)->integer();
}

/// An input of a case that is stored.
at::Tensor stored_input(const std::string& id, const std::string& name) {
  return fvit_golden()
      .tensor(*part_of_case(id, "inputs").find(name))
      .to(at::kFloat);
}

std::vector<at::Tensor> stored_inputs(const std::string& id,
                                      const std::string& letter,
                                      int64_t count) {
  std::vector<at::Tensor> out;
  for (int64_t i = 0; i < count; ++i) {
    out.push_back(stored_input(id, letter + std::to_string(i))
                      .contiguous(at::MemoryFormat::ChannelsLast));
  }
  return out;
}

at::Tensor photo_of(const std::string& id) {
  return png::read(
      fvit_golden().path(*part_of_case(id, "inputs").find("photo")->string()));
}

/// The heads of a file, layer by layer.
struct FileHeads {
  explicit FileHeads(const std::string& path, bool fused = true)
      : checkpoint(declip::load_checkpoint(path)),
        weights(checkpoint.detector->tensors, at::kCPU, at::kFloat, call) {
    numerics.fused = fused;
  }
  Scope scope(const char* name) const { return {weights, name}; }

  declip::Call call;
  declip::Checkpoint checkpoint;
  declip::Weights weights;
  declip::Numerics numerics;
};

/// The picture as the backbone case takes it.
at::Tensor backbone_image(const std::string& id) {
  const Json& spec = *part_of_case(id, "inputs").find("image");
  const auto stored = fvit_golden().tensor(spec);
  const Json* normalise = spec.find("normalise");
  if (normalise == nullptr) return stored;
  return declip::detector_image(
      stored, *(*normalise->find("pad_to")->array())[0].integer());
}

DetectorInput input_of(const std::string& id) {
  const Json& options = part_of_case(id, "options");
  DetectorInput out;
  out.side = integer_in(options, "input_size");
  out.per_level = integer_in(options, "per_level");
  out.proposals = integer_in(options, "keep_proposals");
  out.proposal_nms = number_in(options, "proposal_nms_iou");
  return out;
}

DetectorQuestion question_of(const std::string& id) {
  const Json& options = part_of_case(id, "options");
  const Json& config = part_of_case(id, "config");
  DetectorQuestion out;
  const auto& classes = *config.find("classes")->array();
  const auto& novel = *config.find("novel")->array();
  out.novel = at::zeros({static_cast<int64_t>(classes.size())}, at::kBool);
  for (size_t i = 0; i < classes.size(); ++i) {
    for (const Json& one : novel) {
      if (*one.string() == *classes[i].string()) {
        out.novel[static_cast<int64_t>(i)] = true;
      }
    }
  }
  out.alpha = number_in(config, "alpha");
  out.beta = number_in(config, "beta");
  out.vote_temperature = number_in(config, "tau_vlm");
  out.score_threshold = number_in(options, "score_threshold");
  out.nms_threshold = number_in(options, "nms_iou");
  out.limit = integer_in(options, "keep");
  out.masks = *config.find("mask_head")->boolean();
  return out;
}

std::vector<std::string> whole_cases() {
  std::vector<std::string> out;
  for (const auto& id : fvit_golden().ids()) {
    if (id.find(".end-to-end") != std::string::npos) out.push_back(id);
  }
  return out;
}

at::Tensor with_scores(const DetectedObjects& found) {
  return at::cat({found.boxes, found.scores.unsqueeze(1)}, 1);
}

/// The masks of a case, below each other in one picture of bytes, if it has
/// any.
void compare_masks(const std::string& id, const DetectedObjects& found) {
  const Json& values = part_of_case(id, "values");
  const Json* file = values.find("masks_png");
  if (file == nullptr || file->string() == nullptr) return;
  const auto picture =
      png::read(fvit_golden().path(*file->string())).select(2, 0);
  const auto count = static_cast<int64_t>(found.masks.size());
  const auto size = found.masks[0].size;
  CHECK(picture.numel() == count * size.height * size.width);
  if (picture.numel() != count * size.height * size.width) return;
  std::vector<at::Tensor> all;
  for (const auto& mask : found.masks) all.push_back(declip::decode_rle(mask));
  const auto expected = picture.reshape({count, size.height, size.width}).gt(0);
  const double agree =
      at::stack(all).gt(0).eq(expected).to(at::kDouble).mean().item<double>();
  CHECK(agree >= number_in(values, "mask_min_agreement"));
}

}  // namespace

TEST(detector_preprocessing_as_golden) {
  for (const std::string& name : kBothDetectors) {
    const std::string id = name + ".preprocess";
    const tap::Case in(id);
    const auto pixels = photo_of(id);
    const int64_t side = integer_in(part_of_case(id, "options"), "input_size");
    const auto picture = declip::detector_picture(pixels, side);
    const auto rgb = declip::resize_linear_u8(pixels, picture.resized);
    CHECK(rgb.equal(
        fvit_golden().tensor(*part_of_case(id, "outputs").find("resized"))));
    if (part_of_case(id, "outputs").find("input") != nullptr) {
      fvit_golden().compare(id, "input", picture.image);
    } else {
      fvit_golden().compare(
          id,
          "input_every_8th",
          picture.image.slice(2, 0, {}, 8).slice(3, 0, {}, 8));
    }
    const auto& scale =
        *part_of_case(id, "values").find("scale_factor")->array();
    for (size_t axis = 0; axis < 2; ++axis) {
      CHECK_CLOSE(picture.scale[axis], *scale[axis].number(), 0);
    }
  }
}

TEST(detector_backbone_as_golden) {
  const c10::InferenceMode guard;
  for (const std::string& name : kBothDetectors) {
    for (const bool eager : {false, true}) {
      const std::string id = name + ".backbone";
      const tap::Case in(id + (eager ? " eager" : " fused"));
      const auto model = detector_model(detector_path(name), eager);
      const FileHeads heads(detector_path(name), !eager);
      declip::StageOptions options;
      options.blocks = heads.checkpoint.detector->config.blocks;
      options.dense.mode = heads.checkpoint.detector->config.mode;
      options.dense.positions = declip::Positions::kSize;
      options.features = true;
      const auto stages = model->encode_stages(backbone_image(id), options, {});
      std::vector<at::Tensor> maps;
      for (const auto& stage : stages.blocks) maps.push_back(stage.map);
      fvit_golden().compare(id, "tokens.0", maps.front());
      fvit_golden().compare(id, "tokens.3", maps.back());
      fvit_golden().compare(id, "V", declip::l2_normalize(stages.features, 1));
      const declip::UpSampling plain(
          heads.scope("backbone."), {}, heads.numerics);
      const auto levels = plain(maps);
      for (size_t i = 0; i < levels.size(); ++i) {
        fvit_golden().compare(id, "P" + std::to_string(i), levels[i]);
      }
    }
  }
}

TEST(detector_pyramid_as_golden) {
  const c10::InferenceMode guard;
  for (const std::string& name : kBothDetectors) {
    const std::string id = name + ".fpn";
    const tap::Case in(id);
    const FileHeads heads(detector_path(name));
    const auto laterals = declip::lateral_convolutions(heads.scope("neck."));
    auto levels = stored_inputs(id, "P", 4);
    for (size_t i = 0; i < levels.size(); ++i) {
      levels[i] = declip::Conv(
          laterals[i].weight, laterals[i].bias, false, heads.numerics)(
          levels[i]);
    }
    const declip::Pyramid pyramid(heads.scope("neck."), heads.numerics);
    const auto maps = pyramid(std::move(levels));
    CHECK(maps.size() == 5);
    for (size_t i = 0; i < maps.size(); ++i) {
      fvit_golden().compare(id, "F" + std::to_string(i), maps[i]);
    }
  }
}

TEST(detector_region_proposals_as_golden) {
  const c10::InferenceMode guard;
  for (const std::string& name : kBothDetectors) {
    const std::string id = name + ".rpn";
    const tap::Case in(id);
    const FileHeads heads(detector_path(name));
    const declip::Rpn rpn(heads.scope("rpn_head."), heads.numerics);
    const auto maps = stored_inputs(id, "F", 5);
    for (size_t i = 0; i < maps.size(); ++i) {
      const auto level = rpn(maps[i]);
      const std::string n = std::to_string(i);
      fvit_golden().compare(id, "cls." + n, level.logits);
      fvit_golden().compare(id, "reg." + n, level.deltas);
    }
  }
}

TEST(detector_box_head_as_golden) {
  const c10::InferenceMode guard;
  for (const std::string& name : kBothDetectors) {
    const std::string id = name + ".box-head";
    const tap::Case in(id);
    const FileHeads heads(detector_path(name));
    const auto& config = heads.checkpoint.detector->config;
    const declip::BoxHead head(heads.scope("roi_head.bbox_head."),
                               heads.numerics);
    auto strides = config.strides();
    strides.resize(4);
    const auto boxes =
        stored_input(id, "proposals").slice(1, 0, 4).contiguous();
    const auto pooled =
        declip::pool_boxes_of_levels(stored_inputs(id, "F", 4),
                                     strides,
                                     boxes,
                                     at::zeros({boxes.size(0)}, at::kLong),
                                     declip::BoxHead::kBins);
    const auto answers = head(pooled);
    fvit_golden().compare(id, "class_embedding", answers.embeddings);
    fvit_golden().compare(id, "deltas", answers.deltas);
    const auto words = declip::l2_normalize(
        heads.scope("roi_head.bbox_head.")["all_embeddings"].t(), 1);
    const auto logits =
        config.temperature *
        at::matmul(declip::l2_normalize(answers.embeddings, 1), words.t());
    fvit_golden().compare(id, "logits", logits);
    fvit_golden().compare(id, "probabilities", logits.softmax(1));
  }
}

TEST(detector_mask_logits_as_golden) {
  const c10::InferenceMode guard;
  const std::string name = "lvis", id = name + ".masks";
  const FileHeads heads(detector_path(name));
  const declip::MaskHead head(heads.scope("roi_head.mask_head."),
                              heads.numerics);
  auto strides = heads.checkpoint.detector->config.strides();
  strides.resize(4);
  const auto& factors =
      *part_of_case(id, "options").find("scale_factor")->array();
  auto scale = at::empty({4}, at::kFloat);
  for (int64_t i = 0; i < 4; ++i) {
    scale[i] = *factors[static_cast<size_t>(i)].number();
  }
  const auto boxes = stored_input(id, "detections").slice(1, 0, 4) * scale;
  const auto pooled =
      declip::pool_boxes_of_levels(stored_inputs(id, "F", 4),
                                   strides,
                                   boxes,
                                   at::zeros({boxes.size(0)}, at::kLong),
                                   declip::MaskHead::kBins);
  fvit_golden().compare(id, "roi_features", pooled.slice(0, 0, 6));
  fvit_golden().compare(id, "logits", head(pooled).unsqueeze(1));
}

TEST(detector_whole_pictures_as_golden) {
  for (const bool eager : {false, true}) {
    std::map<std::string, std::shared_ptr<const Model>> models;
    for (const std::string& id : whole_cases()) {
      const tap::Case in(id + (eager ? " eager" : " fused"));
      const std::string name = id.substr(0, id.find('.'));
      auto& model = models[name];
      if (!model) model = detector_model(detector_path(name), eager);
      const declip::Detector& detector = model->detector({});
      const auto view = detector.encode(*model, photo_of(id), input_of(id), {});
      const auto found = detector.detect(view, question_of(id), {});
      const auto labels =
          fvit_golden().tensor(*part_of_case(id, "outputs").find("labels"));
      CHECK(found.labels.equal(labels));
      if (!found.labels.equal(labels)) continue;
      fvit_golden().compare(id, "detections", with_scores(found));
      compare_masks(id, found);
    }
  }
}

// --- A slow version, on sizes that the fixture does not have ----------------

namespace {

/// The heads in float64 and LibTorch's operators, one after the other.
class SlowHeads {
 public:
  explicit SlowHeads(const random_detector::Named& tensors) : w_(tensors) {}

  std::vector<at::Tensor> levels(const std::vector<at::Tensor>& maps) const {
    const std::string twice = "backbone.interpolate1.";
    return {up(at::gelu(norm(up(wide(maps[0]), twice + "0"), twice + "1")),
               twice + "3"),
            up(wide(maps[1]), "backbone.interpolate2.0"),
            wide(maps[2]),
            at::max_pool2d(wide(maps[3]), 2, 2)};
  }

  std::vector<at::Tensor> pyramid(const std::vector<at::Tensor>& levels) const {
    std::vector<at::Tensor> sums(4), out;
    for (int i = 3; i >= 0; --i) {
      const auto at = static_cast<size_t>(i);
      sums[at] = normed(levels[at], "neck.lateral_convs." + std::to_string(i));
      if (i == 3) continue;
      const auto& coarse = sums[at + 1];
      const int64_t h = sums[at].size(2), w = sums[at].size(3);
      const auto rows = at::arange(h) * coarse.size(2) / h;
      const auto columns = at::arange(w) * coarse.size(3) / w;
      sums[at] = sums[at] + coarse.index_select(2, rows.floor().to(at::kLong))
                                .index_select(3, columns.floor().to(at::kLong));
    }
    for (size_t i = 0; i < 4; ++i) {
      out.push_back(normed(sums[i], "neck.fpn_convs." + std::to_string(i)));
    }
    out.push_back(out[3].slice(2, 0, {}, 2).slice(3, 0, {}, 2));
    return out;
  }

  std::pair<at::Tensor, at::Tensor> rpn(const at::Tensor& map) const {
    auto x = wide(map);
    for (const char* n : {"0", "1"}) {
      const std::string name = std::string("rpn_head.rpn_conv.") + n;
      x = at::relu(has(name + ".bn.weight") ? normed(x, name)
                                            : conv(x, name + ".conv"));
    }
    return {conv(x, "rpn_head.rpn_cls"), conv(x, "rpn_head.rpn_reg")};
  }

  std::pair<at::Tensor, at::Tensor> boxes(const at::Tensor& pooled) const {
    const std::string head = "roi_head.bbox_head.";
    auto x = stack(wide(pooled), head + "shared_convs.").flatten(1);
    for (const char* name : {"shared_fcs.0", "shared_fcs.1"}) {
      x = at::relu(linear(x, head + name));
    }
    return {at::relu(linear(x, head + "cls_fcs.0")),
            linear(at::relu(linear(x, head + "reg_fcs.0")), head + "fc_reg")};
  }

  at::Tensor masks(const at::Tensor& pooled) const {
    const std::string head = "roi_head.mask_head.";
    return conv(at::relu(up(stack(wide(pooled), head + "convs."),
                            head + "upsample")),
                head + "conv_logits")
        .select(1, 0);
  }

 private:
  static at::Tensor wide(const at::Tensor& x) { return x.to(at::kDouble); }
  bool has(const std::string& name) const { return w_.contains(name); }
  at::Tensor of(const std::string& name) const { return wide(w_.at(name)); }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::batch_norm(x,
                          of(name + ".weight"),
                          of(name + ".bias"),
                          of(name + ".running_mean"),
                          of(name + ".running_var"),
                          false,
                          0.1,
                          1e-5,
                          false);
  }
  at::Tensor conv(const at::Tensor& x, const std::string& name) const {
    const auto weight = of(name + ".weight");
    return at::conv2d(x,
                      weight,
                      has(name + ".bias") ? of(name + ".bias") : at::Tensor(),
                      1,
                      weight.size(2) / 2);
  }
  at::Tensor normed(const at::Tensor& x, const std::string& name) const {
    return norm(conv(x, name + ".conv"), name + ".bn");
  }
  at::Tensor up(const at::Tensor& x, const std::string& name) const {
    return at::conv_transpose2d(x, of(name + ".weight"), of(name + ".bias"), 2);
  }
  at::Tensor stack(at::Tensor x, const std::string& name) const {
    for (int i = 0; has(name + std::to_string(i) + ".conv.weight"); ++i) {
      x = at::relu(normed(x, name + std::to_string(i)));
    }
    return x;
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, of(name + ".weight"), of(name + ".bias"));
  }

  const random_detector::Named& w_;
};

void near(const at::Tensor& got, const at::Tensor& expected, const char* what) {
  const tap::Case in(what);
  CHECK(got.sizes() == expected.sizes());
  if (got.sizes() != expected.sizes() || got.numel() == 0) return;
  const double off =
      (got.to(at::kDouble) - expected).abs().max().item<double>();
  CHECK(off <= 1e-4 * (1 + expected.abs().max().item<double>()));
}

/// A plain CLIP tower of the fixtures, with heads on it, as a file.
std::string plain_detector(const files::TempFolder& temp,
                           const random_detector::Named& heads,
                           const std::string& metadata = "") {
  auto tensors = heads;
  const auto tower =
      declip::load_checkpoint(files::fixture("plain-tower/visual.safetensors"));
  for (const auto& [name, tensor] : tower.tensors) {
    if (name.starts_with("visual.")) tensors["backbone." + name] = tensor;
  }
  const std::string path = temp.file("detector.safetensors");
  std::map<std::string, std::string> told;
  if (!metadata.empty()) told["declip.detector"] = metadata;
  declip::write_safetensors(path, tensors, told);
  return path;
}

random_detector::Sizes on_plain_tower() {
  const auto tower =
      declip::load_checkpoint(files::fixture("plain-tower/visual.safetensors"));
  random_detector::Sizes z;
  z.width = tower.config.vision.width;
  z.embed_dim = tower.config.vision.embed_dim;
  return z;
}

at::Tensor random_picture(int64_t height, int64_t width) {
  return at::randint(0, 256, {height, width, 3}, at::kByte);
}

}  // namespace

TEST(detector_heads_as_the_slow_version_has_them) {
  const c10::InferenceMode guard;
  at::manual_seed(17);
  for (const bool lvis : {false, true}) {
    random_detector::Sizes z;
    z.width = lvis ? 24 : 40;
    z.embed_dim = 20;
    z.channels = lvis ? 24 : 16;
    z.rpn_norm = lvis;
    const auto tensors = random_detector::heads(z);
    const SlowHeads slow(tensors);
    const declip::Call call;
    const declip::Weights weights(tensors, at::kCPU, at::kFloat, call);
    // no square, odd
    std::vector<at::Tensor> maps;
    for (int i = 0; i < 4; ++i) {
      maps.push_back(at::randn({1, z.width, 5, 9})
                         .contiguous(at::MemoryFormat::ChannelsLast));
    }
    const auto levels = slow.levels(maps);
    const auto pyramid = slow.pyramid(levels);
    for (const bool fused : {false, true}) {
      const tap::Case in(std::string(lvis ? "lvis" : "coco") +
                         (fused ? " fused" : " eager"));
      declip::Numerics numerics;
      numerics.fused = fused;
      const Scope neck(weights, "neck."), backbone(weights, "backbone.");
      const auto plain = declip::UpSampling(backbone, {}, numerics)(maps);
      for (size_t i = 0; i < 4; ++i) near(plain[i], levels[i], "level");
      const auto got = declip::Pyramid(neck, numerics)(declip::UpSampling(
          backbone, declip::lateral_convolutions(neck), numerics)(maps));
      CHECK(got.size() == 5);
      for (size_t i = 0; i < 5; ++i) near(got[i], pyramid[i], "pyramid");
      const declip::Rpn rpn(Scope(weights, "rpn_head."), numerics);
      for (const auto& map : got) {
        const auto level = rpn(map);
        const auto [logits, deltas] = slow.rpn(map);
        near(level.logits, logits, "logits");
        near(level.deltas, deltas, "deltas");
      }
      const auto sevens = at::randn({3, z.channels, 7, 7})
                              .contiguous(at::MemoryFormat::ChannelsLast);
      const auto answers = declip::BoxHead(
          Scope(weights, "roi_head.bbox_head."), numerics)(sevens);
      const auto [embeddings, deltas] = slow.boxes(sevens);
      near(answers.embeddings, embeddings, "embeddings");
      near(answers.deltas, deltas, "moves");
      const auto fourteens = at::randn({3, z.channels, 14, 14})
                                 .contiguous(at::MemoryFormat::ChannelsLast);
      near(declip::MaskHead(Scope(weights, "roi_head.mask_head."),
                            numerics)(fourteens),
           slow.masks(fourteens),
           "masks");
    }
  }
}

TEST(detector_on_a_plain_tower_as_the_slow_version_has_it) {
  const c10::InferenceMode guard;
  at::manual_seed(18);
  const files::TempFolder temp;
  const auto tensors = random_detector::heads(on_plain_tower());
  const auto model = detector_model(plain_detector(temp, tensors));
  const declip::Detector& detector = model->detector({});
  const auto& config = detector.config();
  const SlowHeads slow(tensors);
  const auto picture = random_picture(70, 50);
  DetectorInput input;
  input.side = 6 * config.patch;
  input.proposals = 40;
  const auto view = detector.encode(*model, picture, input, {});
  CHECK(view.input.height == *input.side);
  CHECK(view.proposals.size(0) > 0 && view.proposals.size(0) <= 40);

  const auto image = declip::detector_picture(picture, *input.side).image;
  declip::StageOptions options;
  options.blocks = config.blocks;
  options.dense.mode = config.mode;
  options.features = true;
  const auto stages = model->encode_stages(image, options, {});
  std::vector<at::Tensor> maps;
  for (const auto& stage : stages.blocks) maps.push_back(stage.map);
  auto pyramid = slow.pyramid(slow.levels(maps));
  pyramid.pop_back();
  CHECK(view.maps.size() == 4);
  for (size_t i = 0; i < 4; ++i) near(view.maps[i], pyramid[i], "map");

  auto strides = config.strides();
  strides.resize(4);
  const auto none = at::zeros({view.proposals.size(0)}, at::kLong);
  const auto [embeddings, deltas] = slow.boxes(declip::pool_boxes_of_levels(
      view.maps, strides, view.proposals, none, 7));
  near(view.embeddings, embeddings / embeddings.norm(2, {1}, true), "words");
  near(view.deltas, deltas, "moves");
  const auto votes = declip::l2_normalize(stages.features, 1);
  near(view.votes,
       declip::l2_normalize(
           declip::pool_boxes_of_levels({votes},
                                        {static_cast<double>(config.patch)},
                                        view.proposals,
                                        none,
                                        1)
               .flatten(1),
           1)
           .to(at::kDouble),
       "votes");
}

TEST(detector_last_map_and_vote_may_have_modes_of_their_own) {
  at::manual_seed(19);
  const files::TempFolder temp;
  const auto tensors = random_detector::heads(on_plain_tower());
  const std::vector<std::string> paths{plain_detector(temp, tensors),
                                       detector_path("coco")};
  for (const std::string& path : paths) {
    const tap::Case in(path);
    const auto model = detector_model(path);
    const declip::Detector& detector = model->detector({});
    const auto picture = random_picture(60, 80);
    DetectorInput input;
    input.side = 6 * detector.config().patch;
    input.proposals = 30;
    const auto seen = [&](std::optional<declip::DenseMode> mode,
                          std::optional<declip::DenseMode> vote) {
      input.mode = mode;
      input.vote_mode = vote;
      return detector.encode(*model, picture, input, {});
    };
    const auto values = seen({}, {});
    const auto decoupled = seen(declip::DenseMode::kQq, {});
    const auto voted = seen({}, declip::DenseMode::kQq);
    // Heads see the same in the first and the last; votes are those of qq.
    CHECK(voted.proposals.equal(values.proposals));
    CHECK(voted.embeddings.equal(values.embeddings));
    CHECK(!at::allclose(voted.votes, values.votes, 1e-3, 1e-3));
    CHECK(!at::allclose(
        decoupled.proposal_scores, values.proposal_scores, 1e-4, 1e-5));
    declip::DenseOptions dense;
    dense.mode = declip::DenseMode::kQq;
    dense.positions = declip::Positions::kSize;
    const auto map = model->encode_dense(
        declip::detector_picture(picture, *input.side).image, dense, true, {});
    const auto expected = declip::l2_normalize(
        declip::pool_boxes_of_levels(
            {map},
            {static_cast<double>(detector.config().patch)},
            voted.proposals,
            at::zeros({voted.proposals.size(0)}, at::kLong),
            1)
            .flatten(1),
        1);
    CHECK(at::allclose(voted.votes, expected, 1e-4, 1e-5));
    CHECK_THROWS_CODE(seen({}, declip::DenseMode::kProxyClip),
                      declip::ErrorCode::kInvalidArg);
    CHECK_THROWS_CODE(seen({}, declip::DenseMode::kItaClip),
                      declip::ErrorCode::kInvalidArg);
  }
}

TEST(detector_answers_for_words_of_any_kind) {
  at::manual_seed(20);
  const auto model = detector_model(detector_path("lvis"));
  const declip::Detector& detector = model->detector({});
  const std::string id = "lvis.end-to-end";
  auto view = detector.encode(*model, photo_of(id), input_of(id), {});
  auto question = question_of(id);
  question.masks = false;
  const auto stored = detector.detect(view, question, {});
  CHECK(stored.boxes.size(0) > 0);
  CHECK(stored.masks.empty());

  // the same, said in another way: each word twice, the copies last
  const auto words = detector.words();
  const int64_t classes = words.size(0) - 1;
  question.words = at::cat({words, words});
  const auto numbers = at::arange(classes + 1);
  question.word_class = at::cat({numbers, numbers});
  question.score_threshold = 0;
  question.limit = 5;
  const auto twice = detector.detect(view, question, {});
  CHECK(twice.boxes.size(0) == 5);
  CHECK(twice.labels.lt(classes).all().item<bool>());

  // one class
  question = question_of(id);
  question.masks = false;
  question.words = at::stack({words[0], words[classes]});
  question.novel = at::Tensor();
  const auto one = detector.detect(view, question, {});
  CHECK(one.labels.eq(0).all().item<bool>());

  // boxes whose embedding is nothing drop out
  auto broken = view;
  broken.embeddings = at::full_like(view.embeddings, NAN);
  broken.embeddings[0] = view.embeddings[0];
  question.score_threshold = 0;
  const auto rest = detector.detect(broken, question, {});
  CHECK(rest.proposals.eq(0).all().item<bool>());

  // nothing is good enough
  question.score_threshold = 1;
  question.masks = true;
  const auto nothing = detector.detect(view, question, {});
  CHECK(nothing.boxes.size(0) == 0 && nothing.boxes.size(1) == 4);
  CHECK(nothing.masks.empty());

  // no proposals at all
  auto empty = view;
  for (auto* rows : {&empty.proposals,
                     &empty.proposal_scores,
                     &empty.embeddings,
                     &empty.votes,
                     &empty.deltas}) {
    *rows = rows->slice(0, 0, 0);
  }
  CHECK(detector.detect(empty, question_of(id), {}).boxes.size(0) == 0);

  const auto wrong = [&](const auto& change) {
    auto asked = question_of(id);
    change(asked);
    CHECK_THROWS_CODE(detector.detect(view, asked, {}),
                      declip::ErrorCode::kInvalidArg);
  };
  wrong([&](auto& q) { q.words = at::ones({4, words.size(1) + 1}); });
  wrong([&](auto& q) { q.words = words.slice(0, 0, 1); });
  wrong([&](auto& q) { q.word_class = at::zeros({2}, at::kLong); });
  wrong([&](auto& q) { q.novel = at::zeros({classes + 1}, at::kBool); });
}

TEST(detector_refuses_input_that_does_not_fit) {
  at::manual_seed(21);
  const auto model = detector_model(detector_path("coco"));
  const declip::Detector& detector = model->detector({});
  const auto picture = random_picture(40, 40);
  const auto wrong = [&](const auto& change) {
    auto input = input_of("coco.end-to-end");
    change(input);
    CHECK_THROWS_CODE(detector.encode(*model, picture, input, {}),
                      declip::ErrorCode::kInvalidArg);
  };
  wrong([](auto& i) { i.side = 100; });
  wrong([](auto& i) { i.side = 0; });
  wrong([&](auto& i) { i.side = detector.config().patch; });
  wrong([](auto& i) { i.blocks = {0, 1, 2}; });
  wrong([](auto& i) { i.blocks = {0, 1, 2, 99}; });
  wrong([](auto& i) { i.per_level = 0; });
  wrong([](auto& i) { i.mode = declip::DenseMode::kProxyClip; });
  // no mask head
  auto question = question_of("coco.end-to-end");
  question.masks = true;
  const auto view =
      detector.encode(*model, picture, input_of("coco.end-to-end"), {});
  CHECK(view.maps.empty());
  CHECK_THROWS_CODE(detector.detect(view, question, {}),
                    declip::ErrorCode::kInvalidArg);
  // a picture of one row
  const auto thin = detector.encode(
      *model, random_picture(1, 300), input_of("coco.end-to-end"), {});
  CHECK(thin.input.height == 1);
  (void)detector.detect(thin, question_of("coco.end-to-end"), {});
}

TEST(detector_names_weights_that_are_not_finite) {
  at::manual_seed(22);
  const files::TempFolder temp;
  auto tensors = random_detector::heads(on_plain_tower());
  const char* name = "neck.fpn_convs.1.conv.weight";
  tensors[name] = at::full_like(tensors[name], NAN);
  const auto model = detector_model(plain_detector(temp, tensors));
  CHECK(files::contains(
      CHECK_THROWS_CODE(model->detector({}), declip::ErrorCode::kWeights),
      name));
}

TEST(detector_in_bfloat16_finds_the_same_things) {
  const std::string id = "coco.end-to-end";
  const auto found = [&](const char* dtype) {
    const auto model = detector_model(detector_path("coco"), false, dtype);
    const declip::Detector& detector = model->detector({});
    const auto view = detector.encode(*model, photo_of(id), input_of(id), {});
    return detector.detect(view, question_of(id), {});
  };
  const auto exact = found("float32"), rough = found("bfloat16");
  // The best third, as another third may stand at the threshold.
  const int64_t count = exact.boxes.size(0) / 3;
  int64_t met = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto a = exact.boxes[i];
    bool same = false;
    for (int64_t j = 0; j < rough.boxes.size(0) && !same; ++j) {
      if (!rough.labels[j].equal(exact.labels[i])) continue;
      const auto b = rough.boxes[j];
      const auto side =
          (at::minimum(a, b).slice(0, 2) - at::maximum(a, b).slice(0, 0, 2))
              .clamp_min(0);
      const auto area = [](const at::Tensor& box) {
        return ((box[2] - box[0]) * (box[3] - box[1])).item<double>();
      };
      const double overlap = side.prod().item<double>();
      same = overlap / (area(a) + area(b) - overlap) > 0.7;
    }
    met += same ? 1 : 0;
  }
  CHECK(met * 10 >= count * 8);
}
