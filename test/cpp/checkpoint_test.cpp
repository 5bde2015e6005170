#include "declip/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/dense_mode_name.h"
#include "checkpoint/detect.h"
#include "checkpoint_files.h"
#include "declip/model.h"
#include "families/clip.h"
#include "families/eva.h"
#include "files/safetensors.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::Activation;
using declip::Checkpoint;
using declip::ConfigOverrides;
using declip::ErrorCode;
namespace families = declip::families;
using declip::load_checkpoint;
using declip::read_safetensors;
using declip::write_safetensors;
using files::fixture;

using files::contains;
using tensor_maps::Tensors;

namespace {

bool has_note(const Checkpoint& checkpoint, const std::string& part) {
  return std::any_of(
      checkpoint.notes.begin(),
      checkpoint.notes.end(),
      [&](const std::string& note) { return contains(note, part); });
}

std::string load_failure(const std::string& path) {
  return CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
}

Tensors tensors_of(const std::string& name) {
  return read_safetensors(fixture(name)).tensors;
}

const std::string kOpenClip = "clip-formats/open_clip.safetensors";
const std::string kHuggingFace = "clip-formats/hf/model.safetensors";
const std::string kEva = "eva-tiny/eva-tiny.safetensors";

std::string hugging_face_json(const std::string& name) {
  return files::read(fixture("clip-formats/hf/" + name));
}

std::string replaced(std::string text,
                     const std::string& from,
                     const std::string& to) {
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// A torch.save file of `tensors`, float16.
std::string torch_save(const Tensors& tensors) {
  const auto narrow = [](at::IntArrayRef values) {
    return std::vector<int32_t>(values.begin(), values.end());
  };
  files::Entries items, storages;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor data = tensor.to(at::kHalf).contiguous();
    const std::string key = std::to_string(storages.size());
    items.emplace_back(name,
                       files::tensor(key,
                                     static_cast<int32_t>(data.numel()),
                                     narrow(data.sizes()),
                                     narrow(data.strides()),
                                     0,
                                     "HalfStorage"));
    storages.emplace_back(
        key, std::string(static_cast<char*>(data.data_ptr()), data.nbytes()));
  }
  return files::torch_file(files::kProto + files::dict(items) + ".", storages);
}

void check_clip_formats_config(const declip::ModelConfig& config) {
  const auto& v = config.vision;
  CHECK(config.family == &families::clip);
  CHECK(v.image_size == 64 && v.patch == 16 && v.grid == 4);
  CHECK(v.width == 128 && v.layers == 2 && v.heads == 2);
  CHECK(v.mlp_hidden == 512 && v.embed_dim == 32);
  CHECK(v.activation == Activation::kQuickGelu);
  CHECK_CLOSE(v.layer_norm_eps, 1e-5, 0);
  CHECK(config.text.has_value());
  if (!config.text) return;
  const auto& t = *config.text;
  CHECK(t.width == 64 && t.layers == 2 && t.heads == 1);
  CHECK(t.context == 77 && t.vocab == 600 && t.embed_dim == 32);
  CHECK(t.activation == Activation::kQuickGelu);
  CHECK(t.eot_token == -1);
  CHECK_CLOSE(t.layer_norm_eps, 1e-5, 0);
  CHECK_CLOSE(config.pixels.mean[0], 0.48145466, 1e-12);
  CHECK_CLOSE(config.pixels.std[2], 0.27577711, 1e-12);
}

}  // namespace

TEST(checkpoint_containers_hold_the_same_tensors) {
  const Checkpoint jit = load_checkpoint(fixture("clip-formats/openai-jit.pt"));
  const Checkpoint wrapped =
      load_checkpoint(fixture("clip-formats/openclip-wrapped.pt"));
  const Checkpoint flat = load_checkpoint(fixture(kOpenClip));
  const Checkpoint hf = load_checkpoint(fixture("clip-formats/hf"));

  CHECK(jit.format == "openai-jit");
  CHECK(wrapped.format == "trainer");
  CHECK(flat.format == "open_clip");
  CHECK(hf.format == "huggingface");
  CHECK(jit.stored_dtype == "mixed");
  CHECK(flat.stored_dtype == "float16");
  CHECK(wrapped.epoch == 7);
  CHECK(!flat.epoch && !flat.dense_mode && !flat.license);
  CHECK(jit.notes.empty() && hf.notes.empty());
  CHECK(has_note(flat, "assumed quick_gelu"));
  CHECK(has_note(wrapped, "assumed quick_gelu"));

  for (const Checkpoint* c : {&jit, &wrapped, &flat, &hf}) {
    check_clip_formats_config(c->config);
    CHECK(c->tensors.size() == flat.tensors.size());
    for (const auto& [name, tensor] : flat.tensors) {
      const auto it = c->tensors.find(name);
      if (it == c->tensors.end()) {
        tap::fail(__FILE__, __LINE__, c->path + " lacks " + name);
      } else if (!at::equal(it->second.to(at::kFloat), tensor.to(at::kFloat))) {
        tap::fail(__FILE__, __LINE__, c->path + " differs in " + name);
      }
    }
  }
}

