// SigLIP's image tower and its pooling head: the recorded stages that
// JavaScript does not see, and whole models against a slow float64 version
// written apart from them, at sizes that the golden tests do not have.

#include "families/siglip.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "families/siglip_encoder.h"
#include "golden.h"
#include "model/recipe.h"
#include "random_planes.h"
#include "tap.h"

using declip::Checkpoint;
using declip::DenseMode;
using declip::DenseOptions;
using declip::Numerics;
using declip::Siglip;

namespace {

/// A tower of its own: widths and heads that no fixture has.
Checkpoint random_model(int64_t grid = 3, int64_t heads = 3) {
  Checkpoint out;
  out.config.family = &declip::families::siglip;
  auto& v = out.config.vision;
  v.patch = 6;
  v.grid = grid;
  v.image_size = grid * v.patch;
  v.width = 36;
  v.heads = heads;
  v.layers = 3;
  v.mlp_hidden = 40;
  v.embed_dim = v.width;
  v.activation = declip::Activation::kGeluTanh;
  v.layer_norm_eps = 1e-6;
  v.class_token = false;
  out.config.pooling_head = {heads, 52, v.activation};
  Random random;
  const auto put = [&](const std::string& name, at::IntArrayRef shape) {
    const double scale =
        shape.size() < 2 ? 0.3 : 1.5 / std::sqrt(static_cast<double>(shape[1]));
    auto x = random.tensor(shape) * scale;
    const bool gain = name.find("ln_") != std::string::npos ||
                      name.find("norm") != std::string::npos;
    if (gain && name.ends_with("weight")) x = x + 1;
    out.tensors[name] = x;
  };
  const auto pair = [&](const std::string& name, at::IntArrayRef shape) {
    put(name + ".weight", shape);
    put(name + ".bias", {shape[0]});
  };
  const int64_t d = v.width;
  pair("visual.conv1", {d, 3, v.patch, v.patch});
  put("visual.positional_embedding", {grid * grid, d});
  const auto block = [&](const std::string& name, int64_t hidden, bool head) {
    if (!head) pair(name + "ln_1", {d});
    put(name + "attn.in_proj_weight", {3 * d, d});
    put(name + "attn.in_proj_bias", {3 * d});
    pair(name + "attn.out_proj", {d, d});
    pair(name + (head ? "layernorm" : "ln_2"), {d});
    pair(name + "mlp.c_fc", {hidden, d});
    pair(name + "mlp.c_proj", {d, hidden});
  };
  for (int64_t i = 0; i < v.layers; ++i) {
    block("visual.transformer.resblocks." + std::to_string(i) + ".",
          v.mlp_hidden,
          false);
  }
  pair("visual.ln_post", {d});
  put("visual.attn_pool.probe", {1, 1, d});
  block("visual.attn_pool.", out.config.pooling_head->mlp_hidden, true);
  return out;
}

std::unique_ptr<Siglip> make(const Checkpoint& model, const Numerics& how) {
  const declip::Call call;
  const declip::Weights weights(model.tensors, at::kCPU, how.stream(), call);
  return std::make_unique<Siglip>(model.config, weights, how);
}

Numerics fused() {
  Numerics out;
  out.fused = true;
  return out;
}

/// One picture at a time in float64.
class SlowSiglip {
 public:
  explicit SlowSiglip(const Checkpoint& model) : c_(model) {}

