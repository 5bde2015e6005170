// DINOv3: the same weights in every layout, the first block against the
// authors' code, whole models against a slow float64 version written apart from
// them, and what configurations say.

#include "families/dinov3.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/dinov2.h"
#include "families/dinov3_encoder.h"
#include "golden.h"
#include "random_planes.h"
#include "tap.h"
#include "tensor_maps.h"

using declip::Checkpoint;
using declip::ErrorCode;
using declip::load_checkpoint;
using declip::write_safetensors;
using files::contains;
using tensor_maps::Tensors;
namespace families = declip::families;

namespace {

const std::vector<std::string> kDinov3Layouts{
    ".safetensors", "-timm.safetensors", "-hf/model.safetensors"};

Tensors dinov3_tensors(const std::string& path) {
  return declip::read_safetensors(path).tensors;
}

std::string dinov3_file(const std::string& name) {
  return files::fixture("families/" + name);
}

Tensors dinov3_behind(const Tensors& tensors,
                      const std::string& what,
                      const std::string& prefix) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) {
    out[name.starts_with(what) ? prefix + name : name] = tensor;
  }
  return out;
}

// --- a slow version ---

/// One picture [3, H, W] -> tokens [1 + registers + h * w, C], all in float64,
/// from the tensors under the package's names. Channels p and p + d / 2 of a
/// head turn together.
class SlowDinoV3 {
 public:
  explicit SlowDinoV3(const Checkpoint& checkpoint) : c_(checkpoint) {}

  at::Tensor operator()(const at::Tensor& image) const {
    const auto& v = c_.config.vision;
    const int64_t h = image.size(1) / v.patch, w = image.size(2) / v.patch;
    std::vector<at::Tensor> parts{get("cls_token")[0]};
    if (c_.config.foundation.registers > 0) {
      parts.push_back(get("register_tokens")[0]);
    }
    parts.push_back(at::conv2d(image.to(at::kDouble).unsqueeze(0),
                               get("patch_embed.proj.weight"),
                               get("patch_embed.proj.bias"),
                               v.patch)
                        .squeeze(0)
                        .flatten(1)
                        .t());
    auto x = at::cat(parts, 0);
    for (int64_t i = 0; i < v.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      x = x + get(block + "ls1.gamma") * attention(block, x, h, w);
      x = x + get(block + "ls2.gamma") * mlp(block, x);
    }
    return norm("norm", x);
  }

 private:
  at::Tensor get(const std::string& name) const {
    return c_.tensors.at("visual." + name).to(at::kDouble);
  }
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return at::matmul(x, get(name + ".weight").t()) + get(name + ".bias");
  }
  at::Tensor norm(const std::string& name, const at::Tensor& x) const {
    const auto centred = x - x.mean(-1, true);
    const auto variance = centred.square().mean(-1, true);
    return centred / (variance + c_.config.vision.layer_norm_eps).sqrt() *
               get(name + ".weight") +
           get(name + ".bias");
  }
  /// x [L, d]; rows before the patches stay.
  at::Tensor turned(const at::Tensor& x, int64_t h, int64_t w) const {
    const int64_t prefix = 1 + c_.config.foundation.registers, d = x.size(1);
    auto out = x.clone();
    for (int64_t patch = 0; patch < h * w; ++patch) {
      const auto centre = [](int64_t at, int64_t of) {
        return 2 * (static_cast<double>(at) + 0.5) / static_cast<double>(of) -
               1;
      };
      const double row = centre(patch / w, h), column = centre(patch % w, w);
      for (int64_t p = 0; p < d / 2; ++p) {
        const int64_t k = p % (d / 4);
        const double frequency = std::pow(
            100.0, -4.0 * static_cast<double>(k) / static_cast<double>(d));
        const double angle =
            2 * std::numbers::pi * (p < d / 4 ? row : column) * frequency;
        const auto from = x[prefix + patch];
        const double a = from[p].item<double>();
        const double b = from[p + d / 2].item<double>();
        out[prefix + patch][p] = a * std::cos(angle) - b * std::sin(angle);
        out[prefix + patch][p + d / 2] =
            b * std::cos(angle) + a * std::sin(angle);
      }
    }
    return out;
  }
  at::Tensor attention(const std::string& block,
                       const at::Tensor& x,
                       int64_t h,
                       int64_t w) const {
    const int64_t heads = c_.config.vision.heads;
    const auto parts =
        linear(block + "attn.qkv", norm(block + "norm1", x)).chunk(3, 1);
    const int64_t d = parts[0].size(1) / heads;
    std::vector<at::Tensor> merged;
    for (int64_t n = 0; n < heads; ++n) {
      const auto head = [&](size_t part) {
        return parts[part].slice(1, n * d, (n + 1) * d);
      };
      const auto scores =
          at::matmul(turned(head(0), h, w), turned(head(1), h, w).t()) /
          std::sqrt(static_cast<double>(d));
      merged.push_back(at::matmul(scores.softmax(1), head(2)));
    }
    return linear(block + "attn.proj", at::cat(merged, 1));
  }
  at::Tensor mlp(const std::string& block, const at::Tensor& x) const {
    auto hidden = linear(block + "mlp.fc1", norm(block + "norm2", x));
    if (c_.config.foundation.gated_mlp) {
      const auto halves = hidden.chunk(2, 1);
      hidden = halves[0] * halves[0].sigmoid() * halves[1];
    } else {
      hidden = hidden * 0.5 * (1 + (hidden / std::sqrt(2.0)).erf());
    }
    return linear(block + "mlp.fc2", hidden);
  }

  const Checkpoint& c_;
};

