// F-ViT's heads as files have them: what is read, noted, and refused.

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "files/torch_archive.h"
#include "golden.h"
#include "random_detector.h"
#include "tap.h"

using declip::Checkpoint;
using declip::DetectorConfig;
using declip::ErrorCode;
using declip::Json;

namespace {

using HeadTensors = std::map<std::string, at::Tensor>;

const Golden& heads_golden() {
  static const Golden golden("fvit");
  return golden;
}

/// Names of the golden's two detectors.
const std::vector<std::string> kDetectors{"coco", "lvis"};

std::string heads_path(const std::string& name) {
  return heads_golden().path(name + "-fvit.pth");
}

const Json& heads_config(const std::string& name) {
  return *heads_golden().at(name + ".backbone").find("config");
}

std::vector<std::string> texts_of(const Json& list) {
  std::vector<std::string> out;
  for (const Json& item : *list.array()) out.push_back(*item.string());
  return out;
}

/// A file with what `change` makes of a golden detector's tensors.
Checkpoint changed(const files::TempFolder& temp,
                   const std::string& name,
                   const std::function<void(HeadTensors&)>& change,
                   const std::map<std::string, std::string>& metadata = {}) {
  HeadTensors tensors = declip::read_torch_archive(heads_path(name)).tensors;
  change(tensors);
  const std::string path = temp.file("model.safetensors");
  declip::write_safetensors(path, tensors, metadata);
  return declip::load_checkpoint(path);
}

}  // namespace

TEST(detector_file_tells_the_golden_configurations) {
  for (const std::string& name : kDetectors) {
    const tap::Case in(name);
    const Checkpoint file = declip::load_checkpoint(heads_path(name));
    const Json& told = heads_config(name);
    CHECK(file.detector_fault.empty());
    CHECK(file.detector != nullptr);
    if (file.detector == nullptr) continue;
    const DetectorConfig& c = file.detector->config;
    CHECK(c.channels == *told.find("fpn_channels")->integer());
    CHECK(c.embed_dim == *told.find("embed_dim")->integer());
    CHECK(c.hidden == *told.find("box_fc")->integer());
    CHECK(c.patch == *told.find("patch")->integer());
    CHECK(c.masks == *told.find("mask_head")->boolean());
    CHECK(c.rpn_norm == !told.find("rpn_norm")->is_null());
    CHECK_CLOSE(c.temperature, *told.find("tau_det")->number(), 1e-3);
    const auto classes = texts_of(*told.find("classes"));
    CHECK(c.names == classes);
    CHECK(c.classes == static_cast<int64_t>(classes.size()));
    std::vector<int64_t> blocks;
    for (const Json& block : *told.find("taken_blocks")->array()) {
      blocks.push_back(*block.integer());
    }
    CHECK(c.blocks == blocks);
    const auto strides = c.strides();
    const auto& expected = *told.find("rpn_strides")->array();
    CHECK(strides.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK_CLOSE(strides[i], *expected[i].number(), 0);
    }
    // nothing is left that nobody reads
    CHECK(file.others.empty());
    CHECK(file.detector->tensors.contains("roi_head.bbox_head.fc_cls.weight"));
    CHECK(declip::describe(file).detector.has_value());
  }
}

TEST(detector_file_metadata_wins) {
  const files::TempFolder temp;
  const std::string name = kDetectors[0];
  const int64_t patch = *heads_config(name).find("patch")->integer();
  auto classes = texts_of(*heads_config(name).find("classes"));
  std::string list;
  for (const auto& one : classes)
    list += (list.empty() ? "\"" : ",\"") + one + "\"";
  const std::string side = std::to_string(5 * patch);
  const auto nothing = [](HeadTensors&) {};
  const Checkpoint file =
      changed(temp,
              name,
              nothing,
              {{"declip.detector",
                "{\"side\":" + side +
                    ",\"blocks\":[0,1,1,2],\"mode\":\"qq\",\"classes\":[" +
                    list + "],\"novel\":[\"" + classes[1] +
                    "\",\"no such\"],\"alpha\":0.25,\"beta\":0.5,"
                    "\"voteTemperature\":45}"}});
  CHECK(file.detector != nullptr);
  const DetectorConfig& c = file.detector->config;
  CHECK(c.side == 5 * patch);
  CHECK((c.blocks == std::vector<int64_t>{0, 1, 1, 2}));
  CHECK(c.mode == declip::DenseMode::kQq);
  CHECK(c.names == classes);
  CHECK((c.novel == std::vector<std::string>{classes[1]}));
  CHECK_CLOSE(c.alpha.value_or(-1), 0.25, 0);
  CHECK_CLOSE(c.beta.value_or(-1), 0.5, 0);
  CHECK_CLOSE(c.vote_temperature.value_or(-1), 45, 0);

  // without it: sizes of the released configurations, no names
  const Checkpoint plain = changed(temp, name, nothing);
  CHECK(plain.detector->config.names.empty());
  CHECK(plain.detector->config.side % patch == 0);
  CHECK(!plain.detector->config.alpha);

  for (const char* wrong : {"{\"side\":17}",
                            "{\"blocks\":[0,1,2]}",
                            "{\"blocks\":[0,1,2,99]}",
                            "{\"mode\":\"no such\"}",
                            "{\"classes\":[1]}",
                            "{\"classes\":"}) {
    const tap::Case in(wrong);
    const Checkpoint bad =
        changed(temp, name, nothing, {{"declip.detector", wrong}});
    CHECK(bad.detector == nullptr);
    CHECK(files::contains(bad.detector_fault, "declip.detector"));
  }
  const Checkpoint few = changed(
      temp, name, nothing, {{"declip.detector", "{\"classes\":[\"one\"]}"}});
  CHECK(few.detector != nullptr && few.detector->config.names.empty());
}

