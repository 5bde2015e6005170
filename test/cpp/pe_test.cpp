// PE-Core's image tower: the recorded stage that JavaScript does not see, and
// whole models against a slow float64 version written apart from them, at sizes
// that the golden tests do not have, with and without a class token.

#include "families/pe.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "families/pe_encoder.h"
#include "golden.h"
#include "model/recipe.h"
#include "random_planes.h"
#include "tap.h"

using declip::Checkpoint;
using declip::DenseMode;
using declip::DenseOptions;
using declip::ErrorCode;
using declip::Numerics;
using declip::PeCore;

namespace pe_test {
namespace {

constexpr int64_t kHeadHeads = 8;

struct Shape {
  bool class_token = true;
  int64_t heads = 3;
  int64_t width = 48;
  int64_t embed_dim = 20;
};

/// A tower of its own: widths and heads that no fixture has.
Checkpoint random_model(const Shape& shape) {
  Checkpoint out;
  out.config.family = &declip::families::pe;
  auto& v = out.config.vision;
  v.patch = 6;
  v.grid = 4;
  v.image_size = v.grid * v.patch;
  v.width = shape.width;
  v.heads = shape.heads;
  v.layers = 3;
  v.mlp_hidden = 40;
  v.embed_dim = shape.embed_dim;
  v.activation = declip::Activation::kGelu;
  v.class_token = shape.class_token;
  out.config.pooling_head =
      declip::PoolingHeadConfig{kHeadHeads, 52, v.activation};
  Random random;
  const auto put = [&](const std::string& name, at::IntArrayRef sizes) {
    const double scale =
        sizes.size() < 2 ? 0.3 : 1.5 / std::sqrt(static_cast<double>(sizes[1]));
    auto x = random.tensor(sizes) * scale;
    const bool gain = name.find("ln_") != std::string::npos ||
                      name.find("norm") != std::string::npos;
    if (gain && name.ends_with("weight")) x = x + 1;
    out.tensors[name] = x;
  };
  const auto pair = [&](const std::string& name, at::IntArrayRef sizes) {
    put(name + ".weight", sizes);
    put(name + ".bias", {sizes[0]});
  };
  const int64_t d = v.width;
  put("visual.conv1.weight", {d, 3, v.patch, v.patch});
  if (v.class_token) put("visual.class_embedding", {d});
  put("visual.positional_embedding",
      {(v.class_token ? 1 : 0) + v.grid * v.grid, d});
  pair("visual.ln_pre", {d});
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
  put("visual.proj", {d, v.embed_dim});
  put("visual.proj_bias", {v.embed_dim});
  return out;
}

std::unique_ptr<PeCore> make(const Checkpoint& model, const Numerics& how) {
  const declip::Call call;
  const declip::Weights weights(model.tensors, at::kCPU, how.stream(), call);
  return std::make_unique<PeCore>(model.config, weights, how);
}

Numerics fused() {
  Numerics out;
  out.fused = true;
  return out;
}

/// One picture at a time in float64, token by token where that says more.
class SlowPe {
 public:
  explicit SlowPe(const Checkpoint& model) : c_(model) {}

  /// Tokens after the final norm, [P + h * w, D].
  at::Tensor tokens(const at::Tensor& image) const {
    const auto& v = c_.config.vision;
    const int64_t p = v.patch, h = image.size(1) / p, w = image.size(2) / p;
    const auto kernel = get("conv1.weight").flatten(1);
    auto table = get("positional_embedding");
    std::vector<at::Tensor> rows;
    if (v.class_token) {
      rows.push_back(get("class_embedding") + table[0]);
      table = table.slice(0, 1);
    }
    table = table.view({v.grid, v.grid, -1});
    for (int64_t i = 0; i < h * w; ++i) {
      const int64_t y = i / w, x = i % w;
      const auto pixels = image.slice(1, y * p, (y + 1) * p)
                              .slice(2, x * p, (x + 1) * p)
                              .to(at::kDouble);
      rows.push_back(at::mv(kernel, pixels.flatten()) +
                     sample(table, (y + 0.5) / h, (x + 0.5) / w));
    }
    auto x = norm("ln_pre", at::stack(rows));
    for (int64_t i = 0; i < v.layers; ++i) {
      const auto block = "transformer.resblocks." + std::to_string(i) + ".";
      const auto y = norm(block + "ln_1", x);
      const auto q = turned(part(block, 0, y), w),
                 k = turned(part(block, 1, y), w);
      x = x + out(block, attend(q, k, part(block, 2, y), v.heads));
      x = x + mlp(block, norm(block + "ln_2", x));
    }
    return norm("ln_post", x);
  }

