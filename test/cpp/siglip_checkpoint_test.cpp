// SigLIP's files: every layout's names, what configurations say and leave out,
// and what is refused by name.

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/siglip.h"
#include "families/timm_siglip.h"
#include "golden.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::Activation;
using declip::Checkpoint;
using declip::ErrorCode;
using declip::load_checkpoint;
using declip::TokenizerKind;
using files::contains;
using tensor_maps::Tensors;

namespace {

const std::string kFolder = "families/siglip-hf";

Tensors weights_of(const std::string& folder, const std::string& file) {
  return declip::read_safetensors(files::fixture(folder + "/" + file)).tensors;
}
Tensors transformers() { return weights_of(kFolder, "model.safetensors"); }

/// A folder with these tensors and transformers' configuration.
struct Folder {
  files::TempFolder temp;
  std::string config = files::read(files::fixture(kFolder + "/config.json"));

  explicit Folder(const Tensors& tensors) { put(tensors); }
  void put(const Tensors& tensors) const {
    declip::write_safetensors(temp.file("model.safetensors"), tensors);
    temp.write("config.json", config);
  }
  /// The configuration with `field` at the beginning of an object.
  void with(const std::string& object, const std::string& field) const {
    auto text = config;
    const size_t at = object.empty() ? 0 : text.find('"' + object + '"');
    text.insert(text.find('{', at) + 1, field + ",");
    temp.write("config.json", text);
  }
};

void refused(const std::string& path, const std::vector<std::string>& parts) {
  const auto message =
      CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
  for (const auto& part : parts) {
    if (!contains(message, part))
      tap::fail(__FILE__, __LINE__, "no " + part + " in: " + message);
  }
}

/// The image tower's tensors, without what `prefix` names.
Tensors tower_alone(const std::string& prefix) {
  Tensors out;
  for (const auto& [name, tensor] : transformers()) {
    if (!name.starts_with("vision_model.")) continue;
    out.emplace(prefix + name.substr(13), tensor);
  }
  return out;
}

bool same_towers(const Tensors& a, const Tensors& b) {
  for (const auto& [name, tensor] : a) {
    if (!name.starts_with("visual.")) continue;
    const auto other = b.find(name);
    if (other == b.end() || !at::equal(tensor, other->second)) return false;
  }
  return true;
}

}  // namespace

TEST(siglip_checkpoint_of_transformers) {
  const auto c = load_checkpoint(files::fixture(kFolder));
  const auto weights = transformers();
  CHECK(c.config.family == &declip::families::siglip);
  CHECK(c.format == "huggingface");
  CHECK(c.tokenizer == TokenizerKind::kSiglip);
  CHECK(c.config.text->fill_token == 1);
  CHECK(!c.config.vision.class_token);
  CHECK(c.config.vision.activation == Activation::kGeluTanh);
  CHECK(c.config.pooling_head->heads == c.config.vision.heads);
  CHECK(c.config.pooling_head->activation == Activation::kGeluTanh);
  CHECK(c.config.text->pool == declip::TextPool::kLast);
  CHECK(!c.config.text->causal && c.config.text->pad_token == -1);
  CHECK(c.config.preprocess.resize == declip::Preprocess::Resize::kSquash);
  CHECK(c.config.preprocess.bicubic && !c.config.preprocess.crop);
  CHECK(c.notes.empty());
  CHECK(c.tensors.at("logit_bias").dim() == 0);
  CHECK(declip::describe(c).logit_bias.has_value());
  CHECK(at::equal(c.tensors.at("visual.attn_pool.probe"),
                  weights.at("vision_model.head.probe")));

  const auto two = load_checkpoint(files::fixture("families/siglip2-hf"));
  CHECK(two.tokenizer == TokenizerKind::kSiglip2);
  CHECK(two.config.text->fill_token == 0);
  CHECK(!two.config.preprocess.bicubic);
  CHECK(two.config.text->embed_dim == two.config.vision.width);
}

