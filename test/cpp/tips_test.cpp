// TIPSv2 against a slow float64 version written apart from it, with both forms
// of its configuration, both names of its MLP and SwiGLU, at sizes that the
// golden tests do not have.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "random_planes.h"
#include "tap.h"

using declip::DenseMode;
using declip::ErrorCode;

namespace {

struct TipsShape {
  int64_t width, heads, text_heads;
  int64_t patch = 6, grid = 5, layers = 3, hidden = 40;
  int64_t text_layers = 2, vocab = 30, context = 11;
  bool gated = false;
  const char* fc1 = "mlp.c_fc";
  const char* fc2 = "mlp.c_proj";
};

class TipsTensors {
 public:
  std::map<std::string, at::Tensor> all;

  void add(const std::string& name, at::IntArrayRef shape, double scale = 0.3) {
    all[name] = random_.tensor(shape) * scale;
  }
  void linear(const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void norm(const std::string& name, int64_t width) {
    add(name + ".weight", {width});
    all[name + ".weight"] += 1;
    add(name + ".bias", {width});
  }

 private:
  Random random_;
};

std::map<std::string, at::Tensor> tips_tensors(const TipsShape& s) {
  TipsTensors t;
  const std::string v = "vision_encoder.", x = "text_encoder.";
  t.add(v + "cls_token", {1, 1, s.width});
  t.add(v + "register_tokens", {1, 1, s.width});
  t.add(v + "mask_token", {1, s.width});
  t.add(v + "pos_embed", {1, 1 + s.grid * s.grid, s.width}, 1);
  t.add(v + "patch_embed.proj.weight", {s.width, 3, s.patch, s.patch});
  t.add(v + "patch_embed.proj.bias", {s.width});
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string b = v + "blocks." + std::to_string(i) + ".";
    t.norm(b + "norm1", s.width);
    t.linear(b + "attn.qkv", 3 * s.width, s.width);
    t.linear(b + "attn.proj", s.width, s.width);
    t.add(b + "ls1.gamma", {s.width}, 1);
    t.norm(b + "norm2", s.width);
    t.linear(b + s.fc1, s.hidden * (s.gated ? 2 : 1), s.width);
    t.linear(b + s.fc2, s.width, s.hidden);
    t.add(b + "ls2.gamma", {s.width}, 1);
  }
  t.norm(v + "norm", s.width);
  t.add(x + "token_embedding.weight", {s.vocab, s.width}, 0.1);
  for (int64_t i = 0; i < s.text_layers; ++i) {
    const std::string b =
        x + "transformer.resblocks." + std::to_string(i) + ".";
    t.norm(b + "ln_1", s.width);
    t.add(b + "attn.in_proj_weight", {3 * s.width, s.width});
    t.add(b + "attn.in_proj_bias", {3 * s.width});
    t.linear(b + "attn.out_proj", s.width, s.width);
    t.norm(b + "ln_2", s.width);
    t.linear(b + "mlp.c_fc", s.hidden, s.width);
    t.linear(b + "mlp.c_proj", s.width, s.hidden);
  }
  t.norm(x + "ln_final", s.width);
  return t.all;
}

/// The model in float64, one picture or text at a time, from the file's names.
class SlowTips {
 public:
  SlowTips(std::map<std::string, at::Tensor> tensors, TipsShape shape)
      : tensors_(std::move(tensors)), s_(shape) {}

  /// image [3, H, W] -> tokens after the final norm [2 + h * w, C].
  at::Tensor picture(const at::Tensor& image, bool values) const {
    const std::string v = "vision_encoder.";
    const int64_t p = s_.patch, n = s_.grid;
    const int64_t h = image.size(1) / p, w = image.size(2) / p;
    const auto positions = get(v + "pos_embed")[0];
    const auto patches = at::conv2d(image.to(at::kDouble).unsqueeze(0),
                                    get(v + "patch_embed.proj.weight"),
                                    get(v + "patch_embed.proj.bias"),
                                    p)[0]
                             .flatten(1)
                             .t();
    const auto table = positions.slice(0, 1).reshape({n, n, -1});
    const auto rows = at::einsum("yi,ijc->yjc", {resize(n, h), table});
    const auto resized = at::einsum("xj,yjc->yxc", {resize(n, w), rows});
    auto x = at::cat({get(v + "cls_token")[0] + positions.slice(0, 0, 1),
                      get(v + "register_tokens")[0],
                      patches + resized.reshape({h * w, -1})});
    for (int64_t i = 0; i < s_.layers; ++i) {
      const std::string b = v + "blocks." + std::to_string(i) + ".";
      const auto qkv = linear(b + "attn.qkv.", norm(b + "norm1", 1e-6, x));
      const auto merged = values && i == s_.layers - 1
                              ? qkv.chunk(3, 1)[2]
                              : attention(qkv, s_.heads, {});
      x = x + linear(b + "attn.proj.", merged) * get(b + "ls1.gamma");
      auto hidden = linear(b + s_.fc1 + ".", norm(b + "norm2", 1e-6, x));
      if (s_.gated) {
        const auto halves = hidden.chunk(2, 1);
        hidden = halves[0] * halves[0].sigmoid() * halves[1];
      } else {
        hidden = hidden * 0.5 * (1 + (hidden / std::sqrt(2.0)).erf());
      }
      x = x + linear(b + s_.fc2 + ".", hidden) * get(b + "ls2.gamma");
    }
    return norm(v + "norm", 1e-6, x);
  }

