#include "detect/detector_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/json_fields.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "detect/f_vit.h"
#include "files/text.h"

namespace declip {
namespace detector_file {
namespace {

constexpr std::array<std::string_view, 4> kBeginnings{
    "backbone.interpolate", "neck.", "rpn_head.", "roi_head."};
constexpr int64_t kLevels = 4;   // of the tower; F_4 has no weights
constexpr int64_t kBins = 7;     // of the box head's RoIAlign, along a side
constexpr int64_t kAnchors = 3;  // of a place: ratios
constexpr std::string_view kTracked = ".num_batches_tracked";
constexpr const char* kMetadata = "declip.detector";

// configs/** of F-ViT: what no shape tells.
constexpr int64_t kCocoSide = 640;   // patches of 16
constexpr int64_t kLvisSide = 1024;  // the same with masks
constexpr int64_t kLargeSide = 896;  // patches of 14
constexpr int64_t kLargePatch = 14;

bool is_of_heads(const std::string& key) {
  return std::any_of(
      kBeginnings.begin(), kBeginnings.end(), [&](std::string_view beginning) {
        return key.starts_with(beginning);
      });
}

// --- shapes ---

class HeadShapes {
 public:
  HeadShapes(const TowerTensors& weights, const VisionConfig& tower)
      : weights_(weights), check_(weights), tower_(tower) {}

  DetectorConfig read() {
    DetectorConfig c;
    c.patch = tower_.patch;
    up_sampling();
    pyramid(c);
    rpn(c);
    box_head(c);
    mask_head(c);
    check_.reject_others();
    const at::Tensor& tau =
        weights_.tensors.at("roi_head.bbox_head.detect_temperature");
    weights_.finite_check()("roi_head.bbox_head.detect_temperature", tau);
    c.temperature = tau.to(at::kDouble).item<double>();
    return c;
  }

 private:
  int64_t rows(const std::string& name, int64_t rank) const {
    return weights_.need(name, rank).size(0);
  }
  bool has(const std::string& name) const { return weights_.has(name); }

  void norm(const std::string& name, int64_t channels) {
    for (const char* part :
         {".weight", ".bias", ".running_mean", ".running_var"}) {
      check_.need(name + part, {channels});
    }
  }

  /// mmcv's ConvModule with a batch norm and, therefore, no bias.
  void normed_conv(const std::string& name,
                   int64_t out,
                   int64_t in,
                   int64_t side) {
    check_.need(name + ".conv.weight", {out, in, side, side});
    norm(name + ".bn", out);
  }

  /// Convolutions of 3 x 3 places with batch norms, called `name`N.
  void stack(const std::string& name, int64_t channels) {
    const int64_t count = weights_.count_blocks(name);
    for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
      normed_conv(name + std::to_string(i), channels, channels, 3);
    }
  }

  /// Linear layers called `name`N, all with `out` rows; the first has `in`
  /// columns.
  void linears(const std::string& name, int64_t out, int64_t in) {
    const int64_t count = weights_.count_blocks(name);
    for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
      check_.need_pair(name + std::to_string(i), {out, i == 0 ? in : out});
    }
  }

  void up_sampling() {
    const int64_t c = tower_.width;
    for (const char* name : {"backbone.interpolate1.0",
                             "backbone.interpolate1.3",
                             "backbone.interpolate2.0"}) {
      check_.need_pair(name, {c, c, 2, 2});
    }
    norm("backbone.interpolate1.1", c);
  }

  void pyramid(DetectorConfig& c) {
    c.channels = rows("neck.lateral_convs.0.conv.weight", 4);
    for (int64_t i = 0; i < kLevels; ++i) {
      const std::string n = std::to_string(i);
      normed_conv("neck.lateral_convs." + n, c.channels, tower_.width, 1);
      normed_conv("neck.fpn_convs." + n, c.channels, c.channels, 3);
    }
  }