TEST(checkpoint_openai_state_dict) {
  const Checkpoint c = load_checkpoint(fixture("clip-tiny/state_dict.pt"));
  const auto& v = c.config.vision;
  CHECK(c.format == "openai" && c.stored_dtype == "float16");
  CHECK(v.image_size == 224 && v.patch == 16 && v.grid == 14);
  CHECK(v.width == 128 && v.layers == 12 && v.heads == 2);
  CHECK(v.embed_dim == 64 && v.mlp_hidden == 512);
  CHECK(c.config.text->vocab == 49408 && c.config.text->heads == 1);
  CHECK(c.tensors.at("logit_scale").dim() == 0);
}

TEST(checkpoint_bundled_model) {
  const Checkpoint c =
      load_checkpoint(fixture("../../models/words-tiny/model.safetensors"));
  CHECK(c.config.vision.image_size == 96 && c.config.vision.patch == 8);
  CHECK(c.config.vision.heads == 3 && c.config.vision.layers == 6);
  CHECK(c.config.text->heads == 2 && c.config.text->layers == 3);
  CHECK(c.config.text->activation == Activation::kQuickGelu);
}

TEST(checkpoint_eva_clip) {
  const Checkpoint c = load_checkpoint(fixture(kEva));
  const auto& v = c.config.vision;
  CHECK(c.format == "eva-clip" && c.config.family == &families::eva);
  CHECK(v.image_size == 224 && v.patch == 16 && v.grid == 14);
  CHECK(v.width == 128 && v.layers == 3 && v.heads == 2);
  CHECK(v.mlp_hidden == 341 && v.embed_dim == 64);
  CHECK_CLOSE(v.layer_norm_eps, 1e-6, 0);
  CHECK(c.config.text->activation == Activation::kGelu);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-5, 0);
  CHECK(c.config.text->layers == 2 && c.config.text->heads == 1);
  CHECK(c.notes.empty());
  CHECK(std::none_of(c.tensors.begin(), c.tensors.end(), [](const auto& t) {
    return contains(t.first, "freqs");
  }));
}

TEST(checkpoint_eva_trainer_file_with_overrides) {
  ConfigOverrides overrides;
  overrides.head_width = 32;
  overrides.text_heads = 2;
  overrides.layer_norm_eps = 1e-4;
  overrides.activation = Activation::kQuickGelu;
  const Checkpoint c =
      load_checkpoint(fixture("eva-tiny/eva-mini.pt"), overrides);
  const auto& v = c.config.vision;
  CHECK(c.format == "trainer" && c.epoch == 6);
  CHECK(v.image_size == 64 && v.width == 64 && v.layers == 2);
  CHECK(v.heads == 2 && v.mlp_hidden == 170 && v.embed_dim == 16);
  CHECK_CLOSE(v.layer_norm_eps, 1e-4, 0);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-5, 0);
  CHECK(c.config.text->heads == 2 && c.config.text->layers == 1);
  CHECK(c.config.text->activation == Activation::kGelu);
  CHECK(has_note(c, "activation ignored"));
}

TEST(checkpoint_vision_only_files) {
  const files::TempFolder temp;
  const std::string plain = "plain-tower/visual.safetensors";
  const Checkpoint prefixed = load_checkpoint(fixture(plain));
  CHECK(!prefixed.config.text);
  CHECK(prefixed.config.vision.layers == 3);
  CHECK(prefixed.config.vision.heads == 2);

  for (const std::string& source : {plain, kEva}) {
    const Checkpoint whole = load_checkpoint(fixture(source));
    Tensors bare, detector{{"rpn_head.conv.weight", at::zeros({2})}};
    for (const auto& [name, tensor] : whole.tensors) {
      if (!name.starts_with("visual.")) continue;
      bare.emplace(name.substr(7), tensor);
      detector.emplace("backbone." + name, tensor);
    }
    write_safetensors(temp.file("bare.safetensors"), bare);
    write_safetensors(temp.file("detector.safetensors"), detector);
    const Checkpoint b = load_checkpoint(temp.file("bare.safetensors"));
    const Checkpoint d = load_checkpoint(temp.file("detector.safetensors"));
    CHECK(d.format == "detector");
    CHECK(has_note(d, "rpn_head.conv.weight"));
    for (const Checkpoint* c : {&b, &d}) {
      CHECK(!c->config.text);
      CHECK(c->config.family == whole.config.family);
      CHECK(c->config.vision.width == whole.config.vision.width);
      CHECK(c->tensors.size() == bare.size());
      for (const auto& [name, tensor] : c->tensors) {
        CHECK(at::equal(tensor, whole.tensors.at(name)));
      }
    }
  }
}

TEST(checkpoint_every_missing_tensor_is_named) {
  const files::TempFolder temp;
  const auto check = [&](const Tensors& tensors, const std::string& file) {
    for (const auto& [name, tensor] : tensors) {
      if (contains(name, "freqs")) continue;
      Tensors rest = tensors;
      rest.erase(name);
      write_safetensors(temp.file(file), rest);
      const std::string message = load_failure(temp.file(file));
      if (!contains(message, file) || !contains(message, '"' + name + '"')) {
        tap::fail(__FILE__, __LINE__, "without " + name + ": " + message);
      }
    }
  };
  check(tensors_of(kOpenClip), "plain.safetensors");
  check(tensors_of(kEva), "eva.safetensors");
  temp.write("config.json", hugging_face_json("config.json"));
  check(tensors_of(kHuggingFace), "hf.safetensors");
}