TEST(siglip_checkpoint_of_an_image_tower_alone) {
  const auto whole = load_checkpoint(files::fixture(kFolder));
  const std::string vision = R"({"model_type": "siglip_vision_model",
      "hidden_size": 144, "intermediate_size": 96, "num_hidden_layers": 2,
      "num_attention_heads": 2, "image_size": 90, "patch_size": 14})";
  for (const char* prefix : {"vision_model.", ""}) {
    Folder folder(tower_alone(prefix));
    folder.temp.write("config.json", vision);
    const auto c = load_checkpoint(folder.temp.path());
    CHECK(c.config.family == &declip::families::siglip);
    CHECK(!c.config.text);
    CHECK(c.tokenizer == TokenizerKind::kNone);
    CHECK(same_towers(whole.tensors, c.tensors));
    // Texts are refused, pictures are not.
    declip::LoadOptions options;
    options.device = "cpu";
    const auto model = declip::Model::load(folder.temp.path(), options, {});
    const auto& v = c.config.vision;
    const auto image = at::zeros({1, 3, v.image_size, v.image_size});
    CHECK(model->encode_image(image, {}, {}).size(1) == v.width);
    const auto message = CHECK_THROWS_CODE(
        model->encode_text(at::ones({1, 64}, at::kLong), true, {}),
        ErrorCode::kWeights);
    CHECK(contains(message, "vision tower only"));
  }
}

TEST(siglip_checkpoint_without_a_configuration_is_told_by_its_tensors) {
  Folder folder(transformers());
  std::filesystem::remove(folder.temp.file("config.json"));
  // 144 channels are no multiple of 64
  refused(folder.temp.path(), {"width 144", "config.headWidth"});
  declip::ConfigOverrides overrides;
  overrides.head_width = 72;
  overrides.text_heads = 2;
  const auto c = load_checkpoint(folder.temp.path(), overrides);
  const auto told = load_checkpoint(files::fixture(kFolder));
  CHECK(c.config.vision.heads == 2 && c.config.text->heads == 2);
  CHECK(c.config.vision.grid == told.config.vision.grid);
  CHECK(c.config.vision.activation == Activation::kGeluTanh);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-6, 0);
  CHECK(c.notes.size() == 1 && contains(c.notes[0], "no config.json"));
  // The caller's word on activations and norms counts for the head too.
  overrides.activation = Activation::kGelu;
  overrides.layer_norm_eps = 1e-5;
  const auto other = load_checkpoint(folder.temp.path(), overrides).config;
  CHECK(other.pooling_head->activation == Activation::kGelu);
  CHECK_CLOSE(other.vision.layer_norm_eps, 1e-5, 0);
}

TEST(siglip_checkpoint_defaults_are_transformers) {
  // The fixture's own sizes with the rest left out are not the defaults.
  Folder folder(transformers());
  folder.temp.write("config.json", R"({"model_type": "siglip"})");
  refused(
      folder.temp.path(),
      {"vision_model.embeddings.patch_embedding.weight", "[768, 3, 16, 16]"});
  folder.temp.write("config.json",
                    R"({"model_type": "siglip", "vision_config": {
      "hidden_size": 144, "intermediate_size": 96, "num_hidden_layers": 2,
      "image_size": 90, "patch_size": 14}})");
  refused(folder.temp.path(), {"text_model.head.weight", "found 768"});
}

TEST(siglip_checkpoint_fields_are_read_or_refused_by_name) {
  Folder folder(transformers());
  const auto path = folder.temp.path();
  folder.with("vision_config", R"("num_channels": 4)");
  refused(path, {"\"vision_config\"", "\"num_channels\" is 4"});
  folder.with("vision_config", R"("vision_use_head": false)");
  refused(path, {"\"vision_use_head\" is false"});
  folder.with("vision_config", R"("hidden_act": "silu")");
  refused(path, {"\"hidden_act\"", "gelu_pytorch_tanh"});
  folder.with("text_config", R"("model_type_": 1)");
  CHECK(load_checkpoint(path).notes.size() == 1);
  folder.with("text_config", R"("bos_token_id": 49406, "eos_token_id": 49407)");
  CHECK(load_checkpoint(path).notes.empty());
  folder.with("text_config", R"("hidden_act": "gelu")");
  CHECK(load_checkpoint(path).config.text->activation == Activation::kGelu);
  folder.with("vision_config", R"("layer_norm_eps": 1e-5)");
  CHECK_CLOSE(load_checkpoint(path).config.vision.layer_norm_eps, 1e-5, 0);
  folder.with("text_config", R"("projection_size": 100)");
  refused(path, {"text_model.head.weight"});
  auto other = folder.config;
  other.replace(other.find("\"siglip\""), 8, "\"siglip3\"");
  folder.temp.write("config.json", other);
  refused(path, {"\"model_type\" is \"siglip3\""});
}