  void rpn(DetectorConfig& c) {
    const std::string convs = "rpn_head.rpn_conv.";
    c.rpn_norm = has(convs + "0.bn.weight");
    const int64_t count = weights_.count_blocks(convs);
    for (int64_t i = 0; i < std::max<int64_t>(count, 1); ++i) {
      const std::string name = convs + std::to_string(i);
      if (c.rpn_norm) {
        normed_conv(name, c.channels, c.channels, 3);
      } else {
        check_.need_pair(name + ".conv", {c.channels, c.channels, 3, 3});
      }
    }
    check_.need_pair("rpn_head.rpn_cls", {kAnchors, c.channels, 1, 1});
    check_.need_pair("rpn_head.rpn_reg", {4 * kAnchors, c.channels, 1, 1});
  }

  void box_head(DetectorConfig& c) {
    const std::string head = "roi_head.bbox_head.";
    const at::Tensor& words = weights_.need(head + "all_embeddings", 2);
    c.embed_dim = words.size(0);
    c.classes = words.size(1) - 1;
    if (c.embed_dim != tower_.embed_dim || c.classes < 1) {
      weights_.reject(head + "all_embeddings",
                      "must have " + std::to_string(tower_.embed_dim) +
                          " rows, as the tower's features have channels, and "
                          "a column for a class and one for the background, "
                          "found shape " +
                          c10::str(words.sizes()));
    }
    check_.need(head + "all_embeddings", {c.embed_dim, c.classes + 1});
    if (weights_.has(head + "detect_temperature") &&
        weights_.tensors.at(head + "detect_temperature").numel() == 1) {
      check_.need(
          head + "detect_temperature",
          weights_.tensors.at(head + "detect_temperature").sizes().vec());
    } else {
      check_.need(head + "detect_temperature", {});
    }
    stack(head + "shared_convs.", c.channels);
    c.hidden = rows(head + "shared_fcs.0.weight", 2);
    linears(head + "shared_fcs.", c.hidden, c.channels * kBins * kBins);
    linears(head + "cls_fcs.", c.embed_dim, c.hidden);
    const int64_t of_boxes = rows(head + "reg_fcs.0.weight", 2);
    linears(head + "reg_fcs.", of_boxes, c.hidden);
    check_.need_pair(head + "fc_reg", {4, of_boxes});
    // The classic layer, which nothing asks.
    for (const char* part : {"fc_cls.weight", "fc_cls.bias"}) {
      const auto it = weights_.tensors.find(head + part);
      if (it == weights_.tensors.end()) continue;
      check_.allow(it->first, it->second.sizes().vec());
    }
  }

  void mask_head(DetectorConfig& c) {
    const std::string head = "roi_head.mask_head.";
    const auto first = weights_.tensors.lower_bound(head);
    c.masks = first != weights_.tensors.end() && first->first.starts_with(head);
    if (!c.masks) return;
    stack(head + "convs.", c.channels);
    const int64_t inner = weights_.need(head + "upsample.weight", 4).size(1);
    check_.need(head + "upsample.weight", {c.channels, inner, 2, 2});
    check_.need(head + "upsample.bias", {inner});
    check_.need_pair(head + "conv_logits", {1, inner, 1, 1});
  }