TEST(checkpoint_every_wrong_shape_and_type_is_refused) {
  const files::TempFolder temp;
  const std::string path = temp.file("shape.safetensors");
  for (const Tensors& original : {tensors_of(kOpenClip), tensors_of(kEva)}) {
    for (const auto& [name, tensor] : original) {
      if (contains(name, "freqs")) continue;
      Tensors changed = original;
      changed[name] = at::zeros({3, 2}, at::kHalf);
      write_safetensors(path, changed);
      CHECK(contains(load_failure(path), "shape.safetensors"));
      changed[name] = tensor.to(at::kInt);
      write_safetensors(path, changed);
      CHECK(contains(load_failure(path), '"' + name + '"'));
    }
  }
  Tensors changed = tensors_of(kOpenClip);
  changed["visual.ln_post.bias"] = at::zeros({127});
  write_safetensors(path, changed);
  const std::string message = load_failure(path);
  CHECK(contains(message, "\"visual.ln_post.bias\""));
  CHECK(contains(message, "[128]") && contains(message, "[127]"));
}

TEST(checkpoint_extra_tensors) {
  const files::TempFolder temp;
  const std::string path = temp.file("extra.safetensors");
  const auto with = [&](const std::string& name) {
    Tensors tensors = tensors_of(kOpenClip);
    tensors[name] = at::zeros({128}, at::kHalf);
    write_safetensors(path, tensors);
    return path;
  };
  for (const std::string name :
       {"visual.attn_pool.other", "visual.transformer.resblocks.1.mlp.extra"}) {
    CHECK(contains(load_failure(with(name)), '"' + name + '"'));
  }
  // A block too many, or what is left of one.
  CHECK(
      contains(load_failure(with("visual.transformer.resblocks.2.ln_1.weight")),
               "\"visual.transformer.resblocks.2.ln_1.bias\" is missing"));
  CHECK(contains(load_failure(with("transformer.resblocks.7.ln_1.bias")),
                 "\"transformer.resblocks.2.ln_1.weight\" is missing"));
  CHECK(contains(
      load_failure(with("transformer.resblocks.99999999999.ln_1.bias")),
      "block number"));
  CHECK(has_note(load_checkpoint(with("text_decoder.ln.weight")),
                 "text_decoder.ln.weight"));
  // LayerScale, and a buffer that older versions stored.
  const std::string scale = "visual.transformer.resblocks.1.ls_2.gamma";
  CHECK(load_checkpoint(with(scale)).tensors.contains(scale));
  CHECK(!load_checkpoint(with("attn_mask")).tensors.contains("attn_mask"));
}

TEST(checkpoint_custom_text_layout_and_module_prefix) {
  const files::TempFolder temp;
  Tensors custom, module;
  for (const auto& [name, tensor] : tensors_of(kOpenClip)) {
    const bool text = !name.starts_with("visual.") && name != "logit_scale";
    custom[text ? "text." + name : name] = tensor;
    module["module." + name] = tensor;
  }
  custom["logit_scale"] = custom["logit_scale"].reshape({1});
  const std::string path = temp.file("custom.safetensors");
  write_safetensors(path, custom, {{"license", "Apache-2.0"}});
  const Checkpoint c = load_checkpoint(path);
  CHECK(c.format == "open_clip" && c.license == "Apache-2.0");
  CHECK(c.tensors.at("logit_scale").dim() == 0);
  check_clip_formats_config(c.config);
  custom.erase("text.ln_final.bias");
  write_safetensors(path, custom);
  CHECK(contains(load_failure(path), "\"text.ln_final.bias\""));

  write_safetensors(path, module);
  const Checkpoint m = load_checkpoint(path);
  CHECK(has_note(m, "\"module.\""));
  CHECK(m.format == "openai");
  check_clip_formats_config(m.config);
}

TEST(checkpoint_activation_rules) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  write_safetensors(path, tensors_of(kOpenClip));
  const auto activations = [&](const ConfigOverrides& overrides) {
    const Checkpoint c = load_checkpoint(path, overrides);
    return std::pair(c.config.vision.activation, c.config.text->activation);
  };
  constexpr auto kQuick = Activation::kQuickGelu;
  constexpr auto kGelu = Activation::kGelu;
  ConfigOverrides quick, gelu, text_gelu;
  quick.activation = kQuick;
  gelu.activation = kGelu;
  text_gelu.text_activation = kGelu;
  CHECK(activations({}) == std::pair(kQuick, kQuick));
  CHECK(activations(gelu) == std::pair(kGelu, kGelu));
  CHECK(activations(text_gelu) == std::pair(kQuick, kGelu));
  CHECK(load_checkpoint(path, gelu).notes.empty());

  temp.write("open_clip_config.json",
             R"({"model_cfg": {"embed_dim": 32,
                 "vision_cfg": {"head_width": 32}, "text_cfg": {"heads": 4}},
                 "preprocess_cfg": {"mean": [0.5, 0.5, 0.5],
                                    "std": [0.5, 0.5, 0.25]}})");
  const Checkpoint c = load_checkpoint(path);
  CHECK(c.format == "open_clip" && c.notes.empty());
  CHECK(activations({}) == std::pair(kGelu, kGelu));
  CHECK(activations(quick) == std::pair(kQuick, kQuick));
  CHECK(c.config.vision.heads == 4 && c.config.text->heads == 4);
  CHECK_CLOSE(c.config.pixels.mean[1], 0.5, 0);
  CHECK_CLOSE(c.config.pixels.std[2], 0.25, 0);

  const auto config = [&](const std::string& json) {
    temp.write("open_clip_config.json", json);
    return path;
  };
  config(R"({"model_cfg": {"quick_gelu": true}})");
  CHECK(activations({}) == std::pair(kQuick, kQuick));
  CHECK(
      contains(load_failure(config(R"({"model_cfg": {"quick_gelu": "yes"}})")),
               "\"quick_gelu\" must be true or false"));
  CHECK(contains(
      load_failure(config(R"({"preprocess_cfg": {"std": [1, 0, 1]}})")),
      "\"std\""));
}

