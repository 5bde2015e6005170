// Vision foundation models in every layout: the same weights under other names
// must give the same internal tensors, and what is missing, too much or of
// another shape is refused by the name that it has in the file.

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/safetensors.h"
#include "families/dino.h"
#include "families/dinov2.h"
#include "families/sam.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::Checkpoint;
using declip::ConfigOverrides;
using declip::ErrorCode;
namespace families = declip::families;
using declip::load_checkpoint;
using declip::write_safetensors;
using files::fixture;

using files::contains;
using tensor_maps::Tensors;

namespace {

Tensors vfm_tensors(const std::string& name) {
  return declip::read_safetensors(fixture("vfm/" + name)).tensors;
}

ConfigOverrides heads_of_32() {
  ConfigOverrides overrides;
  overrides.head_width = 32;
  return overrides;
}

struct Renaming {
  std::string from, to;
};

/// Every key with the first of each pair replaced by the second, in order.
Tensors renamed(const Tensors& tensors, const std::vector<Renaming>& pairs) {
  Tensors out;
  for (const auto& [original, tensor] : tensors) {
    std::string name = original;
    for (const auto& [from, to] : pairs) {
      const size_t at = name.find(from);
      if (at != std::string::npos) name.replace(at, from.size(), to);
    }
    out[name] = tensor;
  }
  return out;
}

/// Tensors called `part` cut into equal rows under the names `parts`.
void split(Tensors& tensors,
           const std::string& part,
           const std::vector<std::string>& parts) {
  for (const auto& [name, tensor] : Tensors(tensors)) {
    const size_t at = name.find(part);
    if (at == std::string::npos) continue;
    const auto rows = tensor.chunk(static_cast<int64_t>(parts.size()), 0);
    for (size_t i = 0; i < parts.size(); ++i) {
      auto key = name;
      tensors[key.replace(at, part.size(), parts[i])] = rows[i].clone();
    }
    tensors.erase(name);
  }
}

const std::vector<Renaming> kTransformersEnds{
    {"patch_embed.proj", "embeddings.patch_embeddings.projection"},
    {"cls_token", "embeddings.cls_token"},
    {"mask_token", "embeddings.mask_token"},
    {"register_tokens", "embeddings.register_tokens"},
    {"pos_embed", "embeddings.position_embeddings"}};

Tensors transformers_ends(const Tensors& original) {
  Tensors out = renamed(original, kTransformersEnds);
  for (const char* end : {"weight", "bias"}) {
    out[std::string("layernorm.") + end] = out.at(std::string("norm.") + end);
    out.erase(std::string("norm.") + end);
  }
  return out;
}

Tensors vit_model(const Tensors& dino, bool version5) {
  Tensors out = transformers_ends(dino);
  if (version5) {
    out = renamed(out,
                  {{"blocks.", "layers."},
                   {"norm1", "layernorm_before"},
                   {"norm2", "layernorm_after"},
                   {"attn.proj", "attention.o_proj"}});
    split(out,
          "attn.qkv",
          {"attention.q_proj", "attention.k_proj", "attention.v_proj"});
    return out;
  }
  out = renamed(out,
                {{"blocks.", "encoder.layer."},
                 {"norm1", "layernorm_before"},
                 {"norm2", "layernorm_after"},
                 {"attn.proj", "attention.output.dense"},
                 {"mlp.fc1", "intermediate.dense"},
                 {"mlp.fc2", "output.dense"}});
  split(out,
        "attn.qkv",
        {"attention.attention.query",
         "attention.attention.key",
         "attention.attention.value"});
  out["pooler.dense.weight"] = at::zeros({2, 2});
  return out;
}

Tensors dinov2_model(const Tensors& original, bool version5) {
  Tensors out = renamed(transformers_ends(original),
                        {{"blocks.", "encoder.layer."},
                         {"ls1.gamma", "layer_scale1.lambda1"},
                         {"ls2.gamma", "layer_scale2.lambda1"}});
  if (version5) {
    out = renamed(
        out, {{"attn.proj", "attention.o_proj"}, {"mlp.w3", "mlp.down_proj"}});
    split(out,
          "attn.qkv",
          {"attention.q_proj", "attention.k_proj", "attention.v_proj"});
    split(out, "mlp.w12", {"mlp.gate_proj", "mlp.up_proj"});
    return out;
  }
  out = renamed(out,
                {{"attn.proj", "attention.output.dense"},
                 {"mlp.w12", "mlp.weights_in"},
                 {"mlp.w3", "mlp.weights_out"}});
  split(out,
        "attn.qkv",
        {"attention.attention.query",
         "attention.attention.key",
         "attention.attention.value"});
  return out;
}

Tensors sam_model(const Tensors& original) {
  return renamed(original,
                 {{"image_encoder.", "vision_encoder."},
                  {"patch_embed.proj", "patch_embed.projection"},
                  {"blocks.", "layers."},
                  {"norm1", "layer_norm1"},
                  {"norm2", "layer_norm2"},
                  {"neck.0", "neck.conv1"},
                  {"neck.1", "neck.layer_norm1"},
                  {"neck.2", "neck.conv2"},
                  {"neck.3", "neck.layer_norm2"}});
}

Tensors prefixed(const Tensors& tensors, const std::string& prefix) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out[prefix + name] = tensor;
  return out;
}