  at::Tensor pooled(const at::Tensor& h) const {
    const auto q = part(kHead, 0, get("attn_pool.probe")[0]);
    return tail(out(
        kHead, attend(q, part(kHead, 1, h), part(kHead, 2, h), kHeadHeads)))[0];
  }

  at::Tensor dense(const at::Tensor& h, DenseMode mode) const {
    const auto q = part(kHead, 0, h), k = part(kHead, 1, h);
    const auto v = part(kHead, 2, h);
    auto merged = v;
    if (mode == DenseMode::kVanilla) merged = attend(q, k, v, kHeadHeads);
    if (mode == DenseMode::kQq) merged = attend(q, q, v, kHeadHeads);
    return tail(out(kHead, merged)).slice(0, prefix());
  }

 private:
  static constexpr const char* kHead = "attn_pool.";

  int64_t prefix() const { return c_.config.vision.class_token ? 1 : 0; }
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
  /// Bilinear sample of [N, N, C] at shares of its sides.
  static at::Tensor sample(const at::Tensor& table, double y, double x) {
    const auto n = static_cast<double>(table.size(0));
    const auto axis = [&](double share) {
      const double at = std::clamp(share * n - 0.5, 0.0, n - 1);
      const auto low = static_cast<int64_t>(at);
      const auto high = std::min(low + 1, table.size(0) - 1);
      return std::tuple(low, high, at - static_cast<double>(low));
    };
    const auto [y0, y1, fy] = axis(y);
    const auto [x0, x1, fx] = axis(x);
    return (table[y0][x0] * (1 - fx) + table[y0][x1] * fx) * (1 - fy) +
           (table[y1][x0] * (1 - fx) + table[y1][x1] * fx) * fy;
  }
  /// Rotary positions of q or k [L, D] on a grid of w columns: pairs of the
  /// first half of a head by the column, of the second by the row.
  at::Tensor turned(const at::Tensor& x, int64_t w) const {
    const int64_t d = x.size(1) / c_.config.vision.heads, half = d / 2;
    auto turned = x.clone();
    for (int64_t token = prefix(); token < x.size(0); ++token) {
      const int64_t cell = token - prefix();
      for (int64_t c = 0; c < x.size(1); c += 2) {
        const int64_t in_half = c % d % half;
        const int64_t place = (c % d < half ? cell % w : cell / w) + prefix();
        const double angle =
            static_cast<double>(place) *
            std::pow(10000.0,
                     -static_cast<double>(in_half) / static_cast<double>(half));
        const auto a = x[token][c], b = x[token][c + 1];
        turned[token][c] = a * std::cos(angle) - b * std::sin(angle);
        turned[token][c + 1] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
    return turned;
  }
  /// Part 0 (q), 1 (k) or 2 (v) of a projection.
  at::Tensor part(const std::string& block,
                  size_t i,
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
    return linear(block + "mlp.c_proj",
                  0.5 * y * (1 + (y / std::sqrt(2.0)).erf()));
  }
  static at::Tensor attend(const at::Tensor& q,
                           const at::Tensor& k,
                           const at::Tensor& v,
                           int64_t heads) {
    std::vector<at::Tensor> all;
    const auto qs = q.chunk(heads, 1), ks = k.chunk(heads, 1),
               vs = v.chunk(heads, 1);
    for (size_t i = 0; i < qs.size(); ++i) {
      const double d = static_cast<double>(qs[i].size(1));
      const auto a = (at::matmul(qs[i], ks[i].t()) / std::sqrt(d)).softmax(1);
      all.push_back(at::matmul(a, vs[i]));
    }
    return at::cat(all, 1);
  }
  /// The head's MLP, and the projection behind it.
  at::Tensor tail(const at::Tensor& a) const {
    const auto e = a + mlp(kHead, norm("attn_pool.layernorm", a));
    return at::matmul(e, get("proj")) + get("proj_bias");
  }

  const Checkpoint& c_;
};

DenseOptions dense(DenseMode mode) {
  DenseOptions out;
  out.mode = mode;
  return out;
}

/// [D, h, w] -> [h * w, D].
at::Tensor rows(const at::Tensor& map) { return map.flatten(1).t(); }

const std::vector<Shape> kShapes{
    {.class_token = true, .heads = 3},
    {.class_token = false, .heads = 2},
    {.class_token = false, .heads = 1, .width = 8, .embed_dim = 5},
};

}  // namespace

TEST(pe_recorded_tokens_of_the_image_tower) {
  const c10::InferenceMode guard;
  const Golden golden("families");
  for (const std::string& id : golden.ids()) {
    if (!id.starts_with("pe-core")) continue;
    const auto& run = golden.at(id);
    const auto& config = *run.find("config");
    const auto image = golden.image(id);
    declip::ConfigOverrides overrides;
    overrides.head_width = *config.find("vision_width")->integer() /
                           *config.find("vision_heads")->integer();
    for (const auto& file : *run.find("weights")->array()) {
      const auto checkpoint =
          declip::load_checkpoint(golden.path(*file.string()), overrides);
      for (const bool fast : {true, false}) {
        const auto tower = make(checkpoint, fast ? fused() : Numerics{});
        golden.compare(id, "tokens", tower->tokens(image, {}));
      }
    }
  }
}

TEST(pe_whole_models_as_the_slow_version_has_them) {
  const c10::InferenceMode guard;
  const std::vector<std::pair<int64_t, int64_t>> grids{
      {4, 4}, {1, 1}, {5, 2}, {3, 7}};
  for (const Shape& shape : kShapes) {
    const auto model = random_model(shape);
    const SlowPe slow(model);
    for (const auto& [h, w] : grids) {
      Random random;
      // pixels beyond whole patches are dropped
      const auto image = random.tensor({2, 3, h * 6 + 4, w * 6 + 1});
      const std::vector<at::Tensor> tokens{slow.tokens(image[0]),
                                           slow.tokens(image[1])};
      for (const bool fast : {true, false}) {
        const auto tower = make(model, fast ? fused() : Numerics{});
        const auto pooled =
            tower->class_features(image, declip::Positions::kSize, {});
        for (const auto mode :
             {DenseMode::kQq, DenseMode::kMaskClip, DenseMode::kVanilla}) {
          const auto map = tower->patches(image, dense(mode), {});
          CHECK(map.sizes() == at::IntArrayRef({2, shape.embed_dim, h, w}));
          for (int64_t i = 0; i < 2; ++i) {
            const auto& own = tokens[static_cast<size_t>(i)];
            CHECK_CLOSE(distance(rows(map[i]), slow.dense(own, mode)), 0, 1e-4);
            CHECK_CLOSE(distance(pooled[i], slow.pooled(own)), 0, 1e-4);
          }
        }
      }
    }
  }
}

TEST(pe_smaller_types_stay_close_to_float32) {
  const c10::InferenceMode guard;
  const auto model = random_model(kShapes[0]);
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
    for (const auto mode : declip::head_modes()) {
      if (mode == DenseMode::kProxyClip) continue;
      close(tower->patches(x, dense(mode), {}),
            exact->patches(image, dense(mode), {}));
    }
  }
}

TEST(pe_stages_are_the_tokens_after_a_block_and_heads_are_not_turned) {
  const c10::InferenceMode guard;
  for (const bool class_token : {true, false}) {
    const auto model = random_model({.class_token = class_token});
    const auto tower = make(model, fused());
    Random random;
    const auto image = random.tensor({1, 3, 18, 12});
    declip::StageOptions options;
    options.blocks = {1, 0};
    const auto stages = tower->stages(image, options, {});
    const int64_t prefix = class_token ? 1 : 0;
    CHECK(stages.blocks[0].map.sizes() == at::IntArrayRef({1, 48, 3, 2}));
    CHECK(stages.blocks[0].prefix.size(1) == prefix);
    CHECK(!stages.features.defined());
    declip::Heads heads, eager_heads;
    const auto x = tower->embed(image);
    const auto first = tower->block(0, x, {3, 2}, {}, &heads);
    CHECK_CLOSE(
        distance(rows(stages.blocks[1].map[0]), first[0].slice(0, prefix)),
        0,
        1e-6);
    make(model, {})->block(0, x, {3, 2}, {}, &eager_heads);
    CHECK_CLOSE(distance(heads.q, eager_heads.q), 0, 1e-5);
    CHECK_CLOSE(distance(heads.k, eager_heads.k), 0, 1e-5);
  }
}

TEST(pe_proxyclip_leaves_the_class_token_out) {
  const c10::InferenceMode guard;
  const auto model = random_model(kShapes[0]);
  const auto tower = make(model, fused());
  Random random;
  const auto image = random.tensor({1, 3, 18, 18});
  auto options = dense(DenseMode::kProxyClip);
  // Cells that resemble nothing but themselves: every token keeps its value.
  options.proxy_features = at::eye(9).reshape({1, 9, 3, 3});
  CHECK_CLOSE(distance(tower->patches(image, options, {}),
                       tower->patches(image, dense(DenseMode::kMaskClip), {})),
              0,
              1e-5);
  options.proxy_features = random.tensor({1, 5, 4, 6});
  CHECK(tower->patches(image, options, {}).sizes() ==
        at::IntArrayRef({1, 20, 4, 6}));
}

TEST(pe_checkpoints_say_what_is_wrong_with_them) {
  const files::TempFolder temp;
  const std::string path = temp.file("pe.safetensors");
  const auto failure = [&](const std::map<std::string, at::Tensor>& tensors,
                           const declip::ConfigOverrides& overrides = {}) {
    declip::write_safetensors(path, tensors);
    return CHECK_THROWS_CODE(declip::load_checkpoint(path, overrides),
                             ErrorCode::kWeights);
  };
  const auto model = random_model({.heads = 6});
  declip::ConfigOverrides heads;
  heads.head_width = 8;
  declip::write_safetensors(path, model.tensors);
  const auto read = declip::load_checkpoint(path, heads);
  CHECK(read.config.family->name == "pe" && read.format == "original");
  CHECK(read.config.vision.heads == 6 && read.config.vision.class_token);
  CHECK(read.config.pooling_head->heads == 8);
  CHECK(!read.config.preprocess.crop && !read.config.preprocess.bicubic);
  CHECK(read.config.pixels.mean[0] == 0.5);

  // the tower alone
  std::map<std::string, at::Tensor> bare;
  for (const auto& [name, tensor] : model.tensors) {
    bare[name.substr(std::string("visual.").size())] = tensor;
  }
  declip::write_safetensors(path, bare);
  CHECK(declip::load_checkpoint(path, heads).config.family->name == "pe");

  heads.head_width = 6;
  CHECK(files::contains(failure(model.tensors, heads), "multiples of 4"));
  CHECK(files::contains(failure(model.tensors), "give config.headWidth"));
  auto other = random_model({.width = 12}).tensors;
  heads.head_width = 4;
  CHECK(files::contains(failure(other, heads), "8 heads"));
  other = model.tensors;
  other["visual.positional_embedding"] = at::zeros({16, 48});
  heads.head_width = 8;
  CHECK(files::contains(failure(other, heads), "1 + grid * grid"));
  other = model.tensors;
  other.erase("visual.class_embedding");
  CHECK(files::contains(failure(other, heads), "grid * grid rows (a square"));

  // Perception Encoders without a text space, in both layouts
  for (const std::string prefix : {"visual.", ""}) {
    other.clear();
    for (const auto& [name, tensor] : bare) {
      if (name.starts_with("attn_pool") || name.starts_with("proj") ||
          name.starts_with("ln_post")) {
        continue;
      }
      other[prefix + name] = tensor;
    }
    CHECK(files::contains(failure(other), "PE-Spatial"));
  }
  CHECK(files::contains(
      failure({{"norm_pre.weight", at::ones({4})},
               {"blocks.0.norm1.weight", at::ones({4})},
               {"blocks.0.attn.qkv.weight", at::ones({12, 4})}}),
      "take PE-Core"));
}

}  // namespace pe_test