TEST(checkpoint_hugging_face_config) {
  const files::TempFolder temp;
  temp.write("model.safetensors", files::read(fixture(kHuggingFace)));
  const std::string json = hugging_face_json("config.json");

  temp.write(
      "config.json",
      replaced(replaced(json, "\"eos_token_id\": 2", "\"eos_token_id\": 599"),
               "\"quick_gelu\"",
               "\"gelu\""));
  temp.write("preprocessor_config.json",
             R"({"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]})");
  const Checkpoint c = load_checkpoint(temp.path());
  CHECK(c.config.text->eot_token == 599);
  CHECK(c.config.text->activation == Activation::kGelu);
  CHECK(c.config.vision.activation == Activation::kQuickGelu);
  CHECK_CLOSE(c.config.pixels.mean[1], 0.2, 0);
  CHECK_CLOSE(c.config.pixels.std[2], 3, 0);

  // The *_config_dict of older files win over text_config, vision_config.
  temp.write("config.json",
             replaced(json,
                      "\"model_type\"",
                      R"("text_config_dict": {"eos_token_id": 598},
                         "vision_config_dict": {"layer_norm_eps": 1e-6},
                         "model_type")"));
  const Checkpoint older = load_checkpoint(temp.path());
  CHECK(older.config.text->eot_token == 598);
  CHECK_CLOSE(older.config.vision.layer_norm_eps, 1e-6, 0);

  // A missing size is transformers' default, which these tensors do not have.
  temp.write("config.json", replaced(json, "\"patch_size\": 16,", ""));
  const std::string message = load_failure(temp.path());
  CHECK(
      contains(message, "\"vision_model.embeddings.patch_embedding.weight\""));
  CHECK(contains(message, "[128, 3, 32, 32]"));
  CHECK(contains(message, "[128, 3, 16, 16]"));

  const std::vector<std::pair<std::string, std::string>> mistakes{
      {"\"eos_token_id\": 2", "\"eos_token_id\": 600"},
      {"\"num_attention_heads\": 2", "\"num_attention_heads\": 3"},
      {"\"hidden_size\": 128", "\"hidden_size\": \"128\""},
      {"\"image_size\": 64", "\"image_size\": 8"},
      {"\"image_size\": 64", "\"image_size\": -64"},
      {"\"quick_gelu\"", "\"silu\""},
      {"\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 0"},
      {"\"projection_dim\": 32", "\"projection_dim\": 33"},
      {"\"vocab_size\": 600", "\"vocab_size\": 601"},
      {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"},
      {"\"vision_config\": {", "\"vision_config\": 5, \"other\": {"},
      {"{", "["}};
  for (const auto& [from, to] : mistakes) {
    temp.write("config.json", replaced(json, from, to));
    CHECK(contains(load_failure(temp.path()), temp.path()));
  }
}

TEST(checkpoint_hugging_face_without_config) {
  const files::TempFolder temp;
  const Checkpoint c = load_checkpoint(
      temp.write("alone.safetensors", files::read(fixture(kHuggingFace))));
  CHECK(has_note(c, "no config.json"));
  CHECK(has_note(c, "assumed quick_gelu"));
  check_clip_formats_config(c.config);
}

TEST(checkpoint_hugging_face_containers) {
  const files::TempFolder temp;
  const Tensors all = tensors_of(kHuggingFace);
  const Checkpoint expected = load_checkpoint(fixture("clip-formats/hf"));
  const auto check = [&](const Checkpoint& c) {
    CHECK(c.format == "huggingface");
    CHECK(c.tensors.size() == expected.tensors.size());
    for (const auto& [name, tensor] : c.tensors) {
      CHECK(at::equal(tensor, expected.tensors.at(name)));
    }
  };
  const std::string config = hugging_face_json("config.json");

  // pytorch_model.bin, with the position ids of older versions.
  Tensors with_ids = all;
  with_ids["text_model.embeddings.position_ids"] =
      at::arange(77).reshape({1, 77});
  temp.write("bin/pytorch_model.bin", torch_save(with_ids));
  temp.write("bin/config.json", config);
  check(load_checkpoint(temp.file("bin")));
  check(load_checkpoint(temp.file("bin/pytorch_model.bin")));

  // Shards.
  Tensors first, second;
  std::string map;
  for (const auto& [name, tensor] : all) {
    const bool in_first = name < "text_model.encoder.layers.1";
    (in_first ? first : second)[name] = tensor;
    map += (map.empty() ? "\"" : ",\"") + name + "\":\"" +
           (in_first ? "a" : "b") + ".safetensors\"";
  }
  temp.write("shards/config.json", config);
  write_safetensors(temp.file("shards/a.safetensors"), first);
  write_safetensors(temp.file("shards/b.safetensors"), second);
  const auto index = [&](const std::string& weight_map) {
    return temp.write(
        "shards/model.safetensors.index.json",
        R"({"metadata": {}, "weight_map": {)" + weight_map + "}}");
  };
  check(load_checkpoint(index(map)));
  check(load_checkpoint(temp.file("shards")));
  CHECK(contains(load_failure(index(R"("x":"../a.safetensors")")),
                 "same folder"));
  CHECK(contains(load_failure(index(R"("x":1)")), "same folder"));
  CHECK(contains(load_failure(index(map + R"(,"x":"a.safetensors")")),
                 "\"x\" is listed"));
  CHECK_THROWS_CODE(load_checkpoint(index(R"("x":"c.safetensors")")),
                    ErrorCode::kIo);

  // The vision half, as CLIPVisionModelWithProjection saves it.
  Tensors vision;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with("vis")) vision[name] = tensor;
  }
  temp.write("vision/config.json",
             R"({"model_type": "clip_vision_model", "projection_dim": 32,
                 "hidden_size": 128, "intermediate_size": 512,
                 "num_hidden_layers": 2, "num_attention_heads": 2,
                 "image_size": 64, "patch_size": 16})");
  write_safetensors(temp.file("vision/model.safetensors"), vision);
  const Checkpoint half = load_checkpoint(temp.file("vision"));
  CHECK(!half.config.text && half.config.vision.heads == 2);
}