/// One checkpoint in one layout.
struct Form {
  std::string name;
  std::string original;  // fixture with the same weights
  std::string format;
  Tensors tensors;
};

std::vector<Form> forms() {
  const auto dino = vfm_tensors("dino.safetensors");
  const auto dinov2 = vfm_tensors("dinov2.safetensors");
  const auto registers = vfm_tensors("dinov2-reg.safetensors");
  const auto gated = vfm_tensors("dinov2-swiglu.safetensors");
  const auto sam = vfm_tensors("sam.safetensors");
  const std::string d = "dino.safetensors", d2 = "dinov2.safetensors",
                    r = "dinov2-reg.safetensors",
                    g = "dinov2-swiglu.safetensors", s = "sam.safetensors";
  const auto bare_sam = renamed(sam, {{"image_encoder.", ""}});
  return {
      {"dino", d, "original", dino},
      {"dino in a training backbone",
       d,
       "original",
       prefixed(dino, "backbone.")},
      {"dino, transformers 4", d, "huggingface", vit_model(dino, false)},
      {"dino, transformers 5", d, "huggingface", vit_model(dino, true)},
      {"dino, transformers, whole model",
       d,
       "huggingface",
       prefixed(vit_model(dino, false), "vit.")},
      {"dinov2", d2, "original", dinov2},
      {"dinov2, transformers 4",
       d2,
       "huggingface",
       dinov2_model(dinov2, false)},
      {"dinov2, transformers 5", d2, "huggingface", dinov2_model(dinov2, true)},
      {"dinov2, whole model",
       d2,
       "huggingface",
       prefixed(dinov2_model(dinov2, false), "dinov2.")},
      {"registers", r, "original", registers},
      {"registers, whole model",
       r,
       "huggingface",
       prefixed(dinov2_model(registers, false), "dinov2_with_registers.")},
      {"SwiGLU", g, "original", gated},
      {"SwiGLU, timm",
       g,
       "timm",
       renamed(gated,
               {{"register_tokens", "reg_token"},
                {"mlp.w12", "mlp.fc1"},
                {"mlp.w3", "mlp.fc2"}})},
      {"SwiGLU, transformers 4", g, "huggingface", dinov2_model(gated, false)},
      {"SwiGLU, transformers 5", g, "huggingface", dinov2_model(gated, true)},
      {"sam", s, "original", sam},
      {"sam without its prefix", s, "original", bare_sam},
      {"sam, timm",
       s,
       "timm",
       renamed(bare_sam, {{"mlp.lin1", "mlp.fc1"}, {"mlp.lin2", "mlp.fc2"}})},
      {"sam, transformers", s, "huggingface", sam_model(sam)},
  };
}

/// What may be left out: without registers it is another model.
bool is_optional(const std::string& name) {
  return contains(name, "mask_token") || contains(name, "pooler") ||
         contains(name, "register_tokens") || contains(name, "reg_token");
}

}  // namespace

TEST(foundation_layouts_hold_the_same_tensors) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  for (const Form& form : forms()) {
    const auto original =
        load_checkpoint(fixture("vfm/" + form.original), heads_of_32());
    write_safetensors(path, form.tensors);
    const auto got = load_checkpoint(path, heads_of_32());
    const auto complain = [&](const std::string& what) {
      tap::fail(__FILE__, __LINE__, form.name + ": " + what);
    };
    if (got.format != form.format) complain("format " + got.format);
    if (got.config.family != original.config.family) complain("family");
    if (got.config.vision.heads != original.config.vision.heads) {
      complain("heads");
    }
    if (got.dense_mode || got.config.text) complain("has what it cannot have");
    if (got.tensors.size() != original.tensors.size()) complain("count");
    for (const auto& [name, tensor] : original.tensors) {
      const auto it = got.tensors.find(name);
      if (it == got.tensors.end() || !at::equal(it->second, tensor)) {
        complain(name + " differs");
      }
    }
  }
}