/// Sizes of a model that nobody trained, in transformers' names.
struct Dinov3Sizes {
  int64_t width, heads, layers, mlp, patch, registers;
  bool gated, key_bias;
};

const std::vector<Dinov3Sizes> kDinov3Sizes{{24, 2, 3, 20, 4, 4, false, false},
                                            {48, 6, 1, 40, 6, 2, true, true},
                                            {16, 1, 2, 72, 8, 0, false, false}};

/// Writes a folder of transformers and returns its path.
std::string random_dinov3(const files::TempFolder& temp, const Dinov3Sizes& s) {
  Random random;
  const std::string name =
      "model-" + std::to_string(s.width) + "-" + std::to_string(s.heads);
  Tensors out;
  const auto put = [&](const std::string& key, at::IntArrayRef shape) {
    out[key] = random.tensor(shape) * (shape.size() > 1 ? 0.4 : 0.2);
    if (contains(key, "norm") && contains(key, "weight")) out[key] += 1;
  };
  const auto pair = [&](const std::string& key, at::IntArrayRef shape) {
    put(key + ".weight", shape);
    put(key + ".bias", {shape[0]});
  };
  put("embeddings.cls_token", {1, 1, s.width});
  if (s.registers > 0) {
    put("embeddings.register_tokens", {1, s.registers, s.width});
  }
  put("embeddings.mask_token", {1, 1, s.width});
  pair("embeddings.patch_embeddings", {s.width, 3, s.patch, s.patch});
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = "layer." + std::to_string(i) + ".";
    for (const char* norm : {"norm1", "norm2"}) pair(layer + norm, {s.width});
    for (const char* part : {"q", "v", "o"}) {
      pair(layer + "attention." + part + "_proj", {s.width, s.width});
    }
    put(layer + "attention.k_proj.weight", {s.width, s.width});
    if (s.key_bias) put(layer + "attention.k_proj.bias", {s.width});
    for (const char* scale : {"1", "2"}) {
      put(layer + "layer_scale" + scale + ".lambda1", {s.width});
    }
    if (s.gated) pair(layer + "mlp.gate_proj", {s.mlp, s.width});
    pair(layer + "mlp.up_proj", {s.mlp, s.width});
    pair(layer + "mlp.down_proj", {s.width, s.mlp});
  }
  pair("norm", {s.width});
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  temp.write(name + "/config.json",
             c10::str(R"({"model_type": "dinov3_vit", "num_attention_heads": )",
                      s.heads,
                      R"(, "rope_theta": 100.0)",
                      R"(, "key_bias": )",
                      flag(s.key_bias),
                      R"(, "hidden_act": ")",
                      s.gated ? "silu" : "gelu",
                      R"(", "image_size": 24, "layer_norm_eps": 1e-4})"));
  write_safetensors(temp.file(name + "/model.safetensors"), out);
  return temp.file(name);
}

std::shared_ptr<const declip::Model> load_dinov3(
    const std::string& path, bool eager, const char* dtype = "float32") {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = dtype;
  options.eager = eager;
  return declip::Model::load(path, options, {});
}

}  // namespace