  /// Tokens after the final norm, [h * w, D].
  at::Tensor tokens(const at::Tensor& image) const {
    const auto& v = c_.config.vision;
    const int64_t p = v.patch, h = image.size(1) / p, w = image.size(2) / p;
    std::vector<at::Tensor> rows;
    const auto kernel = get("conv1.weight").flatten(1);
    for (int64_t i = 0; i < h * w; ++i) {
      const auto pixels = image.slice(1, i / w * p, (i / w + 1) * p)
                              .slice(2, i % w * p, (i % w + 1) * p)
                              .to(at::kDouble);
      rows.push_back(at::mv(kernel, pixels.flatten()) + get("conv1.bias"));
    }
    auto table = get("positional_embedding");
    if (h != v.grid || w != v.grid) {
      table = at::upsample_bicubic2d(
                  table.t().reshape({1, -1, v.grid, v.grid}), {h, w}, false)
                  .flatten(2)[0]
                  .t();
    }
    auto x = at::stack(rows) + table;
    for (int64_t i = 0; i < v.layers; ++i) {
      const auto block = "transformer.resblocks." + std::to_string(i) + ".";
      const auto y = norm(block + "ln_1", x);
      const auto q = part(block, 0, y), k = part(block, 1, y);
      const auto a = weights(q, k, v.heads);
      x = x + out(block, attend(a, part(block, 2, y), v.heads));
      x = x + mlp(block, norm(block + "ln_2", x));
    }
    return norm("ln_post", x);
  }

  at::Tensor pooled(const at::Tensor& h) const {
    const auto q = part(kHead, 0, get("attn_pool.probe")[0]);
    const auto a = weights(q, part(kHead, 1, h), heads());
    return tail(out(kHead, attend(a, part(kHead, 2, h), heads())), "head")[0];
  }

  at::Tensor dense(const at::Tensor& h, const std::string& mode) const {
    const auto q = part(kHead, 0, h), k = part(kHead, 1, h);
    const auto v = part(kHead, 2, h);
    const int64_t n = heads();
    at::Tensor o;
    if (mode.starts_with("maskclip")) {
      o = out(kHead, v);
    } else {
      at::Tensor a;
      if (mode == "kk") {
        a = weights(k, k, n);
      } else if (mode == "vv") {
        a = weights(v, v, n);
      } else if (mode == "csa") {
        a = weights(q, q, n) + weights(k, k, n);
      } else if (mode == "vanilla") {
        a = weights(q, k, n);
      } else {
        a = weights(q, q, n);
      }
      o = out(kHead, attend(a, v, n));
    }
    return tail(o,
                mode == "declip"                ? "declip"
                : mode.ends_with("-projection") ? "none"
                                                : "head");
  }

 private:
  static constexpr const char* kHead = "attn_pool.";

  int64_t heads() const { return c_.config.pooling_head->heads; }
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
  /// Part 0 (q), 1 (k) or 2 (v) of a projection.
  at::Tensor part(const std::string& block,
                  int64_t i,
                  const at::Tensor& x) const {
    const auto weight = get(block + "attn.in_proj_weight").chunk(3)[i];
    return at::matmul(x, weight.t()) +
           get(block + "attn.in_proj_bias").chunk(3)[i];
  }
  at::Tensor out(const std::string& block, const at::Tensor& x) const {
    return linear(block + "attn.out_proj", x);
  }
  at::Tensor mlp(const std::string& block, const at::Tensor& x) const {
    const auto y = linear(block + "mlp.c_fc", x);
    const auto inner = std::sqrt(2 / M_PI) * (y + 0.044715 * y.pow(3));
    return linear(block + "mlp.c_proj", 0.5 * y * (1 + inner.tanh()));
  }
  /// softmax of every head, [n, Lq, Lk].
  static at::Tensor weights(const at::Tensor& q,
                            const at::Tensor& k,
                            int64_t heads) {
    std::vector<at::Tensor> all;
    const auto qs = q.chunk(heads, 1), ks = k.chunk(heads, 1);
    for (size_t i = 0; i < qs.size(); ++i) {
      const double d = static_cast<double>(qs[i].size(1));
      all.push_back((at::matmul(qs[i], ks[i].t()) / std::sqrt(d)).softmax(1));
    }
    return at::stack(all);
  }
  static at::Tensor attend(const at::Tensor& a,
                           const at::Tensor& v,
                           int64_t heads) {
    std::vector<at::Tensor> all;
    const auto vs = v.chunk(heads, 1);
    for (int64_t i = 0; i < heads; ++i)
      all.push_back(at::matmul(a[i], vs[static_cast<size_t>(i)]));
    return at::cat(all, 1);
  }
  at::Tensor tail(const at::Tensor& o, const std::string& kind) const {
    if (kind == "none") return o;
    const auto z = norm("attn_pool.layernorm", o);
    return (kind == "declip" ? z : o) + mlp(kHead, z);
  }