  /// ids [L], 0 is padding -> [C].
  at::Tensor text(const at::Tensor& ids) const {
    const std::string t = "text_encoder.";
    const int64_t length = ids.size(0), half = s_.width / 2;
    auto x = get(t + "token_embedding.weight").index_select(0, ids) *
             std::sqrt(static_cast<double>(s_.width));
    for (int64_t p = 0; p < length; ++p) {
      for (int64_t k = 0; k < half; ++k) {
        const double angle =
            static_cast<double>(p) *
            std::pow(10000.0,
                     -static_cast<double>(k) / static_cast<double>(half - 1));
        x[p][k] += std::sin(angle);
        x[p][half + k] += std::cos(angle);
      }
    }
    const auto real = ids.ne(0);
    for (int64_t i = 0; i < s_.text_layers; ++i) {
      const std::string b =
          t + "transformer.resblocks." + std::to_string(i) + ".";
      const auto qkv = linear(b + "attn.in_proj_", norm(b + "ln_1", 1e-5, x));
      x = x + linear(b + "attn.out_proj.", attention(qkv, s_.text_heads, real));
      const auto hidden =
          linear(b + "mlp.c_fc.", norm(b + "ln_2", 1e-5, x)).clamp_min(0);
      x = x + linear(b + "mlp.c_proj.", hidden);
    }
    const auto kept = real.to(at::kDouble);
    return (norm(t + "ln_final", 1e-5, x) * kept.unsqueeze(1)).sum(0) /
           (kept.sum() + 1e-8);
  }

  at::Tensor norm(const std::string& name,
                  double eps,
                  const at::Tensor& x) const {
    const auto centred = x - x.mean(-1, true);
    return centred / (centred.square().mean(-1, true) + eps).sqrt() *
               get(name + ".weight") +
           get(name + ".bias");
  }

 private:
  at::Tensor get(const std::string& name) const {
    return tensors_.at(name).to(at::kDouble);
  }
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return at::matmul(x, get(name + "weight").t()) + get(name + "bias");
  }
  static at::Tensor attention(const at::Tensor& qkv,
                              int64_t heads,
                              const at::Tensor& keys) {
    const auto parts = qkv.chunk(3, 1);
    const int64_t d = parts[0].size(1) / heads;
    std::vector<at::Tensor> out;
    for (int64_t n = 0; n < heads; ++n) {
      const auto head = [&](size_t part) {
        return parts[part].slice(1, n * d, (n + 1) * d);
      };
      auto scores =
          at::matmul(head(0), head(1).t()) / std::sqrt(static_cast<double>(d));
      if (keys.defined()) {
        scores = scores.masked_fill(keys.logical_not(), -INFINITY);
      }
      out.push_back(at::matmul(scores.softmax(1), head(2)));
    }
    return at::cat(out, 1);
  }
  /// Matrix of bilinear interpolation, widened when it shrinks.
  static at::Tensor resize(int64_t from, int64_t to) {
    auto out = at::zeros({to, from}, at::kDouble);
    if (from == to) return at::eye(from, at::kDouble);
    const double step = static_cast<double>(from) / static_cast<double>(to);
    const double scale = std::max(step, 1.0);
    for (int64_t i = 0; i < to; ++i) {
      for (int64_t j = 0; j < from; ++j) {
        const double d = (static_cast<double>(j) + 0.5 -
                          (static_cast<double>(i) + 0.5) * step) /
                         scale;
        out[i][j] = std::max(1 - std::abs(d), 0.0);
      }
      out[i] /= out[i].sum();
    }
    return out;
  }

  std::map<std::string, at::Tensor> tensors_;
  TipsShape s_;
};

struct TipsVariant {
  std::string name;
  TipsShape shape;
  std::string config;  // config.json; empty: none
};

