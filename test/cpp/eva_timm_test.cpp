// EVA02-CLIP in timm's names, in open_clip's folders and alone.

#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/eva.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::ErrorCode;
using declip::load_checkpoint;
using declip::write_safetensors;
using files::contains;
using tensor_maps::Tensors;

namespace {

const std::string kEvaFolder = files::fixture("families/eva02-open_clip/");
constexpr std::string_view kEvaTrunk = "visual.trunk.";

Tensors whole_eva() {
  return declip::read_safetensors(kEvaFolder + "open_clip_model.safetensors")
      .tensors;
}

/// The image tower, as timm keeps it alone.
Tensors eva_tower_alone() {
  Tensors out;
  for (const auto& [name, tensor] : whole_eva()) {
    if (name.starts_with(kEvaTrunk))
      out[name.substr(kEvaTrunk.size())] = tensor;
  }
  return out;
}

declip::ConfigOverrides eva_heads_of(int64_t width) {
  declip::ConfigOverrides out;
  out.head_width = width;
  return out;
}

}  // namespace

TEST(eva_timm_layouts_hold_the_same_tower) {
  const files::TempFolder temp;
  const auto folder = load_checkpoint(kEvaFolder, eva_heads_of(32));
  CHECK(folder.config.family == &declip::families::eva);
  CHECK(folder.format == "open_clip" && folder.config.text);
  CHECK(folder.config.text->activation == declip::Activation::kGelu);
  CHECK_CLOSE(folder.config.vision.layer_norm_eps, 1e-6, 0);
  const std::string path = temp.file("model.safetensors");
  write_safetensors(path, eva_tower_alone());
  const auto alone = load_checkpoint(path, eva_heads_of(32));
  CHECK(alone.config.family == &declip::families::eva);
  CHECK(alone.format == "timm" && !alone.config.text);
  for (const auto& [name, tensor] : alone.tensors) {
    CHECK(at::equal(folder.tensors.at(name), tensor));
  }
  CHECK_CLOSE(alone.config.pixels.mean[0], 0.48145466, 0);
}

TEST(eva_timm_every_missing_or_wrong_tensor_is_named) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto failure = [&](const Tensors& tensors) {
    write_safetensors(path, tensors);
    return CHECK_THROWS_CODE(load_checkpoint(path, eva_heads_of(32)),
                             ErrorCode::kWeights);
  };
  for (const auto& all : {whole_eva(), eva_tower_alone()}) {
    for (const auto& [name, tensor] : all) {
      Tensors changed = all;
      changed.erase(name);
      const auto missing = failure(changed);
      if (!contains(missing, '"' + name + '"')) {
        tap::fail(__FILE__, __LINE__, "without " + name + ": " + missing);
      }
      changed[name] = tensor.to(at::kInt);
      failure(changed);
    }
  }
  auto extra = eva_tower_alone();
  extra["blocks.0.attn.k_proj.bias"] = at::zeros({64}, at::kHalf);
  CHECK(contains(failure(extra), "k_proj.bias"));
  extra = eva_tower_alone();
  extra["fc_norm.weight"] = at::zeros({64}, at::kHalf);
  CHECK(contains(failure(extra), "fc_norm"));
}

TEST(eva_timm_configurations) {
  const files::TempFolder temp;
  write_safetensors(temp.file("open_clip_model.safetensors"), whole_eva());
  const auto refused = [&](const std::string& file,
                           const std::string& json,
                           const char* part) {
    temp.write(file, json);
    const auto message = CHECK_THROWS_CODE(
        load_checkpoint(temp.path(), eva_heads_of(32)), ErrorCode::kWeights);
    if (!contains(message, part)) {
      tap::fail(__FILE__, __LINE__, json + ": " + message);
    }
  };
  const auto open_clip = [](const std::string& vision,
                            const std::string& model = "") {
    return R"({"model_cfg": {"vision_cfg": {"timm_model_name":
            "eva02_base_patch16_clip_224", )" +
           vision + "}" + model + "}}";
  };
  const std::string file = "open_clip_config.json";
  refused(file, open_clip(R"("timm_pool": "avg")"), "timm_pool");
  refused(file, open_clip(R"("image_size": 64)"), "\"avg\"");
  refused(file,
          open_clip(R"("timm_pool": "token", "of_tomorrow": 1)"),
          "of_tomorrow");
  // open_clip's own LayerNorm settings do not reach the tower; its activation
  // reaches the text alone
  temp.write(file,
             open_clip(R"("timm_pool": "token", "norm_kwargs": {"eps": 0.1})",
                       R"(, "quick_gelu": true)"));
  const auto read = load_checkpoint(temp.path(), eva_heads_of(32)).config;
  CHECK_CLOSE(read.vision.layer_norm_eps, 1e-6, 0);
  CHECK(read.text->activation == declip::Activation::kQuickGelu);

  std::filesystem::remove(temp.file("open_clip_model.safetensors"));
  std::filesystem::remove(temp.file(file));
  write_safetensors(temp.file("model.safetensors"), eva_tower_alone());
  refused("config.json",
          R"({"architecture": "eva02_base_patch16_clip_224",
              "global_pool": "avg"})",
          "global_pool");
  temp.write("config.json",
             R"({"architecture": "eva02_base_patch16_clip_224",
                 "num_classes": 512, "global_pool": "token",
                 "pretrained_cfg": {"tag": "merged2b",
                   "input_size": [3, 64, 64], "interpolation": "bicubic",
                   "crop_pct": 0.5, "crop_mode": "center",
                   "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}})");
  const auto timm = load_checkpoint(temp.path(), eva_heads_of(32)).config;
  CHECK_CLOSE(timm.pixels.mean[2], 0.3, 0);
  CHECK(timm.preprocess.side == 128 && timm.preprocess.crop_side == 64);
  CHECK(timm.preprocess.bicubic && timm.preprocess.crop);
}

TEST(eva_timm_tower_as_open_clip_has_it) {
  const Golden golden("families");
  const auto image = golden.image("eva02-native");
  for (const bool eager : {false, true}) {
    declip::LoadOptions options;
    options.device = "cpu";
    options.overrides =
        eva_heads_of(static_cast<int64_t>(*golden.at("eva02-native")
                                               .find("config")
                                               ->find("head_width")
                                               ->integer()));
    options.eager = eager;
    const auto model = declip::Model::load(kEvaFolder, options, {});
    golden.compare("eva02-native",
                   "image_embedding",
                   model->encode_image(image, {.normalize = false}, {}));
    for (const auto& [mode, output] :
         {std::pair(declip::DenseMode::kQq, "dense-qq"),
          std::pair(declip::DenseMode::kCsa, "dense-csa"),
          std::pair(declip::DenseMode::kMaskClip, "dense-maskclip")}) {
      declip::DenseOptions dense;
      dense.mode = mode;
      golden.compare(
          "eva02-native", output, model->encode_dense(image, dense, false, {}));
    }
  }
}