  const Checkpoint& c_;
};

DenseOptions dense(DenseMode mode) {
  DenseOptions out;
  out.mode = mode;
  return out;
}

std::vector<DenseMode> modes_without_proxy() {
  std::vector<DenseMode> out;
  for (const DenseMode mode : declip::head_modes()) {
    if (mode != DenseMode::kProxyClip) out.push_back(mode);
  }
  return out;
}

/// [D, h, w] -> [h * w, D].
at::Tensor rows(const at::Tensor& map) { return map.flatten(1).t(); }

struct Fixture {
  Golden golden{"families"};
  std::string id;
  at::Tensor image;

  explicit Fixture(const std::string& name) : id(name) {
    image = golden.image(id);
  }
  std::shared_ptr<const declip::Model> load(bool eager) const {
    declip::LoadOptions options;
    options.device = "cpu";
    options.dtype = "float32";
    options.eager = eager;
    const auto weights = *golden.at(id).find("weights")->string();
    return declip::Model::load(
        golden.path(weights.substr(0, weights.find('/'))), options, {});
  }
};

}  // namespace

TEST(siglip_recorded_stages_of_the_image_tower) {
  const c10::InferenceMode guard;
  for (const char* id : {"siglip-native", "siglip2-native"}) {
    const Golden golden("families");
    const auto& run = golden.at(id);
    const auto weights = *run.find("weights")->string();
    const auto checkpoint = declip::load_checkpoint(
        golden.path(weights.substr(0, weights.find('/'))));
    const auto image = golden.image(id);
    for (const bool fast : {true, false}) {
      const auto tower = make(checkpoint, fast ? fused() : Numerics{});
      const auto grid = tower->grid(image.size(2), image.size(3));
      auto x = tower->embed(image, declip::Positions::kSize);
      const auto has = [&](const std::string& name) {
        return run.find("outputs")->find(name) != nullptr;
      };
      if (has("embeddings")) golden.compare(id, "embeddings", x);
      for (int64_t i = 0; i < tower->depth(); ++i) {
        x = tower->block(i, x, grid, {}, nullptr);
        const auto name = "block" + std::to_string(i);
        if (has(name)) golden.compare(id, name, x);
      }
      golden.compare(
          id, "tokens", tower->tokens(image, declip::Positions::kSize, {}));
    }
  }
}

TEST(siglip_recorded_context_is_q_of_the_pooling_head) {
  const c10::InferenceMode guard;
  const Golden golden("families");
  const std::string id = "siglip-dense-native";
  const auto weights = *golden.at(id).find("weights")->string();
  const auto checkpoint = declip::load_checkpoint(
      golden.path(weights.substr(0, weights.find('/'))));
  const auto image = golden.image(id);
  for (const bool fast : {true, false}) {
    const auto tower = make(checkpoint, fast ? fused() : Numerics{});
    const auto h = tower->tokens(image, declip::Positions::kSize, {});
    declip::Wanted query;
    query.k = query.v = false;
    // [1, N, n, d] -> [n, N, d]
    golden.compare(
        id, "context", tower->head().project(h, query).q[0].transpose(0, 1));
  }
}