std::vector<TipsVariant> tips_variants() {
  const TipsShape plain{.width = 48, .heads = 3, .text_heads = 4};
  TipsShape authors{.width = 128, .heads = 2, .text_heads = 4, .gated = true};
  authors.fc1 = "mlp.w12";
  authors.fc2 = "mlp.w3";
  TipsShape told_nothing{.width = 64, .heads = 1, .text_heads = 1};
  told_nothing.context = 64;
  told_nothing.fc1 = "mlp.fc1";
  told_nothing.fc2 = "mlp.fc2";
  return {
      {"transformers",
       plain,
       R"({"model_type": "tipsv2", "temperature_init_value": 0.01,
           "vision_config": {"model_type": "tipsv2_vision_model",
                             "num_attention_heads": 3},
           "text_config": {"num_attention_heads": 4,
                           "max_position_embeddings": 11}})"},
      {"authors",
       authors,
       R"({"model_type": "tipsv2", "vision_fn": "vit_giant2",
           "ffn_layer": "swiglu", "temperature": 0.0036, "max_len": 11,
           "text_num_heads": 4})"},
      {"nothing", told_nothing, ""},
  };
}

std::string tips_folder(const files::TempFolder& temp,
                        const TipsVariant& variant) {
  const std::string folder = variant.name + "/";
  if (!variant.config.empty()) {
    temp.write(folder + "config.json", variant.config);
  }
  temp.write(folder + "note.txt", "makes the folder");
  declip::write_safetensors(temp.file(folder + "model.safetensors"),
                            tips_tensors(variant.shape));
  return temp.file(variant.name);
}

std::shared_ptr<const declip::Model> load_tips(const std::string& folder,
                                               bool eager,
                                               const char* dtype) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = dtype;
  options.eager = eager;
  return declip::Model::load(folder, options, {});
}

declip::DenseOptions tips_mode(DenseMode mode) {
  declip::DenseOptions out;
  out.mode = mode;
  return out;
}

at::Tensor tips_texts(const TipsShape& s) {
  return at::tensor(
             {3, 1, 29, 7, 7, 0, 0, 5, 0, 0, 0, 0, 0, 0, 2, 4, 6, 8, 9, 1, 3},
             at::kLong)
      .reshape({3, 7})
      .clamp_max(s.vocab - 1);
}

}  // namespace

TEST(tips_as_the_slow_version_has_it) {
  const c10::InferenceMode guard;
  const files::TempFolder temp;
  for (const auto& variant : tips_variants()) {
    const tap::Case named(variant.name);
    const auto& s = variant.shape;
    const auto folder = tips_folder(temp, variant);
    const SlowTips slow(tips_tensors(s), s);
    for (const bool eager : {false, true}) {
      const auto model = load_tips(folder, eager, "float32");
      const int64_t p = s.patch;
      using Grid = std::pair<int64_t, int64_t>;
      for (const auto& [h, w] :
           {Grid{s.grid, s.grid}, Grid{1, 1}, Grid{7, 3}, Grid{2, 9}}) {
        Random random;
        // pixels beyond whole patches are dropped
        const auto image = random.tensor({2, 3, h * p + 1, w * p + 2}) * 2.0;
        declip::StageOptions last;
        last.blocks = {s.layers - 1};
        const auto prefix =
            model->encode_stages(image, last, {}).blocks[0].prefix;
        CHECK(prefix.size(1) == 2);
        const auto tokens =
            slow.norm("vision_encoder.norm", 1e-6, prefix.to(at::kDouble));
        const auto token = model->encode_image(image, {.normalize = false}, {});
        for (int64_t k = 0; k < 2; ++k) {
          const auto wanted = slow.picture(image[k], false);
          CHECK_CLOSE(distance(token[k], wanted[0]), 0, 1e-4);
          CHECK_CLOSE(distance(tokens[k], wanted.slice(0, 0, 2)), 0, 1e-4);
        }
        for (const auto mode : {DenseMode::kVanilla, DenseMode::kMaskClip}) {
          const auto map =
              model->encode_dense(image, tips_mode(mode), false, {});
          CHECK(map.sizes() == at::IntArrayRef({2, s.width, h, w}));
          for (int64_t k = 0; k < 2; ++k) {
            const auto wanted =
                slow.picture(image[k], mode == DenseMode::kMaskClip);
            CHECK_CLOSE(
                distance(map[k].flatten(1).t(), wanted.slice(0, 2)), 0, 1e-4);
          }
        }
      }
      const auto texts = tips_texts(s);
      const auto got = model->encode_text(texts, false, {});
      for (int64_t i = 0; i < texts.size(0); ++i) {
        CHECK_CLOSE(distance(got[i], slow.text(texts[i])), 0, 1e-4);
      }
    }
  }
}