TEST(detector_file_heads_that_are_not_whole_leave_a_tower) {
  const files::TempFolder temp;
  for (const std::string& name : kDetectors) {
    const Checkpoint whole = declip::load_checkpoint(heads_path(name));
    for (const auto& [key, tensor] : whole.detector->tensors) {
      if (key.ends_with("num_batches_tracked") ||
          key.find("fc_cls") != std::string::npos) {
        continue;
      }
      const tap::Case in(name + " without " + key);
      const Checkpoint part =
          changed(temp, name, [&](HeadTensors& t) { t.erase(key); });
      // Some tell what the heads have at all.
      if (part.detector != nullptr) {
        tap::fail(__FILE__, __LINE__, "taken for whole");
      }
      CHECK(!part.detector_fault.empty());
      CHECK(part.tensors.size() == whole.tensors.size());
    }
    const Checkpoint wrong = changed(temp, name, [&](HeadTensors& t) {
      auto& bias = t.at("rpn_head.rpn_cls.bias");
      bias = at::cat({bias, bias});
    });
    CHECK(files::contains(wrong.detector_fault, "rpn_head.rpn_cls.bias"));
    bool told = false;
    for (const auto& note : wrong.notes) {
      told = told || files::contains(note, "no detector");
    }
    CHECK(told);
    const Checkpoint more = changed(temp, name, [&](HeadTensors& t) {
      t["roi_head.bbox_head.bg_embedding.weight"] = at::zeros({2});
    });
    CHECK(files::contains(more.detector_fault, "bg_embedding"));
    const Checkpoint other = changed(temp, name, [&](HeadTensors& t) {
      auto& words = t.at("roi_head.bbox_head.all_embeddings");
      words = at::cat({words, words}, 0);
    });
    CHECK(files::contains(other.detector_fault, "all_embeddings"));
    const Checkpoint nan = changed(temp, name, [&](HeadTensors& t) {
      t["roi_head.bbox_head.detect_temperature"] =
          at::scalar_tensor(NAN, at::kFloat);
    });
    CHECK(files::contains(nan.detector_fault, "detect_temperature"));
  }
}

TEST(detector_file_heads_without_a_tower_are_refused) {
  const files::TempFolder temp;
  const std::string message = CHECK_THROWS_CODE(
      changed(temp,
              kDetectors[0],
              [](HeadTensors& t) {
                std::erase_if(t, [](const auto& named) {
                  return named.first.starts_with("backbone.visual.");
                });
              }),
      ErrorCode::kWeights);
  CHECK(files::contains(message, "without the ViT"));
}

TEST(detector_file_may_have_a_text_tower) {
  at::manual_seed(23);
  const std::string whole_path =
      files::fixture("eva-tiny/eva-tiny.safetensors");
  const Checkpoint whole = declip::load_checkpoint(whole_path);
  CHECK(whole.config.text.has_value());
  random_detector::Sizes z;
  z.width = whole.config.vision.width;
  z.embed_dim = whole.config.vision.embed_dim;
  auto tensors = random_detector::heads(z);
  for (const auto& [name, tensor] : whole.tensors) {
    tensors[name.starts_with("visual.") ? "backbone." + name : name] = tensor;
  }
  const files::TempFolder temp;
  const std::string path = temp.file("detector.safetensors");
  declip::write_safetensors(path, tensors);
  const Checkpoint file = declip::load_checkpoint(path);
  CHECK(file.format == "detector");
  CHECK(file.detector != nullptr);
  CHECK(file.tensors.size() == whole.tensors.size());
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "float32";
  const auto a = declip::Model::load(whole_path, options, {});
  const auto b = declip::Model::load(path, options, {});
  const auto tokens = at::ones({1, whole.config.text->context}, at::kLong);
  CHECK(
      a->encode_text(tokens, true, {}).equal(b->encode_text(tokens, true, {})));
}