TEST(siglip_recorded_features_in_both_engines) {
  for (const char* id : {"siglip-native",
                         "siglip-nonsquare",
                         "siglip-dense-native",
                         "siglip-dense-large",
                         "siglip-open_clip-native",
                         "siglip2-native",
                         "siglip2-open_clip-native"}) {
    const Fixture fixture(id);
    const auto& run = fixture.golden.at(id);
    for (const bool eager : {true, false}) {
      const auto model = fixture.load(eager);
      for (const auto& [name, spec] : *run.find("outputs")->object()) {
        if (name == "image_embedding") {
          fixture.golden.compare(
              id,
              name,
              model->encode_image(fixture.image, {.normalize = false}, {}));
        } else if (name == "text_embedding") {
          const auto ids =
              fixture.golden.tensor(*run.find("inputs")->find("ids"));
          fixture.golden.compare(id, name, model->encode_text(ids, false, {}));
        } else if (spec.find("shape")->array()->size() == 4) {
          const auto mode = name.starts_with("dense-") ? name.substr(6) : name;
          fixture.golden.compare(
              id,
              name,
              model->encode_dense(fixture.image,
                                  dense(declip::dense_mode_from(mode)),
                                  false,
                                  {}));
        }
      }
    }
  }
}

TEST(siglip_whole_models_as_the_slow_version_has_them) {
  const c10::InferenceMode guard;
  const std::vector<std::pair<int64_t, int64_t>> grids{
      {3, 3}, {1, 1}, {5, 2}, {4, 7}, {1, 9}};
  for (const int64_t heads : {3, 1}) {
    const auto model = random_model(3, heads);
    const SlowSiglip slow(model);
    for (const bool fast : {true, false}) {
      const auto tower = make(model, fast ? fused() : Numerics{});
      for (const auto& [h, w] : grids) {
        Random random;
        // pixels beyond whole patches are dropped
        const auto image = random.tensor({2, 3, h * 6 + 4, w * 6 + 1});
        const auto pooled =
            tower->class_features(image, declip::Positions::kSize, {});
        for (const auto mode : modes_without_proxy()) {
          const auto map = tower->patches(image, dense(mode), {});
          CHECK(map.sizes() == at::IntArrayRef({2, 36, h, w}));
          for (int64_t i = 0; i < 2; ++i) {
            const auto tokens = slow.tokens(image[i]);
            CHECK_CLOSE(
                distance(rows(map[i]),
                         slow.dense(tokens, declip::dense_mode_name(mode))),
                0,
                1e-4);
            CHECK_CLOSE(distance(pooled[i], slow.pooled(tokens)), 0, 1e-4);
          }
        }
      }
    }
  }
}

TEST(siglip_without_its_mlp_a_mode_is_its_projection) {
  const c10::InferenceMode guard;
  const auto model = random_model();
  const auto tower = make(model, fused());
  Random random;
  const auto image = random.tensor({1, 3, 18, 24});
  const auto map = [&](DenseMode mode, std::optional<bool> feed_forward) {
    auto options = dense(mode);
    options.feed_forward = feed_forward;
    return tower->patches(image, options, {});
  };
  CHECK_CLOSE(distance(map(DenseMode::kQq, false),
                       map(DenseMode::kQqProjection, std::nullopt)),
              0,
              1e-6);
  CHECK_CLOSE(distance(map(DenseMode::kMaskClip, std::nullopt),
                       map(DenseMode::kMaskClipProjection, true)),
              0,
              1e-6);
  auto options = dense(DenseMode::kQq);
  options.residual = true;
  CHECK_THROWS_CODE(tower->patches(image, options, {}),
                    declip::ErrorCode::kInvalidArg);
}

TEST(siglip_proxyclip_takes_values_and_tail_of_the_head) {
  const c10::InferenceMode guard;
  const auto model = random_model();
  const auto tower = make(model, fused());
  Random random;
  const auto image = random.tensor({1, 3, 18, 18});
  auto options = dense(DenseMode::kProxyClip);
  CHECK_THROWS_CODE(tower->patches(image, options, {}),
                    declip::ErrorCode::kInvalidArg);
  // Cells that resemble nothing but themselves: every token keeps its value.
  options.proxy_features = at::eye(9).reshape({1, 9, 3, 3});
  CHECK_CLOSE(distance(tower->patches(image, options, {}),
                       tower->patches(image, dense(DenseMode::kMaskClip), {})),
              0,
              1e-5);
  // On the grid of the external features.
  options.proxy_features = random.tensor({1, 5, 4, 6});
  CHECK(tower->patches(image, options, {}).sizes() ==
        at::IntArrayRef({1, 36, 4, 6}));
}