  const TowerTensors& weights_;
  ShapeChecker check_;
  const VisionConfig& tower_;
};

// --- what shapes do not tell ---

std::vector<std::string> texts(const Fields& fields, const std::string& name) {
  const Json* found = fields.find(name);
  if (found == nullptr) return {};
  std::vector<std::string> out;
  if (found->array() == nullptr) fields.reject(name, "a list of texts");
  for (const Json& item : *found->array()) {
    if (item.string() == nullptr) fields.reject(name, "a list of texts");
    out.push_back(*item.string());
  }
  return out;
}

void apply_metadata(const std::string& text,
                    const std::string& path,
                    int64_t depth,
                    DetectorConfig& c) {
  const std::string where = path + ": metadata " + in_quotes(kMetadata);
  const Json json = parse_json(text, where);
  const Fields fields(&json, where);
  c.side = fields.size("side", c.side);
  if (c.side % c.patch != 0) {
    fields.reject("side",
                  "a multiple of the patch, " + std::to_string(c.patch));
  }
  if (const Json* blocks = fields.find("blocks")) {
    const std::string expected =
        std::to_string(kLevels) + " blocks 0.." + std::to_string(depth - 1);
    const Json::Array* list = blocks->array();
    if (list == nullptr || list->size() != kLevels) {
      fields.reject("blocks", expected);
    }
    c.blocks.clear();
    for (const Json& block : *list) {
      const int64_t i = block.integer().value_or(-1);
      if (i < 0 || i >= depth) fields.reject("blocks", expected);
      c.blocks.push_back(i);
    }
  }
  if (const std::string* mode = fields.text("mode")) {
    try {
      c.mode = dense_mode_from(*mode);
    } catch (const Error& error) {
      fields.reject("mode", std::string("a dense mode (") + error.what() + ")");
    }
  }
  c.names = texts(fields, "classes");
  c.novel = texts(fields, "novel");
  c.alpha = fields.number("alpha");
  c.beta = fields.number("beta");
  c.vote_temperature = fields.number("voteTemperature");
}

/// Names that are not as many as the classes name nothing.
void check_names(DetectorConfig& c, std::vector<std::string>& notes) {
  if (!c.names.empty() && static_cast<int64_t>(c.names.size()) != c.classes) {
    notes.push_back("the file names " + std::to_string(c.names.size()) +
                    " classes and its heads have " + std::to_string(c.classes) +
                    ": names ignored");
    c.names.clear();
  }
  const std::set<std::string> known(c.names.begin(), c.names.end());
  const auto unknown = [&](const std::string& name) {
    return !known.contains(name);
  };
  const size_t before = c.novel.size();
  std::erase_if(c.novel, unknown);
  if (c.novel.size() != before) {
    notes.push_back("ignored " + std::to_string(before - c.novel.size()) +
                    " novel names that are none of the detector's classes");
  }
}

}  // namespace
}  // namespace detector_file

int64_t usual_detector_side(const DetectorConfig& config) {
  using namespace detector_file;
  const bool lvis = config.masks || config.rpn_norm;
  const int64_t side = config.patch == kLargePatch ? kLargeSide
                       : lvis                      ? kLvisSide
                                                   : kCocoSide;
  return std::max<int64_t>(1, (side + config.patch / 2) / config.patch) *
         config.patch;
}

std::vector<int64_t> usual_detector_blocks(int64_t depth) {
  if (depth == 12) return {3, 5, 7, 11};
  if (depth == 24) return {6, 10, 14, 23};
  std::vector<int64_t> blocks{
      (depth + 2) / 3 - 1, (depth + 1) / 2 - 1, depth - 2, depth - 1};
  for (int64_t& block : blocks) block = std::max<int64_t>(block, 0);
  return blocks;
}

void read_detector(const CheckpointSource& source, Checkpoint& out) {
  using namespace detector_file;
  std::map<std::string, at::Tensor> all;
  TowerTensors weights{source.weights.path, {}, "", {}, {}};
  for (const auto& [key, tensor] : source.weights.unused) {
    if (!is_of_heads(key)) continue;
    all.emplace(key, tensor);
    if (!key.ends_with(kTracked)) weights.tensors.emplace(key, tensor);
  }
  if (all.empty()) return;
  auto file = std::make_shared<DetectorFile>();
  const VisionConfig& tower = out.config.vision;
  try {
    DetectorConfig config = HeadShapes(weights, tower).read();
    config.side = usual_detector_side(config);
    config.blocks = usual_detector_blocks(tower.layers);
    config.names = source.files.class_names;
    if (source.files.detector) {
      apply_metadata(
          *source.files.detector, source.weights.path, tower.layers, config);
    }
    check_names(config, out.notes);
    file->config = std::move(config);
  } catch (const Error& error) {
    out.detector_fault = error.what();
    out.notes.push_back("no detector: its heads are not whole, or not F-ViT's");
    return;
  }
  file->check_finite = weights.finite_check();
  for (const auto& [key, tensor] : all) source.weights.unused.erase(key);
  file->tensors = std::move(all);
  file->make = make_f_vit;
  out.detector = std::move(file);
}

}  // namespace declip