TEST(dinov3_layouts_hold_the_same_tensors) {
  const files::TempFolder temp;
  for (const std::string name : {"dinov3", "dinov3-gated"}) {
    const auto first = load_checkpoint(dinov3_file(name + kDinov3Layouts[0]));
    CHECK(first.config.family == &families::dinov3);
    CHECK(first.format == "original" && !first.config.text);
    CHECK(first.config.foundation.gated_mlp == (name != "dinov3"));
    CHECK_CLOSE(first.config.vision.layer_norm_eps, 1e-5, 0);
    CHECK_CLOSE(first.config.pixels.mean[0], 0.485, 0);
    CHECK(!first.notes.empty() && contains(first.notes[0], "bfloat16"));
    const auto hf = dinov3_tensors(dinov3_file(name + kDinov3Layouts[2]));
    const auto authors = dinov3_tensors(dinov3_file(name + kDinov3Layouts[0]));
    std::vector<std::string> others{dinov3_file(name + kDinov3Layouts[1]),
                                    dinov3_file(name + "-hf")};
    const auto write = [&](const std::string& file, const Tensors& tensors) {
      write_safetensors(temp.file(name + file), tensors);
      others.push_back(temp.file(name + file));
    };
    write("-version5.safetensors", dinov3_behind(hf, "layer.", "model."));
    write("-backbone.safetensors", dinov3_behind(authors, "", "backbone."));
    for (const auto& other : others) {
      const auto got = load_checkpoint(other);
      if (got.config.family != &families::dinov3 ||
          got.config.vision.heads != first.config.vision.heads ||
          got.config.foundation.registers !=
              first.config.foundation.registers ||
          !tensor_maps::same(got.tensors, first.tensors)) {
        tap::fail(__FILE__, __LINE__, other + " differs");
      }
    }
  }
}

TEST(dinov3_stages_as_its_authors_have_them) {
  const c10::InferenceMode guard;
  const Golden golden("families");
  for (const auto& id : golden.ids()) {
    if (!id.starts_with("dinov3")) continue;
    const auto& run = golden.at(id);
    const auto image = golden.image(id);
    for (const auto& file : *run.find("weights")->array()) {
      const auto from = load_checkpoint(golden.path(*file.string()));
      for (const bool fused : {true, false}) {
        declip::Numerics numerics;
        numerics.fused = fused;
        const declip::Call call;
        const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
        const declip::DinoV3 model(from.config, weights, numerics);
        const auto grid = model.grid(image.size(2), image.size(3));
        if (run.find("outputs")->find("block0") != nullptr) {
          golden.compare(id,
                         "block0",
                         model.block(0, model.embed(image), grid, {}, nullptr));
        }
        golden.compare(
            id,
            "class_token",
            model.class_features(image, declip::Positions::kSize, {}));
        golden.compare(id, "features", model.patches(image, {}, {}));
      }
    }
  }
}

TEST(dinov3_whole_models_as_the_slow_version_has_them) {
  const c10::InferenceMode guard;
  const files::TempFolder temp;
  for (const Dinov3Sizes& sizes : kDinov3Sizes) {
    const auto path = random_dinov3(temp, sizes);
    const auto checkpoint = load_checkpoint(path);
    CHECK(checkpoint.config.vision.heads == sizes.heads);
    CHECK(checkpoint.config.foundation.registers == sizes.registers);
    CHECK(checkpoint.notes.empty());
    const SlowDinoV3 slow(checkpoint);
    for (const auto& [h, w] : {std::pair(1, 1), std::pair(3, 5)}) {
      Random random;
      const auto image =
          random.tensor({2, 3, h * sizes.patch, w * sizes.patch}) * 2.0;
      for (const bool eager : {false, true}) {
        const auto model = load_dinov3(path, eager);
        const auto tokens =
            model->encode_image(image, {.normalize = false}, {});
        const auto map = model->encode_dense(image, {}, false, {});
        for (int64_t k = 0; k < 2; ++k) {
          const auto wanted = slow(image[k]);
          CHECK_CLOSE(distance(tokens[k], wanted[0]), 0, 1e-4);
          CHECK_CLOSE(
              distance(
                  map[k],
                  wanted.slice(0, 1 + sizes.registers).t().reshape({-1, h, w})),
              0,
              1e-4);
        }
      }
    }
  }
}