TEST(checkpoint_hugging_face_parts_of_one_attention_layer_must_agree) {
  const files::TempFolder temp;
  const std::string key =
      "vision_model.encoder.layers.1.self_attn.v_proj.weight";
  const std::string path = temp.file("parts.safetensors");
  for (const at::Tensor& wrong : {at::zeros({128, 64}, at::kHalf),
                                  at::zeros({128, 128}, at::kFloat),
                                  at::zeros({}, at::kHalf)}) {
    Tensors tensors = tensors_of(kHuggingFace);
    tensors[key] = wrong;
    write_safetensors(path, tensors);
    CHECK(contains(load_failure(path), '"' + key + '"'));
  }
}

TEST(checkpoint_head_counts_by_width) {
  const auto heads = [](int64_t width, const ConfigOverrides& overrides) {
    // Only shapes matter here: stride-0 tensors take no memory.
    const auto shape = [](std::vector<int64_t> sizes) {
      return at::zeros({1}).expand(sizes);
    };
    const std::string block = "visual.transformer.resblocks.0.";
    const Tensors tensors{
        {"visual.conv1.weight", shape({width, 3, 14, 14})},
        {"visual.positional_embedding", shape({257, width})},
        {"visual.ln_pre.weight", shape({width})},
        {block + "attn.in_proj_weight", shape({3 * width, width})},
        {block + "mlp.c_fc.weight", shape({4 * width, width})},
        {"visual.proj", shape({width, 1024})}};
    const auto found = declip::detect(tensors, "x", declip::all_families());
    auto weights = declip::to_internal(tensors, found.layout->key_map, "x");
    Checkpoint out;
    found.layout->read({{}, *found.layout, overrides, weights}, out);
    return out.config.vision.heads;
  };
  CHECK(heads(768, {}) == 12);
  CHECK(heads(1024, {}) == 16);
  CHECK(heads(1280, {}) == 16);
  CHECK(heads(1408, {}) == 16);
  CHECK(heads(1664, {}) == 16);
  ConfigOverrides by_64, by_60;
  by_64.head_width = 64;
  by_60.head_width = 60;
  CHECK(heads(1280, by_64) == 20);
  CHECK_THROWS_CODE(heads(1280, by_60), ErrorCode::kInvalidArg);
  CHECK(contains(CHECK_THROWS_CODE(heads(100, {}), ErrorCode::kWeights),
                 "config.headWidth"));
}

TEST(checkpoint_overrides_are_checked) {
  const std::string path = fixture(kOpenClip);
  ConfigOverrides o;
  o.text_heads = 3;
  CHECK_THROWS_CODE(load_checkpoint(path, o), ErrorCode::kInvalidArg);
  o = {};
  o.head_width = 0;
  CHECK_THROWS_CODE(load_checkpoint(path, o), ErrorCode::kInvalidArg);
  for (const double eps : {0.0, -1.0, 2.0, std::nan("")}) {
    o = {};
    o.layer_norm_eps = eps;
    CHECK_THROWS_CODE(load_checkpoint(path, o), ErrorCode::kInvalidArg);
  }
  o = {};
  o.layer_norm_eps = 1e-6;
  o.pixels = declip::PixelStats{{0, 0, 0}, {1, 1, 1}};
  const Checkpoint c = load_checkpoint(path, o);
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-6, 0);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-6, 0);
  CHECK_CLOSE(c.config.pixels.std[0], 1, 0);
}