TEST(siglip_smaller_types_stay_close_to_float32) {
  const c10::InferenceMode guard;
  const auto model = random_model(4, 2);
  Random random;
  const auto image = random.tensor({2, 3, 24, 36});
  const auto exact = make(model, Numerics{});
  for (int kind = 0; kind < 3; ++kind) {
    Numerics how = fused();
    if (kind == 0) how.dtype = at::kBFloat16;
    if (kind == 1) {
      how.fused = false;
      how.dtype = at::kHalf;
    }
    if (kind == 2) {
      if (!declip::Linear::int8_obstacle().empty()) continue;
      how.int8 = true;
    }
    const auto tower = make(model, how);
    const auto close = [&](const at::Tensor& got, const at::Tensor& wanted) {
      const auto cosine =
          at::cosine_similarity(got.to(at::kFloat), wanted, 1, 1e-12);
      CHECK(cosine.min().item<double>() > 0.99);
    };
    const auto x = image.to(how.stream());
    close(tower->class_features(x, declip::Positions::kSize, {}),
          exact->class_features(image, declip::Positions::kSize, {}));
    for (const auto mode : modes_without_proxy()) {
      close(tower->patches(x, dense(mode), {}),
            exact->patches(image, dense(mode), {}));
    }
  }
}

TEST(siglip_stages_are_the_tokens_after_a_block) {
  const c10::InferenceMode guard;
  const auto model = random_model();
  const auto tower = make(model, fused());
  Random random;
  const auto image = random.tensor({1, 3, 18, 12});
  declip::StageOptions options;
  options.blocks = {1, 0};
  options.features = true;
  const auto stages = tower->stages(image, options, {});
  CHECK(stages.blocks.size() == 2);
  CHECK(stages.blocks[0].map.sizes() == at::IntArrayRef({1, 36, 3, 2}));
  CHECK(stages.blocks[0].prefix.sizes() == at::IntArrayRef({1, 0, 36}));
  const auto first = tower->block(
      0, tower->embed(image, declip::Positions::kSize), {3, 2}, {}, nullptr);
  CHECK_CLOSE(distance(rows(stages.blocks[1].map[0]), first[0]), 0, 1e-6);
  options.blocks = {3};
  CHECK_THROWS_CODE(tower->stages(image, options, {}),
                    declip::ErrorCode::kInvalidArg);
}

TEST(siglip_refuses_modes_of_the_last_block_with_the_list) {
  const Fixture fixture("siglip-native");
  const auto model = fixture.load(false);
  for (const char* name : {"sclip", "naclip", "clearclip", "itaclip", "all"}) {
    try {
      (void)model->encode_dense(
          fixture.image, dense(declip::dense_mode_from(name)), false, {});
      tap::fail(__FILE__, __LINE__, std::string(name) + " was not refused");
    } catch (const declip::Error& error) {
      CHECK(error.code() == declip::ErrorCode::kInvalidArg);
      const std::string message = error.what();
      CHECK(files::contains(message, std::string("'") + name + "'"));
      CHECK(files::contains(message, declip::mode_names(declip::head_modes())));
    }
  }
  const auto clip = declip::Model::load(
      files::fixture("clip-formats/open_clip.safetensors"), {}, {});
  for (const char* name : {"declip", "qq-projection", "maskclip-projection"}) {
    try {
      (void)clip->encode_dense(at::zeros({1, 3, 64, 64}),
                               dense(declip::dense_mode_from(name)),
                               false,
                               {});
      tap::fail(__FILE__, __LINE__, std::string(name) + " was not refused");
    } catch (const declip::Error& error) {
      CHECK(error.code() == declip::ErrorCode::kInvalidArg);
      CHECK(files::contains(error.what(),
                            declip::mode_names(declip::block_modes())));
    }
  }
}