TEST(siglip_checkpoint_without_a_text_head) {
  auto tensors = transformers();
  Folder folder(tensors);
  // Denied by the configuration, the head takes no part.
  folder.with("text_config", R"("no_head": true)");
  auto c = load_checkpoint(folder.temp.path());
  CHECK(!c.tensors.contains("text.text_projection"));
  CHECK(!c.tensors.contains("text.text_projection_bias"));
  CHECK(c.notes.size() == 1 && contains(c.notes[0], "no_head"));
  tensors.erase("text_model.head.weight");
  tensors.erase("text_model.head.bias");
  folder.put(tensors);
  c = load_checkpoint(folder.temp.path());
  CHECK(c.config.text->embed_dim == c.config.text->width);
  CHECK(c.notes.empty());
}

TEST(siglip_checkpoint_that_is_damaged_names_the_tensor) {
  const auto all = transformers();
  Folder folder(all);
  const auto path = folder.temp.path();
  for (const char* name : {"vision_model.head.attention.in_proj_weight",
                           "vision_model.head.mlp.fc2.bias",
                           "vision_model.post_layernorm.weight",
                           "vision_model.embeddings.position_embedding.weight",
                           "vision_model.encoder.layers.1.mlp.fc1.bias",
                           "text_model.final_layer_norm.bias",
                           "logit_scale"}) {
    auto tensors = all;
    tensors.erase(name);
    folder.put(tensors);
    refused(path, {name, "missing"});
  }
  for (const char* name : {"vision_model.head.probe",
                           "vision_model.head.layernorm.bias",
                           "text_model.head.bias"}) {
    auto tensors = all;
    tensors[name] = at::zeros({3, 5});
    folder.put(tensors);
    refused(path, {name, "must have shape"});
  }
  auto tensors = all;
  tensors["vision_model.head.gate.weight"] = at::zeros({3});
  folder.put(tensors);
  refused(path, {"vision_model.head.gate.weight", "belongs to no tower"});
  tensors = all;
  tensors.erase("vision_model.head.probe");
  folder.put(tensors);
  refused(path, {"vision_model.head.probe", "missing"});
  // The text tower by itself.
  tensors.clear();
  for (const auto& [name, tensor] : all) {
    if (name.starts_with("text_model.")) tensors.emplace(name, tensor);
  }
  folder.put(tensors);
  refused(path, {"SigLIP's text tower"});
}

namespace {

const std::string kOpenClip = "families/siglip-open_clip";

/// An open_clip folder whose configuration is edited.
struct OpenClipFolder {
  files::TempFolder temp;
  std::string config =
      files::read(files::fixture(kOpenClip + "/open_clip_config.json"));

  OpenClipFolder() {
    temp.write("open_clip_model.safetensors",
               files::read(
                   files::fixture(kOpenClip + "/open_clip_model.safetensors")));
    temp.write("open_clip_config.json", config);
  }
  void with(const std::string& from, const std::string& to) const {
    auto text = config;
    const size_t at = text.find(from);
    CHECK(at != std::string::npos);
    if (at != std::string::npos) text.replace(at, from.size(), to);
    temp.write("open_clip_config.json", text);
  }
};

/// The image tower of the open_clip file as timm keeps it.
Tensors timm_tower() {
  Tensors out;
  for (const auto& [name, tensor] :
       weights_of(kOpenClip, "open_clip_model.safetensors")) {
    if (name.starts_with("visual.trunk.")) out.emplace(name.substr(13), tensor);
  }
  return out;
}

}  // namespace

TEST(siglip_checkpoint_of_open_clip_has_the_same_tensors) {
  const auto c = load_checkpoint(files::fixture(kOpenClip));
  const auto other = load_checkpoint(files::fixture(kFolder));
  CHECK(c.config.family == &declip::families::siglip);
  CHECK(c.format == "open_clip");
  CHECK(c.tokenizer == TokenizerKind::kOpenClipFolder);
  CHECK(c.notes.empty());
  CHECK(c.tensors.size() == other.tensors.size());
  for (const auto& [name, tensor] : other.tensors) {
    CHECK(c.tensors.contains(name) && at::equal(c.tensors.at(name), tensor));
  }
  // The name says 72 channels a head and the exact GELU, as does the text's
  // configuration.
  CHECK(c.config.vision.heads == c.config.vision.width / 72);
  CHECK(c.config.vision.activation == Activation::kGelu);
  CHECK(c.config.pooling_head->activation == Activation::kGelu);
  CHECK(c.config.text->activation == Activation::kGelu);
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-6, 0);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-6, 0);
  CHECK(c.config.text->pool == declip::TextPool::kLast);
  CHECK(!c.config.text->causal && c.config.text->fill_token == 1);

  const auto two =
      load_checkpoint(files::fixture("families/siglip2-open_clip")).config;
  CHECK(two.vision.activation == Activation::kGeluTanh);
  CHECK(two.text->activation == Activation::kGeluTanh);
  CHECK(two.text->fill_token == 0);
}