TEST(checkpoint_other_models_are_refused_with_the_reason) {
  const files::TempFolder temp;
  const std::string path = temp.file("other.safetensors");
  const auto reason = [&](const std::vector<std::string>& keys) {
    Tensors tensors;
    for (const std::string& key : keys) tensors[key] = at::zeros({1});
    write_safetensors(path, tensors);
    const std::string message = load_failure(path);
    CHECK(contains(message, "other.safetensors"));
    return message;
  };
  CHECK(contains(reason({"visual.trunk.blocks.0.attn.q_proj.weight",
                         "text.ln_final.weight",
                         "logit_scale"}),
                 "timm"));
  CHECK(
      contains(reason({"visual.cls_token", "visual.blocks.0.attn.qkv.weight"}),
               "EVA01"));
  CHECK(
      contains(reason({"visual.conv1.weight", "visual.layer1.0.conv1.weight"}),
               "ResNet"));
  CHECK(contains(reason({"conv1.weight", "layer1.0.conv1.weight"}), "ResNet"));
  CHECK(contains(
      reason({"text_model.final_layer_norm.weight", "text_model.head.weight"}),
      "SigLIP's text tower"));
  CHECK(contains(reason({"token_embedding.weight"}), "no vision tower"));
  CHECK(contains(reason({"x.weight"}), "\"x.weight\""));
  CHECK(contains(reason({}), "no tensors"));

  const std::vector<std::string> vit{"cls_token",
                                     "pos_embed",
                                     "patch_embed.proj.weight",
                                     "blocks.0.attn.qkv.weight",
                                     "blocks.0.mlp.fc1.weight"};
  const auto vit_with = [&](const std::string& key) {
    auto keys = vit;
    keys.push_back(key);
    return reason(keys);
  };
  CHECK(contains(reason({"visual.trunk.blocks.0.attn.qkv.weight",
                         "visual.trunk.blocks.0.attn.q_bias"}),
                 "EVA02-CLIP-E"));
  CHECK(contains(
      reason({"blocks.0.attn.q_proj.weight", "blocks.0.mlp.fc1_g.weight"}),
      "masked images"));
  CHECK(contains(reason({"backbone.visual.trunk.blocks.0.attn.norm.weight"}),
                 "detector"));
  CHECK(contains(vit_with("decoder_blocks.0.norm1.weight"), "MAE"));
  CHECK(contains(reason({"vit.encoder.layer.0.attention.attention.query.weight",
                         "decoder.decoder_layers.0.output.dense.weight"}),
                 "MAE"));
  CHECK(contains(vit_with("blocks.0.attn.q_bias"), "timm"));
  CHECK(contains(vit_with("blocks.0.gamma_1"), "BEiT"));
  CHECK(contains(reason({"model.stages.0.layers.0.depthwise_conv.weight",
                         "layer_norm.weight"}),
                 "ConvNeXt of DINOv3"));
  CHECK(contains(reason({"stages.0.0.dwconv.weight", "norms.3.weight"}),
                 "ConvNeXt of DINOv3"));
  CHECK(
      contains(reason({"storage_tokens", "projectors.a.weight", "norm.weight"}),
               "EUPE"));
  CHECK(contains(reason({"teacher.module.backbone.blocks.0.attn.qkv.weight"}),
                 "training checkpoint"));
  CHECK(contains(reason({"beit.encoder.layer.0.attention.attention.query."
                         "weight"}),
                 "DINO"));
  CHECK(contains(reason({"image_encoder.trunk.blocks.0.attn.qkv.weight"}),
                 "DINO"));
  CHECK(contains(reason({"image_encoder.layers.0.conv1.c.weight"}), "SAM"));
}

TEST(checkpoint_names_behind_what_wrappers_put_before_them) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto all = tensors_of(kOpenClip);
  const auto with = [&](const std::vector<std::string>& parts) {
    Tensors out;
    for (const std::string& part : parts) {
      for (const auto& [name, tensor] : all) out[part + name] = tensor;
    }
    return out;
  };
  for (const std::string part : {"_orig_mod.",
                                 "model.",
                                 "module._orig_mod.",
                                 "model.net.clip.",
                                 "whatever."}) {
    const tap::Case in(part);
    write_safetensors(path, with({part}));
    const Checkpoint c = load_checkpoint(path);
    check_clip_formats_config(c.config);
    CHECK(has_note(c, "begin with \"" + part + "\""));
  }
  // Something else beside the model.
  Tensors more = with({"model."});
  more["criterion.weight"] = at::ones({3});
  write_safetensors(path, more);
  Checkpoint c = load_checkpoint(path);
  check_clip_formats_config(c.config);
  CHECK(has_note(c, "left 1 others (criterion.weight"));
  // Its average beside it.
  write_safetensors(path, with({"model.", "model_ema."}));
  c = load_checkpoint(path);
  CHECK(has_note(c, "begin with \"model.\""));
  write_safetensors(path, with({"student.", "teacher."}));
  CHECK(contains(load_failure(path),
                 "several models, whose names begin with \"student.\", "
                 "\"teacher.\"; save one"));
  write_safetensors(path,
                    {{"a.b.x", at::ones({1})}, {"a.b.y.z", at::ones({1})}});
  CHECK(contains(load_failure(path), "all begin with \"a.b.\""));
  // An error calls a tensor as the file does, but for the wrapper.
  Tensors missing = with({"model."});
  missing.erase("model.ln_final.bias");
  write_safetensors(path, missing);
  CHECK(contains(load_failure(path), "\"ln_final.bias\""));
}