TEST(dinov3_smaller_types_stay_close_to_float32) {
  for (const std::string name : {"dinov3", "dinov3-gated"}) {
    const auto path = dinov3_file(name + "-hf");
    const auto exact = load_dinov3(path, true);
    const int64_t p = exact->info().config.vision.patch;
    Random random;
    const auto image = random.tensor({2, 3, 7 * p, 4 * p});
    const auto wanted = exact->encode_dense(image, {}, true, {});
    for (const char* dtype : {"bfloat16", "float16", "int8"}) {
      try {
        const auto got =
            load_dinov3(path, false, dtype)->encode_dense(image, {}, true, {});
        const auto cosine = at::cosine_similarity(got, wanted, 1, 1e-12);
        CHECK(cosine.min().item<double>() > 0.99);
      } catch (const declip::Error& error) {
        // A processor without VNNI says so; nothing else may go wrong.
        CHECK(std::string(dtype) == "int8");
        CHECK(error.code() == ErrorCode::kDevice);
      }
    }
  }
}

TEST(dinov3_takes_whole_patches_and_stops_when_told_to) {
  const auto model = load_dinov3(dinov3_file("dinov3-hf"), false);
  const int64_t p = model->info().config.vision.patch;
  const auto message = CHECK_THROWS_CODE(
      model->encode_dense(at::zeros({1, 3, 2 * p, 2 * p + 1}), {}, false, {}),
      ErrorCode::kInvalidArg);
  CHECK(contains(message, "DINOv3 takes images whose sides are multiples"));
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(
      model->encode_dense(at::zeros({1, 3, p, p}), {}, false, call),
      ErrorCode::kAborted);
  CHECK_THROWS_CODE(model->check_text_space(), ErrorCode::kWeights);
}

TEST(dinov3_every_missing_or_wrong_tensor_is_named) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto failure = [&](const Tensors& tensors) {
    write_safetensors(path, tensors);
    return CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
  };
  const auto optional = [](const std::string& name) {
    return contains(name, "mask_token") || contains(name, "periods") ||
           contains(name, "register_tokens") || contains(name, "reg_token") ||
           contains(name, "storage_tokens");
  };
  for (const std::string name : {"dinov3", "dinov3-gated"}) {
    for (const auto& layout : kDinov3Layouts) {
      const auto all = dinov3_tensors(dinov3_file(name + layout));
      for (const auto& [key, tensor] : all) {
        if (optional(key)) continue;
        Tensors changed = all;
        changed.erase(key);
        const auto missing = failure(changed);
        // A plain layer is called by the names of a gated one.
        if (!contains(missing, '"' + key + '"')) {
          tap::fail(__FILE__, __LINE__, "without " + key + ": " + missing);
        }
        changed[key] = at::zeros({3, 2}, at::kHalf);
        CHECK(contains(failure(changed), "model.safetensors"));
        changed[key] = tensor.to(at::kInt);
        failure(changed);
      }
      Tensors extra = all;
      extra["blocks.0.attn.q_norm.weight"] = at::zeros({4}, at::kHalf);
      CHECK(contains(failure(extra), "q_norm"));
    }
  }
}

TEST(dinov3_is_told_from_dinov2) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  auto dinov2 = dinov3_tensors(files::fixture("vfm/dinov2-reg.safetensors"));
  declip::ConfigOverrides overrides;
  overrides.head_width = 32;
  CHECK(load_checkpoint(files::fixture("vfm/dinov2-reg.safetensors"), overrides)
            .config.family == &families::dinov2);
  // timm's names for registers are the same in both
  dinov2["reg_token"] = dinov2.at("register_tokens");
  dinov2.erase("register_tokens");
  write_safetensors(path, dinov2);
  CHECK(load_checkpoint(path, overrides).config.family == &families::dinov2);
  // learned positions are none of DINOv3's
  const auto refused = [&](const std::string& layout, const std::string& key) {
    auto tensors = dinov3_tensors(dinov3_file("dinov3" + layout));
    tensors[key] = at::zeros({1, 37, 128}, at::kHalf);
    write_safetensors(path, tensors);
    CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
  };
  refused(kDinov3Layouts[0], "pos_embed");
  refused(kDinov3Layouts[1], "pos_embed");
  refused(kDinov3Layouts[2], "embeddings.position_embeddings");
}