TEST(siglip_checkpoint_of_open_clip_follows_its_fields) {
  const OpenClipFolder folder;
  const auto path = folder.temp.path();
  folder.with("\"timm_pool\": \"map\"", "\"timm_pool\": \"avg\"");
  refused(path, {"open_clip_config.json", "\"timm_pool\" is \"avg\""});
  folder.with("vit_so400m_patch14_siglip_384",
              "vit_giantopt_patch16_siglip_384");
  refused(path, {"width 144", "multiple of 96"});
  folder.with("vit_so400m_patch14_siglip_384", "vit_so400m_patch16_siglip_512");
  CHECK(load_checkpoint(path).config.vision.activation ==
        Activation::kGeluTanh);
  folder.with("\"no_causal_mask\": true", "\"no_causal_mask\": false");
  CHECK(load_checkpoint(path).config.text->causal);
  folder.with("\"heads\": 2", "\"heads\": 4");
  CHECK(load_checkpoint(path).config.text->heads == 4);
  // `norm_kwargs` of a tower of timm's changes nothing in open_clip.
  folder.with("\"timm_pool\"",
              "\"norm_kwargs\": {\"eps\": 0.1}, \"timm_pool\"");
  CHECK_CLOSE(load_checkpoint(path).config.vision.layer_norm_eps, 1e-6, 0);
  folder.with("\"image_size\": 90", "\"image_size\": 98");
  refused(path, {"\"image_size\" is 98", "6 x 6 patches of 14"});
  folder.with("\"timm_pool\"", "\"a_field_of_tomorrow\": 1, \"timm_pool\"");
  refused(path, {"\"a_field_of_tomorrow\" is 1"});
}

TEST(siglip_checkpoint_of_timm_by_itself) {
  const files::TempFolder temp;
  declip::write_safetensors(temp.file("model.safetensors"), timm_tower());
  const auto whole = load_checkpoint(files::fixture(kOpenClip));
  temp.write("config.json", R"({"architecture": "vit_so400m_patch14_siglip_384",
    "num_classes": 0, "global_pool": "map", "pretrained_cfg": {
      "tag": "v2_webli", "input_size": [3, 90, 90], "crop_pct": 1.0,
      "interpolation": "bicubic", "crop_mode": "squash",
      "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}})");
  const auto c = load_checkpoint(temp.path());
  CHECK(c.config.family == &declip::families::siglip && c.format == "timm");
  CHECK(!c.config.text && same_towers(whole.tensors, c.tensors));
  CHECK(c.config.vision.heads == 2 && c.config.vision.image_size == 90);
  CHECK(c.config.vision.activation == Activation::kGelu);
  CHECK(c.notes.empty());
  CHECK_CLOSE(c.config.pixels.mean[0], 0.5, 0);

  std::filesystem::remove(temp.file("config.json"));
  declip::ConfigOverrides overrides;
  overrides.head_width = 72;
  const auto bare = load_checkpoint(temp.path(), overrides);
  CHECK(bare.notes.size() == 1 && contains(bare.notes[0], "gelu_tanh"));

  temp.write("config.json",
             R"({"architecture": "vit_so400m_patch14_siglip_gap_384",
                 "global_pool": "avg"})");
  refused(temp.path(), {"\"global_pool\" is \"avg\""});
}

TEST(siglip_checkpoint_of_timm_is_told_by_its_name) {
  const auto is = [](const char* name, int64_t width, Activation activation) {
    const auto told = declip::timm_siglip(name);
    if (told.head_width != width || told.activation != activation)
      tap::fail(__FILE__, __LINE__, name);
  };
  using enum Activation;
  is("vit_base_patch16_siglip_224", 64, kGelu);
  is("vit_base_patch16_siglip_384.v2_webli", 64, kGelu);
  is("vit_base_patch32_siglip_256", 64, kGeluTanh);
  is("vit_large_patch16_siglip_384", 64, kGelu);
  is("vit_large_patch16_siglip_512", 64, kGeluTanh);
  is("vit_so400m_patch14_siglip_224", 72, kGelu);
  is("vit_so400m_patch14_siglip_378", 72, kGelu);
  is("vit_so400m_patch16_siglip_256", 72, kGeluTanh);
  is("vit_so400m_patch16_siglip_384.v2_webli", 72, kGeluTanh);
  is("vit_giantopt_patch16_siglip_256", 96, kGeluTanh);
  is("vit_giantopt_patch16_siglip_384", 96, kGeluTanh);
}