TEST(checkpoint_nan_and_infinity) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const std::string vision = "visual.transformer.resblocks.1.mlp.c_fc.weight";
  const std::string text = "transformer.resblocks.0.ln_1.bias";
  for (const double value : {NAN, INFINITY, -INFINITY}) {
    for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
      Tensors tensors = tensors_of(kOpenClip);
      for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
      tensors[vision].flatten()[tensors[vision].numel() - 1] = value;
      write_safetensors(path, tensors);
      const std::string why = CHECK_THROWS_CODE(
          declip::Model::load(path, {}, {}), ErrorCode::kWeights);
      CHECK(contains(why, "\"" + vision + "\" holds NaN or infinite"));
    }
    Tensors tensors = tensors_of(kOpenClip);
    tensors[text].flatten()[0] = value;
    write_safetensors(path, tensors);
    const auto model = declip::Model::load(path, {}, {});
    for (int i = 0; i < 2; ++i) {
      const std::string why = CHECK_THROWS_CODE(
          model->encode_text(at::zeros({1, 77}, at::kLong), true, {}),
          ErrorCode::kWeights);
      CHECK(contains(why, "\"" + text + "\" holds NaN"));
    }
    tensors = tensors_of(kOpenClip);
    tensors["logit_scale"].fill_(value);
    write_safetensors(path, tensors);
    CHECK(contains(load_failure(path), "\"logit_scale\" holds NaN"));
  }
}

TEST(checkpoint_features_that_are_not_finite_are_refused) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  Tensors tensors = tensors_of(kOpenClip);
  for (const char* name : {"visual.proj", "text_projection"}) {
    const at::Tensor values = tensors[name].to(at::kFloat);
    tensors[name] = values / values.abs().max() * 3e38F;
  }
  write_safetensors(path, tensors);
  const auto model = declip::Model::load(path, {}, {});
  const auto image = at::ones({1, 3, 64, 64});
  const auto refused = [](const auto& call) {
    return contains(CHECK_THROWS_CODE(call(), ErrorCode::kWeights),
                    "are not finite");
  };
  CHECK(refused([&] { return model->encode_image(image, {}, {}); }));
  CHECK(refused([&] { return model->encode_dense(image, {}, true, {}); }));
  CHECK(refused([&] {
    return model->encode_text(at::ones({1, 77}, at::kLong), true, {});
  }));
  CHECK(refused([&] { return model->encode_region_map(image, {}, {}, {}); }));
}

TEST(checkpoint_foreign_formats_are_named) {
  const files::TempFolder temp;
  const std::string rest(300, '\1');
  const auto reason = [&](const std::string& name, const std::string& bytes) {
    const std::string path = temp.write(name, bytes);
    const std::string why = load_failure(path);
    CHECK(contains(why, path + ": expected safetensors or a torch.save file"));
    return why;
  };
  const auto bytes = [](std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out += static_cast<char>(value);
    return out;
  };
  const std::vector<std::array<std::string, 3>> cases{
      {"a.pt", "\n\n \t<!doctype html><html>", "a web page"},
      {"a.bin", "\xEF\xBB\xBF<html>", "a web page"},
      {"a.pt",
       "<?xml version=\"1.0\"?><Error>AccessDenied",
       "XML, perhaps the error"},
      {"a.safetensors", "{\"error\":\"Repository not found\"}", "error answer"},
      {"a.pt", "\n {\"message\": \"x\"}", "error answer"},
      {"a.pt", "Entry not found", "server (\"Entry not found\")"},
      {"a.pt", "{\"weight_map\": {}}", "index of a checkpoint"},
      {"a.pt", "{\"a\": 1}", "JSON text"},
      {"a.pt", " \n", "nothing but blanks"},
      {"a.gguf", "GGUF" + rest, "a GGUF file"},
      {"a.npy", "\x93NUMPY" + rest, "a NumPy array"},
      {"a.pt", bytes({0x1f, 0x8b}) + rest, "a gzip file"},
      {"a.pt", "BZh9" + rest, "bzip2"},
      {"a.pt", bytes({0xfd, '7', 'z', 'X', 'Z', 0}) + rest, "an xz file"},
      {"a.pt", bytes({0x28, 0xb5, 0x2f, 0xfd}) + rest, "Zstandard"},
      {"a.pt", std::string(257, '\0') + "ustar" + rest, "a tar archive"},
      {"a.h5", "\x89HDF\r\n" + rest, "HDF5"},
      {"a.tflite", bytes({28, 0, 0, 0}) + "TFL3" + rest, "TensorFlow Lite"},
      {"a.onnx", bytes({8, 7, 18, 7}) + "pytorch" + rest, "an ONNX"},
      {"a.bin", bytes({8, 7, 18, 7}) + "pytorch" + rest, "an ONNX"},
      {"a.mlmodel", bytes({8, 4, 18, 7}) + rest, "a Core ML model"},
      {"a.pb", bytes({8, 1, 18, 7}) + rest, "a TensorFlow file"},
      {"a.msgpack", bytes({0x82, 0xa6}) + rest, "a Flax file"},
      {"a.pt", bytes({0xff, 0xd8, 0xff}) + rest, "a picture"},
      {"a.pt", "\x89PNG" + rest, "a picture"},
      {"a.pt", "%PDF-1.7" + rest, "a PDF"},
      {"a.pt", bytes({0x7f, 'E', 'L', 'F'}) + rest, "a program"},
      {"a.pt", bytes({0x80, 4, 0x95}) + rest, "a bare pickle"},
      {"a.zip", files::zip({{"a/w.npy", "x"}}), "NumPy arrays"},
      {"a.zip",
       files::zip({{"clip/model.pt", "x"}}),
       "(\"clip/model.pt\"); unpack"},
      {"a.zip", files::zip({{"[Content_Types].xml", "x"}}), "Office"},
  };
  for (const auto& [name, content, what] : cases) {
    const tap::Case in(what);
    CHECK(contains(reason(name, content), what));
  }
  temp.write("tf/tf_model.h5", "x");
  CHECK(contains(load_failure(temp.file("tf")), "found none but tf_model.h5"));
  temp.write("lightning/last.ckpt", torch_save(tensors_of(kOpenClip)));
  CHECK(load_checkpoint(temp.file("lightning")).format == "openai");
}