TEST(dinov3_heads_and_periods) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  auto authors = dinov3_tensors(dinov3_file("dinov3.safetensors"));
  const auto heads = [&](int64_t quarter, double base) {
    authors["rope_embed.periods"] =
        at::pow(base,
                at::arange(quarter, at::kDouble) / static_cast<double>(quarter))
            .to(at::kBFloat16);
    write_safetensors(path, authors);
    return load_checkpoint(path).config.vision.heads;
  };
  const int64_t width = authors.at("norm.weight").size(0);
  CHECK(heads(8, 100) == width / 32);
  CHECK(heads(width / 4, 100) == 1);
  CHECK(contains(CHECK_THROWS_CODE(heads(8, 90), ErrorCode::kWeights),
                 "rope_embed.periods"));
  CHECK(contains(CHECK_THROWS_CODE(heads(width, 100), ErrorCode::kWeights),
                 "rope_embed.periods"));
  authors.erase("rope_embed.periods");
  write_safetensors(path, authors);
  CHECK(load_checkpoint(path).config.vision.heads == width / 64);
  declip::ConfigOverrides overrides;
  overrides.head_width = 2;
  CHECK(contains(
      CHECK_THROWS_CODE(load_checkpoint(path, overrides), ErrorCode::kWeights),
      "multiple of 4"));
  // 7B, of which the names and shapes alone are looked at
  const int64_t c = 4096;
  const std::vector<std::pair<std::string, std::vector<int64_t>>> shapes{
      {"cls_token", {1, 1, c}},
      {"storage_tokens", {1, 4, c}},
      {"patch_embed.proj.weight", {c, 3, 1, 1}},
      {"patch_embed.proj.bias", {c}},
      {"blocks.0.norm1.weight", {c}},
      {"blocks.0.norm1.bias", {c}},
      {"blocks.0.attn.qkv.weight", {3 * c, c}},
      {"blocks.0.attn.proj.weight", {c, c}},
      {"blocks.0.attn.proj.bias", {c}},
      {"blocks.0.ls1.gamma", {c}},
      {"blocks.0.ls2.gamma", {c}},
      {"blocks.0.norm2.weight", {c}},
      {"blocks.0.norm2.bias", {c}},
      {"blocks.0.mlp.w1.weight", {1, c}},
      {"blocks.0.mlp.w1.bias", {1}},
      {"blocks.0.mlp.w2.weight", {1, c}},
      {"blocks.0.mlp.w2.bias", {1}},
      {"blocks.0.mlp.w3.weight", {c, 1}},
      {"blocks.0.mlp.w3.bias", {c}},
      {"local_cls_norm.weight", {c}},
      {"norm.weight", {c}},
      {"norm.bias", {c}}};
  std::string header = "{";
  int64_t at = 0;
  for (const auto& [name, shape] : shapes) {
    int64_t bytes = 2;
    std::string sizes;
    for (const int64_t size : shape) {
      bytes *= size;
      sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    }
    header += (at == 0 ? "\"" : ",\"") + name +
              R"(":{"dtype":"F16","shape":[)" + sizes +
              R"(],"data_offsets":[)" + std::to_string(at) + "," +
              std::to_string(at + bytes) + "]}";
    at += bytes;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const auto big = temp.write("7b.safetensors", files::safetensors(header));
  std::filesystem::resize_file(big, 8 + header.size() + at);  // a hole
  const auto seven = load_checkpoint(big).config;
  CHECK(seven.vision.heads == 32 && seven.foundation.gated_mlp);
}

TEST(dinov3_transformers_config) {
  const files::TempFolder temp;
  write_safetensors(temp.file("model.safetensors"),
                    dinov3_tensors(dinov3_file("dinov3-hf/model.safetensors")));
  const auto read = [&](const std::string& fields) {
    temp.write("config.json", "{" + fields + "}");
    return load_checkpoint(temp.path());
  };
  const auto refused = [&](const std::string& fields, const char* part) {
    const auto message = CHECK_THROWS_CODE(read(fields), ErrorCode::kWeights);
    if (!contains(message, part)) {
      tap::fail(__FILE__, __LINE__, fields + ": " + message);
    }
  };
  const std::string heads = R"("num_attention_heads": 4)";
  const auto c = read(heads + R"(, "image_size": [64, 64], "rope_theta": 100)");
  CHECK(c.config.vision.heads == 4 && c.config.vision.image_size == 64);
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-5, 0);
  CHECK(c.config.preprocess.resize == declip::Preprocess::Resize::kSquash);
  CHECK(read(heads).config.vision.image_size == 224);
  refused(R"("num_attention_heads": 7)", "num_attention_heads");
  refused(heads + R"(, "hidden_act": "silu")", "hidden_act");
  refused(heads + R"(, "rope_theta": 50)", "rope_theta");
  refused(heads + R"(, "query_bias": false)", "query_bias");
  refused(heads + R"(, "key_bias": true)", "k_proj.bias");
  refused(heads + R"(, "mlp_bias": false)", "mlp_bias");
  refused(heads + R"(, "proj_bias": false)", "proj_bias");
  refused(heads + R"(, "num_channels": 4)", "num_channels");
  refused(heads + R"(, "image_size": [64, 32])", "image_size");
  refused(heads + R"(, "model_type": "dinov3_convnext")", "dinov3_convnext");
  CHECK(contains(read(heads + R"(, "of_tomorrow": 1)").notes.at(0),
                 "of_tomorrow"));
  temp.write("preprocessor_config.json",
             R"({"image_processor_type": "DINOv3ViTImageProcessorFast",
                 "image_mean": [0.43, 0.411, 0.296],
                 "image_std": [0.213, 0.156, 0.143],
                 "size": {"height": 256, "width": 256}})");
  const auto satellite = read(heads).config;
  CHECK_CLOSE(satellite.pixels.mean[2], 0.296, 0);
  CHECK(satellite.preprocess.side == 256 && !satellite.preprocess.bicubic);
}