TEST(tips_smaller_types_stay_close_to_float32) {
  const files::TempFolder temp;
  for (const auto& variant : tips_variants()) {
    const tap::Case named(variant.name);
    const auto folder = tips_folder(temp, variant);
    const auto exact = load_tips(folder, true, "float32");
    const int64_t p = variant.shape.patch;
    const auto image = Random().tensor({1, 3, 8 * p, 4 * p});
    const auto texts = tips_texts(variant.shape);
    for (const char* dtype : {"bfloat16", "float16", "int8"}) {
      const tap::Case in(dtype);
      std::shared_ptr<const declip::Model> model;
      try {
        model = load_tips(folder, false, dtype);
      } catch (const declip::Error& error) {
        // A processor without VNNI says so; nothing else may go wrong.
        CHECK(std::string(dtype) == "int8");
        CHECK(error.code() == ErrorCode::kDevice);
        continue;
      }
      const auto close = [](const at::Tensor& a, const at::Tensor& b) {
        CHECK(at::cosine_similarity(a, b, 1, 1e-12).min().item<double>() >
              0.95);
      };
      for (const auto mode : {DenseMode::kVanilla, DenseMode::kMaskClip}) {
        const auto dense = [&](const auto& of) {
          return of->encode_dense(image, tips_mode(mode), true, {});
        };
        close(dense(model), dense(exact));
      }
      close(model->encode_text(texts, true, {}),
            exact->encode_text(texts, true, {}));
    }
  }
}

TEST(tips_reads_what_its_configuration_says) {
  const files::TempFolder temp;
  auto variant = tips_variants()[0];
  const auto info =
      load_tips(tips_folder(temp, variant), true, "float32")->info();
  CHECK(info.family == "tips");
  CHECK(info.format == "huggingface");
  CHECK(info.stored_dtype == "float32");
  CHECK(info.text_space);
  CHECK(info.notes.empty());
  CHECK_CLOSE(info.logit_scale.value(), 100, 1e-6);
  CHECK(info.config.text->context == 11);
  CHECK(info.config.pixels.mean[1] == 0 && info.config.pixels.std[1] == 1);
  CHECK(info.config.preprocess.resize == declip::Preprocess::Resize::kSquash);
  CHECK(!info.config.preprocess.bicubic && !info.config.preprocess.crop);

  const auto authors =
      load_tips(tips_folder(temp, tips_variants()[1]), true, "float32");
  CHECK_CLOSE(authors->info().logit_scale.value(), 1 / 0.0036, 1e-4);
  CHECK(authors->info().swiglu);
  const auto nothing =
      load_tips(tips_folder(temp, tips_variants()[2]), true, "float32");
  CHECK(nothing->info().format == "original");
  CHECK(nothing->info().notes.size() == 1);

  const auto refused = [&](const std::string& config,
                           const std::string& message) {
    variant.config = config;
    const auto folder = tips_folder(temp, variant);
    const auto why = CHECK_THROWS_CODE(load_tips(folder, true, "float32"),
                                       ErrorCode::kWeights);
    CHECK(files::contains(why, message));
  };
  refused(R"({"model_type": "dinov2"})", "\"model_type\" is \"dinov2\"");
  refused(R"({"vision_config": {"hidden_act": "gelu_new"}})",
          "\"hidden_act\" is \"gelu_new\"");
  refused(R"({"text_config": {"hidden_act": "gelu"}})",
          "\"hidden_act\" is \"gelu\"");
  refused(R"({"vision_fn": "vit_tiny"})", "\"vision_fn\" is \"vit_tiny\"");
  refused(R"({"temperature": 0})", "\"temperature\" must be a number above 0");
  refused(R"({"vision_config": {"num_attention_heads": 5}})",
          "num_attention_heads");
}

TEST(tips_has_two_dense_modes) {
  const files::TempFolder temp;
  const auto variant = tips_variants()[0];
  const auto model = load_tips(tips_folder(temp, variant), true, "float32");
  const auto image = Random().tensor({1, 3, 30, 30});
  const auto why = CHECK_THROWS_CODE(
      model->encode_dense(image, tips_mode(DenseMode::kCsa), true, {}),
      ErrorCode::kInvalidArg);
  CHECK(files::contains(why, "vanilla") && files::contains(why, "maskclip"));
  auto bare = tips_mode(DenseMode::kMaskClip);
  bare.residual = false;
  bare.feed_forward = false;
  const auto whole =
      model->encode_dense(image, tips_mode(DenseMode::kMaskClip), false, {});
  CHECK(distance(model->encode_dense(image, bare, false, {}), whole) > 0.01);
}