TEST(foundation_sizes_come_from_the_shapes) {
  const auto load = [](const char* name) {
    return load_checkpoint(fixture(std::string("vfm/") + name), heads_of_32())
        .config;
  };
  const auto dino = load("dino.safetensors");
  CHECK(dino.family == &families::dino);
  CHECK(dino.vision.image_size == 64 && dino.vision.patch == 8);
  CHECK(dino.vision.width == 96 && dino.vision.heads == 3);
  CHECK(dino.vision.layers == 3 && dino.vision.mlp_hidden == 384);
  CHECK(dino.vision.embed_dim == 96 && dino.foundation.registers == 0);
  CHECK_CLOSE(dino.vision.layer_norm_eps, 1e-6, 0);
  CHECK_CLOSE(dino.pixels.mean[0], 0.485, 0);
  CHECK_CLOSE(dino.pixels.std[2], 0.225, 0);
  const auto gated = load("dinov2-swiglu.safetensors");
  CHECK(gated.family == &families::dinov2 && gated.foundation.gated_mlp);
  CHECK(gated.foundation.registers == 4 && gated.foundation.class_position);
  CHECK(gated.vision.mlp_hidden == 176 && gated.vision.image_size == 98);
  const auto sam = load("sam.safetensors");
  CHECK(sam.family == &families::sam && sam.foundation.window == 5);
  CHECK((sam.foundation.global_blocks ==
         std::vector<bool>{false, true, false, true}));
  CHECK(sam.vision.embed_dim == 32 && sam.vision.image_size == 128);
}

TEST(foundation_timm_registers_hold_the_class_position_in_the_token) {
  const files::TempFolder temp;
  const std::string path = temp.file("timm.safetensors");
  auto tensors = renamed(vfm_tensors("dinov2-reg.safetensors"),
                         {{"register_tokens", "reg_token"}});
  auto& positions = tensors.at("pos_embed");
  tensors["cls_token"] = tensors["cls_token"] + positions.slice(1, 0, 1);
  positions = positions.slice(1, 1).contiguous();
  write_safetensors(path, tensors);
  const auto c = load_checkpoint(path, heads_of_32());
  CHECK(c.format == "timm" && !c.config.foundation.class_position);
  CHECK(c.config.vision.grid == 7 && c.config.foundation.registers == 4);
  positions = at::zeros({1, 48, 64}, at::kHalf);
  write_safetensors(path, tensors);
  const auto message = CHECK_THROWS_CODE(load_checkpoint(path, heads_of_32()),
                                         ErrorCode::kWeights);
  CHECK(contains(message, "\"pos_embed\"") && contains(message, "48"));
}

TEST(foundation_every_missing_or_wrong_tensor_is_named) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto failure = [&](const Tensors& tensors) {
    write_safetensors(path, tensors);
    return CHECK_THROWS_CODE(load_checkpoint(path, heads_of_32()),
                             ErrorCode::kWeights);
  };
  for (const Form& form : forms()) {
    for (const auto& [name, tensor] : form.tensors) {
      if (is_optional(name)) continue;
      Tensors changed = form.tensors;
      changed.erase(name);
      const auto missing = failure(changed);
      if (!contains(missing, '"' + name + '"')) {
        tap::fail(__FILE__,
                  __LINE__,
                  form.name + " without " + name + ": " + missing);
      }
      changed[name] = at::zeros({3, 2}, at::kHalf);
      CHECK(contains(failure(changed), "model.safetensors"));
      changed[name] = tensor.to(at::kInt);
      failure(changed);
    }
  }
}

TEST(foundation_extra_tensors) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto load = [&](const char* original, const std::string& name) {
    Tensors tensors = vfm_tensors(original);
    tensors[name] = at::zeros({64}, at::kHalf);
    write_safetensors(path, tensors);
    return load_checkpoint(path, heads_of_32());
  };
  const auto refuses = [&](const char* original, const std::string& name) {
    CHECK(contains(CHECK_THROWS_CODE(load(original, name), ErrorCode::kWeights),
                   name));
  };
  refuses("dino.safetensors", "head.weight");  // a classifier: another ViT
  refuses("dino.safetensors", "register_tokens");
  refuses("dino.safetensors", "blocks.0.attn.relative_position_bias_table");
  refuses("dinov2.safetensors", "blocks.1.ls3.gamma");
  refuses("sam.safetensors", "image_encoder.cls_token");
  // a block too many, or what is left of one
  CHECK(contains(CHECK_THROWS_CODE(load("sam.safetensors",
                                        "image_encoder.blocks.7.norm1.weight"),
                                   ErrorCode::kWeights),
                 "\"image_encoder.blocks.4.attn.rel_pos_h\" is missing"));
  const auto sam = load("sam.safetensors", "mask_decoder.iou_token.weight");
  CHECK(!sam.notes.empty() && contains(sam.notes[0], "mask_decoder"));
}

