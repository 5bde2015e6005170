// open_clip's CLIP with timm's plain ViT: the same tower under other names.

#include <ATen/ATen.h>

#include <array>
#include <map>
#include <string>
#include <utility>

#include "checkpoint/key_map.h"
#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "random_planes.h"
#include "tap.h"

using declip::ErrorCode;
using declip::KeyRule;
using declip::load_checkpoint;
using declip::write_safetensors;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

/// From open_clip's names to timm's.
constexpr std::array kRenamed{
    KeyRule{"visual.class_embedding", "visual.trunk.cls_token"},
    KeyRule{"visual.positional_embedding", "visual.trunk.pos_embed"},
    KeyRule{"visual.conv1.weight", "visual.trunk.patch_embed.proj.weight"},
    KeyRule{"visual.ln_pre.*", "visual.trunk.norm_pre.*"},
    KeyRule{"visual.transformer.resblocks.#.ln_1.*",
            "visual.trunk.blocks.#.norm1.*"},
    KeyRule{"visual.transformer.resblocks.#.attn.in_proj_*",
            "visual.trunk.blocks.#.attn.qkv.*"},
    KeyRule{"visual.transformer.resblocks.#.attn.out_proj.*",
            "visual.trunk.blocks.#.attn.proj.*"},
    KeyRule{"visual.transformer.resblocks.#.ln_2.*",
            "visual.trunk.blocks.#.norm2.*"},
    KeyRule{"visual.transformer.resblocks.#.mlp.c_fc.*",
            "visual.trunk.blocks.#.mlp.fc1.*"},
    KeyRule{"visual.transformer.resblocks.#.mlp.c_proj.*",
            "visual.trunk.blocks.#.mlp.fc2.*"},
    KeyRule{"visual.ln_post.*", "visual.trunk.norm.*"},
    KeyRule{"logit_scale", "logit_scale"},
    KeyRule{"*", "text.*"},
};

Tensors as_timm(const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) {
    if (name == "visual.proj") {
      out.emplace("visual.trunk.head.weight", tensor.t().contiguous());
      continue;
    }
    for (const KeyRule& rule : kRenamed) {
      const auto parts = declip::match_key(rule.source, name);
      if (!parts) continue;
      const bool batch = name == "visual.class_embedding" ||
                         name == "visual.positional_embedding";
      auto value = batch ? tensor.unsqueeze(0) : tensor;
      if (value.dim() < 3 && batch) value = value.unsqueeze(0);
      out.emplace(declip::fill_key(rule.internal, *parts), value.contiguous());
      break;
    }
  }
  return out;
}

std::string timm_json(const std::string& vision, const std::string& text = "") {
  return R"({"model_cfg": {"embed_dim": 32, "custom_text": true,
      "vision_cfg": {"image_size": 64, )" +
         vision + R"(}, "text_cfg": {"heads": 1)" + text + "}}}";
}

std::shared_ptr<const declip::Model> timm_or_plain(const std::string& path) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "float32";
  return declip::Model::load(path, options, {});
}

}  // namespace