TEST(checkpoint_other_files_are_refused_with_the_reason) {
  const files::TempFolder temp;
  const auto reason = [&](const std::string& bytes) {
    return load_failure(temp.write("model.pt", bytes));
  };
  const std::string legacy =
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  CHECK(contains(reason(legacy), "legacy"));
  CHECK(contains(reason("\x80\x04]."), "bare pickle"));
  CHECK(contains(reason("version https://git-lfs.github.com/spec/v1\n"),
                 "Git LFS"));
  CHECK(contains(reason("<!DOCTYPE html>"), "web page"));
  CHECK(contains(reason(std::string(100, '\xAA')), "not safetensors"));
  CHECK(
      contains(reason(files::torch_file(files::kProto + "}.")), "no tensors"));
  CHECK_THROWS_CODE(load_checkpoint(temp.file("none.pt")), ErrorCode::kIo);
  CHECK_THROWS_CODE(load_checkpoint(""), ErrorCode::kIo);

  temp.write("empty/readme.txt", "x");
  CHECK(contains(load_failure(temp.file("empty")), "found none"));
  temp.write("two/a.pt", "x");
  temp.write("two/b.pt", "x");
  CHECK(contains(load_failure(temp.file("two")), "a.pt, b.pt"));
  temp.write("one/epoch_3.pt", torch_save(tensors_of(kOpenClip)));
  CHECK(load_checkpoint(temp.file("one")).format == "openai");

  // A header whose length begins with the byte of a web page or a pickle.
  const std::string bytes = files::read(fixture(kOpenClip));
  const size_t header = bytes.find("}}") + 2;
  for (const size_t length : {size_t{0x2A3C}, size_t{0x2A80}}) {
    CHECK(header - 8 < length);
    const std::string padded = files::le(length, 8) +
                               bytes.substr(8, header - 8) +
                               std::string(length - (header - 8), ' ') +
                               bytes.substr(8 + (header - 8 + 7) / 8 * 8);
    check_clip_formats_config(
        load_checkpoint(temp.write("padded.safetensors", padded)).config);
  }

  // A name longer than any real one.
  const std::string path = temp.file("long.safetensors");
  write_safetensors(path, {{std::string(100000, 'x'), at::zeros({1})}});
  CHECK(contains(load_failure(path), "512 bytes"));
}

// DeCLIP trains a pooling head in one way only, whatever its name says of the
// teacher's attention.
TEST(checkpoint_dense_mode_of_a_pooling_head) {
  declip::ConfigOverrides named;
  named.name = "DeCLIP_SigLIP_DINOv2-B_qq_0.05_2.0";
  const std::string path = fixture("families/siglip-hf");
  CHECK(load_checkpoint(path, named).dense_mode == "declip");
  CHECK(!load_checkpoint(path).dense_mode);
}

TEST(checkpoint_dense_mode_from_published_names) {
  using declip::dense_mode_from_name;
  CHECK(dense_mode_from_name("DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0.pt") == "csa");
  CHECK(dense_mode_from_name("/m/DeCLIP_evab_dinov2B_qq_560_0.25_seg.pt") ==
        "qq");
  CHECK(dense_mode_from_name("/m/declip_eval_sam_kk.safetensors") == "kk");
  CHECK(dense_mode_from_name("/m/DeCLIP_a_b_vv_1/epoch_6.pt") == "vv");
  CHECK(dense_mode_from_name("/m/DeCLIP_a_b_all_1/") == "all");
  CHECK(dense_mode_from_name(
            "/h/models--xiaomoguhzz--DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0/"
            "snapshots/0123abc/model.pt") == "csa");
  CHECK(!dense_mode_from_name("/m/DeCLIP_EVA-B_DINOv2-B_csb_0.05.pt"));
  CHECK(!dense_mode_from_name("/home/declip_all/qq/model_csa.pt"));
  CHECK(!dense_mode_from_name("/m/eva_vitb16_coco_clipself_patches.pt"));
  CHECK(!dense_mode_from_name("csa.pt"));

  const files::TempFolder temp;
  const Checkpoint c = load_checkpoint(
      temp.write("DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0.safetensors",
                 files::read(fixture(kEva))));
  CHECK(c.dense_mode == "csa");
}

TEST(checkpoint_dense_mode_from_metadata) {
  const files::TempFolder temp;
  const auto tensors = read_safetensors(fixture(kEva)).tensors;
  // What a file says of itself stands above what its name says.
  const std::string path =
      temp.file("DeCLIP_EVA-B_DINOv2-B_csa_0.05.safetensors");
  write_safetensors(path, tensors, {{"dense_mode", "maskclip"}});
  CHECK(load_checkpoint(path).dense_mode == "maskclip");
  write_safetensors(path, tensors, {{"dense_mode", "best"}});
  CHECK(contains(load_failure(path), "\"dense_mode\" must be 'declip'"));
}