TEST(foundation_sam_tables_must_agree) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto with_rows = [&](int64_t block, int64_t rows) {
    Tensors tensors = vfm_tensors("sam.safetensors");
    for (const char* side : {"h", "w"}) {
      tensors["image_encoder.blocks." + std::to_string(block) +
              ".attn.rel_pos_" + side] = at::zeros({rows, 32}, at::kHalf);
    }
    write_safetensors(path, tensors);
    return path;
  };
  for (const int64_t rows : {1, 8, 11}) {
    CHECK(contains(CHECK_THROWS_CODE(load_checkpoint(with_rows(2, rows)),
                                     ErrorCode::kWeights),
                   "rel_pos_h"));
  }
  CHECK(load_checkpoint(with_rows(2, 15)).config.foundation.global_blocks[2]);
  Tensors tensors = vfm_tensors("sam.safetensors");
  tensors["image_encoder.blocks.0.attn.rel_pos_w"] = at::zeros({11, 32});
  write_safetensors(path, tensors);
  CHECK(contains(CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights),
                 "blocks.0.attn.rel_pos_w"));
}

TEST(foundation_transformers_config) {
  const files::TempFolder temp;
  write_safetensors(temp.file("model.safetensors"),
                    vit_model(vfm_tensors("dino.safetensors"), false));
  const auto load = [&](const std::string& json) {
    temp.write("config.json", json);
    return load_checkpoint(temp.path());
  };
  const auto refuses = [&](const std::string& json) {
    return CHECK_THROWS_CODE(load(json), ErrorCode::kWeights);
  };
  const auto c = load(R"({"num_attention_heads": 3, "layer_norm_eps": 1e-5})");
  CHECK(c.config.vision.heads == 3 && c.notes.empty());
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-5, 0);
  // transformers' default for a ViT is not that of DINO's authors
  CHECK_CLOSE(
      load(R"({"num_attention_heads": 3})").config.vision.layer_norm_eps,
      1e-12,
      0);
  temp.write("preprocessor_config.json",
             R"({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 1]})");
  CHECK_CLOSE(load(R"({"num_attention_heads": 6})").config.pixels.std[2], 1, 0);
  CHECK(contains(refuses(R"({"num_attention_heads": 7})"), "7"));
  CHECK(contains(refuses(R"({"num_attention_heads": 0})"),
                 "num_attention_heads"));
  CHECK(contains(refuses(R"({"hidden_act": "quick_gelu"})"), "hidden_act"));
  CHECK(contains(refuses(R"({"layer_norm_eps": -1})"), "layer_norm_eps"));

  write_safetensors(temp.file("model.safetensors"),
                    sam_model(vfm_tensors("sam.safetensors")));
  const auto sam = load(
      R"({"vision_config": {"window_size": 5, "global_attn_indexes": [1, 3],
                            "num_attention_heads": 2}})");
  CHECK(sam.config.foundation.window == 5 && sam.config.vision.heads == 2);
  CHECK(contains(
      refuses(
          R"({"vision_config": {"window_size": 7, "global_attn_indexes": [1, 3]}})"),
      "rel_pos_h"));
  CHECK(contains(
      refuses(
          R"({"vision_config": {"window_size": 5, "global_attn_indexes": [1]}})"),
      "rel_pos_h"));
  CHECK(contains(refuses(R"({"vision_config": {"global_attn_indexes": 5}})"),
                 "global_attn_indexes"));
}

TEST(foundation_overrides_are_checked) {
  const auto load = [](const char* file, const ConfigOverrides& overrides) {
    return load_checkpoint(fixture(std::string("vfm/") + file), overrides);
  };
  ConfigOverrides o;
  for (const int64_t width : {0, 7, 128}) {
    o.head_width = width;
    CHECK_THROWS_CODE(load("dinov2.safetensors", o), ErrorCode::kInvalidArg);
    CHECK_THROWS_CODE(load("sam.safetensors", o), ErrorCode::kInvalidArg);
  }
  o = heads_of_32();
  o.layer_norm_eps = 2;
  CHECK_THROWS_CODE(load("dino.safetensors", o), ErrorCode::kInvalidArg);
  o.layer_norm_eps = 1e-4;
  o.pixels = declip::PixelStats{{0, 0, 0}, {1, 1, 1}};
  const auto c = load("dino.safetensors", o);
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-4, 0);
  CHECK_CLOSE(c.config.pixels.mean[0], 0, 0);
  CHECK(contains(
      CHECK_THROWS_CODE(load("dino.safetensors", {}), ErrorCode::kWeights),
      "config.headWidth"));
}