TEST(dinov3_statistics_of_satellite_models) {
  const files::TempFolder temp;
  const auto authors = dinov3_tensors(dinov3_file("dinov3.safetensors"));
  const auto path = temp.file("dinov3_vitl16_pretrain_sat493m.safetensors");
  write_safetensors(path, authors);
  const auto c = load_checkpoint(path);
  CHECK_CLOSE(c.config.pixels.std[2], 0.143, 0);
  CHECK(contains(c.notes.at(1), "sat493m"));
  write_safetensors(temp.file("model.safetensors"),
                    dinov3_tensors(dinov3_file("dinov3-timm.safetensors")));
  const auto read = [&](const std::string& trained) {
    temp.write("config.json",
               R"({"architecture": "vit_large_patch16_dinov3",
                   "global_pool": "avg", "pretrained_cfg": {)" +
                   trained + "}}");
    return load_checkpoint(temp.file("model.safetensors"));
  };
  const auto timm = read(R"("tag": "sat493m", "input_size": [3, 256, 256],
      "interpolation": "bicubic", "crop_pct": 1.0,
      "mean": [0.43, 0.411, 0.296], "std": [0.213, 0.156, 0.143])");
  CHECK_CLOSE(timm.config.pixels.mean[0], 0.43, 0);
  CHECK(timm.format == "timm" && timm.config.vision.image_size == 256);
  CHECK(timm.config.preprocess.bicubic && timm.config.preprocess.side == 256);
  CHECK(contains(timm.notes.at(0), "global_pool"));
  const auto refused = [&](const std::string& trained, const char* part) {
    CHECK(
        contains(CHECK_THROWS_CODE(read(trained), ErrorCode::kWeights), part));
  };
  refused(R"("tag": "eupe_lvd1689m")", "EUPE");
  refused(R"("interpolation": "lanczos")", "lanczos");
  refused(R"("crop_mode": "border")", "border");
  refused(R"("input_size": [3, 256, 128])", "input_size");
  refused(R"("crop_pct": 1.5)", "crop_pct");
  temp.write("config.json", R"({"architecture": "vit_base_patch16_lingbot"})");
  CHECK(contains(
      CHECK_THROWS_CODE(load_checkpoint(temp.file("model.safetensors")),
                        ErrorCode::kWeights),
      "LingBot"));
  temp.write("config.json",
             R"({"architecture": "x", "model_args": {"rope_temperature": 5}})");
  CHECK(contains(
      CHECK_THROWS_CODE(load_checkpoint(temp.file("model.safetensors")),
                        ErrorCode::kWeights),
      "rope_temperature"));
}