TEST(timm_plain_towers_are_open_clips_under_other_names) {
  Random random;
  const auto original =
      declip::read_safetensors(
          files::fixture("clip-formats/open_clip.safetensors"))
          .tensors;
  const files::TempFolder one, other;
  write_safetensors(one.file("open_clip_model.safetensors"), original);
  auto renamed = as_timm(original);
  const auto bias = random.tensor({32});
  renamed.emplace("visual.trunk.head.bias", bias);
  const auto path = other.file("open_clip_model.safetensors");
  write_safetensors(path, renamed);
  const auto image = random.tensor({2, 3, 64, 64});
  const auto wide = random.tensor({1, 3, 48, 80});
  for (const bool quick : {false, true}) {
    one.write("open_clip_config.json",
              std::string(R"({"model_cfg": {"quick_gelu": )") +
                  (quick ? "true" : "false") +
                  R"(, "vision_cfg": {"image_size": 64, "head_width": 64},
                      "text_cfg": {"heads": 1}}})");
    other.write("open_clip_config.json",
                timm_json(quick ? R"("timm_model_name":
                                  "vit_base_patch16_clip_quickgelu_224",
                                  "timm_pool": "token", "timm_proj": null)"
                                : R"("timm_model_name":
                                  "vit_large_patch14_clip_224",
                                  "timm_pool": "token", "timm_proj": null)",
                          R"(, "no_causal_mask": true)"));
    const auto plain = timm_or_plain(one.path()),
               timm = timm_or_plain(other.path());
    CHECK(timm->info().format == "open_clip");
    CHECK(timm->info().family == "clip");
    CHECK(!timm->info().config.text->causal);
    CHECK(timm->info().config.vision.activation ==
          (quick ? declip::Activation::kQuickGelu : declip::Activation::kGelu));
    declip::ImageOptions raw;
    raw.normalize = false;
    for (const auto& picture : {image, wide}) {
      CHECK_CLOSE(distance(timm->encode_image(picture, raw, {}),
                           plain->encode_image(picture, raw, {}) + bias),
                  0,
                  1e-5);
      CHECK_CLOSE(distance(timm->encode_dense(picture, {}, false, {}),
                           plain->encode_dense(picture, {}, false, {}) +
                               bias.view({1, 32, 1, 1})),
                  0,
                  1e-5);
    }
  }
  const auto read = [&](const std::string& vision) {
    other.write("open_clip_config.json", timm_json(vision));
    return load_checkpoint(path);
  };
  // timm's towers never have QuickGELU because of open_clip's field.
  other.write("open_clip_config.json",
              R"({"model_cfg": {"quick_gelu": true, "vision_cfg": {
                  "timm_model_name": "vit_base_patch16_clip_224",
                  "timm_pool": "token", "timm_proj": null}}})");
  auto c = load_checkpoint(path);
  CHECK(c.config.vision.activation == declip::Activation::kGelu);
  CHECK(c.config.text->activation == declip::Activation::kQuickGelu);

  const auto refused = [&](const std::string& vision, const std::string& part) {
    const auto message = CHECK_THROWS_CODE(read(vision), ErrorCode::kWeights);
    if (!files::contains(message, part)) {
      tap::fail(__FILE__, __LINE__, "no " + part + " in: " + message);
    }
  };
  const std::string name = R"("timm_model_name": "vit_base_patch16_clip_224")";
  refused(R"("timm_model_name": "vit_base_patch16_rope_reg1_gap_256")",
          "\"timm_model_name\" is \"vit_base_patch16_rope");
  refused(name + R"(, "timm_pool": "map", "timm_proj": null)",
          "\"timm_pool\" is \"map\"");
  refused(name + R"(, "timm_pool": "token", "timm_proj": "mlp")",
          "\"timm_proj\" is \"mlp\"");

  // The mean of the patches has a norm of its own behind it, if there is one.
  c = read(name + R"(, "timm_pool": "avg", "timm_proj": null)");
  CHECK(c.config.vision.mean_of_patches && !c.config.vision.norm_after_mean);
  renamed.emplace("visual.trunk.fc_norm.weight",
                  renamed.extract("visual.trunk.norm.weight").mapped());
  renamed.emplace("visual.trunk.fc_norm.bias",
                  renamed.extract("visual.trunk.norm.bias").mapped());
  renamed.emplace("visual.head.proj.weight",
                  renamed.extract("visual.trunk.head.weight").mapped());
  renamed.erase("visual.trunk.head.bias");
  write_safetensors(path, renamed);
  c = read(name);  // timm_pool "avg" and timm_proj "linear"
  CHECK(c.config.vision.mean_of_patches && c.config.vision.norm_after_mean);
  CHECK(c.tensors.at("visual.proj").equal(original.at("visual.proj")));
}

TEST(timm_clip_towers_alone_are_read_as_clips) {
  Random random;
  const auto original =
      declip::read_safetensors(
          files::fixture("clip-formats/open_clip.safetensors"))
          .tensors;
  const files::TempFolder one, other;
  write_safetensors(one.file("open_clip_model.safetensors"), original);
  one.write("open_clip_config.json",
            R"({"model_cfg": {"vision_cfg": {"head_width": 64},
                "text_cfg": {"heads": 1}}})");
  Tensors tower;
  const std::string trunk = "visual.trunk.";
  for (const auto& [name, tensor] : as_timm(original)) {
    if (name.starts_with(trunk))
      tower.emplace(name.substr(trunk.size()), tensor);
  }
  const auto path = other.file("model.safetensors");
  write_safetensors(path, tower);
  const auto configured = [&](const std::string& rest) {
    other.write("config.json",
                R"({"architecture": "vit_base_patch16_clip_224")" + rest + "}");
    return load_checkpoint(path);
  };
  auto c = configured(
      R"(, "global_pool": "token", "pretrained_cfg": {"tag": "openai",
          "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})");
  CHECK(c.format == "timm" && !c.config.text);
  CHECK(c.config.pixels.mean[0] == 0.5);
  CHECK(c.config.vision.activation == declip::Activation::kGelu);
  const auto image = random.tensor({2, 3, 48, 80});
  const auto timm = timm_or_plain(other.path()),
             plain = timm_or_plain(one.path());
  CHECK(timm->info().family == "clip");
  CHECK_CLOSE(distance(timm->encode_image(image, {}, {}),
                       plain->encode_image(image, {}, {})),
              0,
              1e-6);
  CHECK_CLOSE(distance(timm->encode_dense(image, {}, true, {}),
                       plain->encode_dense(image, {}, true, {})),
              0,
              1e-6);

  const auto refused = [&](const std::string& rest, const std::string& part) {
    const auto message =
        CHECK_THROWS_CODE(configured(rest), ErrorCode::kWeights);
    if (!files::contains(message, part)) {
      tap::fail(__FILE__, __LINE__, "no " + part + " in: " + message);
    }
  };
  refused(R"(, "pretrained_cfg": {"tag": "openai_ft_in1k"})",
          "\"tag\" is \"openai_ft_in1k\"");
  refused(R"(, "global_pool": "avg")", "\"global_pool\" is \"avg\"");
  tower.erase("head.weight");
  write_safetensors(path, tower);
  c = configured("");
  CHECK(!c.notes.empty() && files::contains(c.notes[0], "projection"));
  CHECK(c.config.vision.embed_dim == c.config.vision.width);
}
