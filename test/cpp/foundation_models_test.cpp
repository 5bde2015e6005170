// The parts of the vision foundation models against plain loops, and whole
// models against a slow float64 version written apart from them, at sizes that
// the golden tests do not have.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/dino.h"
#include "families/dinov2.h"
#include "families/positions.h"
#include "families/relative_attention.h"
#include "families/sam.h"
#include "random_planes.h"
#include "tap.h"

using declip::Checkpoint;
namespace families = declip::families;
using declip::Heads;
using declip::Numerics;
using declip::TableResize;

namespace {

// --- Tables -----------------------------------------------------------------

/// Keys' cubic convolution kernel.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// The kernel of bilinear interpolation.
double triangle(double x) { return std::max(1 - std::abs(x), 0.0); }

/// Row `i` of the matrix that resizes `from` samples to `to`.
std::vector<double> resize_row(int64_t i,
                               int64_t from,
                               int64_t to,
                               TableResize rule) {
  std::vector<double> row(static_cast<size_t>(from), 0.0);
  const auto n = static_cast<double>(from), m = static_cast<double>(to);
  const bool linear = rule == TableResize::kBilinear ||
                      rule == TableResize::kBilinearAntialiased;
  if (rule == TableResize::kAntialiased ||
      rule == TableResize::kBilinearAntialiased) {
    const double scale = std::max(n / m, 1.0);
    const double centre = (static_cast<double>(i) + 0.5) * n / m;
    double sum = 0;
    for (int64_t j = 0; j < from; ++j) {
      const double d = (static_cast<double>(j) + 0.5 - centre) / scale;
      row[static_cast<size_t>(j)] = linear ? triangle(d) : cubic(d, -0.5);
      sum += row[static_cast<size_t>(j)];
    }
    for (double& weight : row) weight /= sum;
    return row;
  }
  const double extent = rule == TableResize::kScaleFactor ? m + 0.1 : m;
  const double source = (static_cast<double>(i) + 0.5) * n / extent - 0.5;
  const auto base = static_cast<int64_t>(std::floor(source));
  for (int64_t tap = base - 1; tap <= base + 2; ++tap) {
    const auto j = std::min(std::max<int64_t>(tap, 0), from - 1);
    const double d = source - static_cast<double>(tap);
    row[static_cast<size_t>(j)] += linear ? triangle(d) : cubic(d, -0.75);
  }
  return row;
}

at::Tensor resize_matrix(int64_t from, int64_t to, TableResize rule) {
  auto out = at::empty({to, from}, at::kDouble);
  for (int64_t i = 0; i < to; ++i) {
    out[i] = at::tensor(resize_row(i, from, to, rule), at::kDouble);
  }
  return out;
}

/// [N, N, C] -> [h * w, C] in double.
at::Tensor slow_table(const at::Tensor& table,
                      int64_t h,
                      int64_t w,
                      TableResize rule) {
  const int64_t n = table.size(0);
  const auto x = table.to(at::kDouble);
  if (h == n && w == n) return x.reshape({h * w, -1});
  const auto rows = at::einsum("yi,ijc->yjc", {resize_matrix(n, h, rule), x});
  return at::einsum("xj,yjc->yxc", {resize_matrix(n, w, rule), rows})
      .reshape({h * w, -1});
}

// --- Relative positions -----------------------------------------------------

/// Element `at` of a table that is stretched linearly to `length`.
at::Tensor slow_entry(const at::Tensor& table, int64_t at, int64_t length) {
  const int64_t n = table.size(0);
  const double source =
      std::max((static_cast<double>(at) + 0.5) * static_cast<double>(n) /
                       static_cast<double>(length) -
                   0.5,
               0.0);
  const auto low = std::min(static_cast<int64_t>(source), n - 1);
  const auto high = std::min(low + 1, n - 1);
  const double share = source - static_cast<double>(low);
  return table[low] * (1 - share) + table[high] * share;
}

/// The scores' bias of one head, q [a * b, d] -> [a * b, a * b].
at::Tensor slow_bias(const at::Tensor& q,
                     const at::Tensor& rows,
                     const at::Tensor& columns,
                     int64_t a,
                     int64_t b) {
  auto bias = at::zeros({a * b, a * b}, at::kDouble);
  for (int64_t i = 0; i < a * b; ++i) {
    for (int64_t j = 0; j < a * b; ++j) {
      const int64_t dy = i / b - j / b + a - 1, dx = i % b - j % b + b - 1;
      const auto entry =
          slow_entry(rows, dy, 2 * a - 1) + slow_entry(columns, dx, 2 * b - 1);
      bias[i][j] = (q[i] * entry).sum();
    }
  }
  return bias;
}

/// qkv [L, 3 C] -> merged heads [L, C]; bias may be empty.
at::Tensor slow_attention(
    const at::Tensor& qkv,
    int64_t heads,
    const std::function<at::Tensor(const at::Tensor&)>& bias) {
  const auto parts = qkv.chunk(3, 1);
  const int64_t d = parts[0].size(1) / heads;
  std::vector<at::Tensor> out;
  for (int64_t n = 0; n < heads; ++n) {
    const auto head = [&](size_t part) {
      return parts[part].slice(1, n * d, (n + 1) * d);
    };
    auto scores =
        at::matmul(head(0), head(1).t()) / std::sqrt(static_cast<double>(d));
    if (bias) scores = scores + bias(head(0));
    out.push_back(at::matmul(scores.softmax(1), head(2)));
  }
  return at::cat(out, 1);
}

// --- Whole models -----------------------------------------------------------

/// A model in float64, one picture at a time, from the internal tensors.
class SlowModel {
 public:
  explicit SlowModel(const Checkpoint& checkpoint) : c_(checkpoint) {}

  /// image [3, H, W] -> tokens [1 + registers + h * w, C], or SAM's [E, h, w].
  at::Tensor operator()(const at::Tensor& image) const {
    const int64_t p = c_.config.vision.patch;
    const int64_t h = image.size(1) / p, w = image.size(2) / p;
    return c_.config.family == &families::sam ? sam(image, h, w)
                                              : dino(image, h, w);
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
  at::Tensor patches(const at::Tensor& image) const {
    const int64_t p = c_.config.vision.patch;
    return at::conv2d(image.to(at::kDouble).unsqueeze(0),
                      get("patch_embed.proj.weight"),
                      get("patch_embed.proj.bias"),
                      p)
        .squeeze(0)
        .flatten(1)
        .t();  // (h * w, C)
  }
  at::Tensor scale(const std::string& name, const at::Tensor& x) const {
    return c_.config.family == &families::dinov2 ? x * get(name) : x;
  }
  at::Tensor mlp(const std::string& block, const at::Tensor& x) const {
    auto hidden = linear(block + "mlp.fc1", norm(block + "norm2", x));
    if (c_.config.foundation.gated_mlp) {
      const auto halves = hidden.chunk(2, 1);
      hidden = halves[0] * halves[0].sigmoid() * halves[1];
    } else {
      hidden = hidden * 0.5 * (1 + (hidden / std::sqrt(2.0)).erf());
    }
    return scale(block + "ls2.gamma", linear(block + "mlp.fc2", hidden));
  }

  at::Tensor dino(const at::Tensor& image, int64_t h, int64_t w) const {
    const auto& config = c_.config;
    const int64_t n = config.vision.grid;
    auto positions = get("pos_embed")[0];
    auto token = get("cls_token")[0];
    if (config.foundation.class_position) {
      token = token + positions.slice(0, 0, 1);
      positions = positions.slice(0, 1);
    }
    const bool registers = config.foundation.registers > 0;
    const auto table = slow_table(
        positions.reshape({n, n, -1}),
        h,
        w,
        registers ? TableResize::kAntialiased : TableResize::kScaleFactor);
    std::vector<at::Tensor> parts{token};
    if (registers) parts.push_back(get("register_tokens")[0]);
    parts.push_back(patches(image) + table);
    auto x = at::cat(parts, 0);
    for (int64_t i = 0; i < config.vision.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      const auto qkv = linear(block + "attn.qkv", norm(block + "norm1", x));
      const auto merged = slow_attention(qkv, config.vision.heads, {});
      x = x + scale(block + "ls1.gamma", linear(block + "attn.proj", merged));
      x = x + mlp(block, x);
    }
    return norm("norm", x);
  }

  at::Tensor sam(const at::Tensor& image, int64_t h, int64_t w) const {
    const auto& config = c_.config;
    auto x = patches(image) +
             slow_table(get("pos_embed")[0], h, w, TableResize::kSize);
    for (int64_t i = 0; i < config.vision.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      const bool global =
          config.foundation.global_blocks[static_cast<size_t>(i)];
      const auto attended = windowed(block,
                                     norm(block + "norm1", x),
                                     h,
                                     w,
                                     global ? 0 : config.foundation.window);
      x = x + linear(block + "attn.proj", attended);
      x = x + mlp(block, x);
    }
    x = norm("neck.norm1",
             at::matmul(x, get("neck.conv1.weight").flatten(1).t()));
    const auto mixed = at::conv2d(
        x.t().reshape({1, -1, h, w}), get("neck.conv2.weight"), {}, 1, 1);
    return norm("neck.norm2", mixed[0].flatten(1).t()).t().reshape({-1, h, w});
  }

  /// Attention of every window on its own; side 0: of all tokens.
  at::Tensor windowed(const std::string& block,
                      const at::Tensor& y,
                      int64_t h,
                      int64_t w,
                      int64_t side) const {
    const auto rows = get(block + "attn.rel_pos_h");
    const auto columns = get(block + "attn.rel_pos_w");
    const int64_t a = side > 0 ? side : h, b = side > 0 ? side : w;
    auto out = at::zeros({h, w, y.size(1)}, at::kDouble);
    const auto grid = y.reshape({h, w, -1});
    for (int64_t top = 0; top < h; top += a) {
      for (int64_t left = 0; left < w; left += b) {
        const int64_t bottom = std::min(top + a, h);
        const int64_t right = std::min(left + b, w);
        auto window = at::zeros({a, b, y.size(1)}, at::kDouble);
        window.slice(0, 0, bottom - top)
            .slice(1, 0, right - left)
            .copy_(grid.slice(0, top, bottom).slice(1, left, right));
        const auto qkv =
            linear(block + "attn.qkv", window.reshape({a * b, -1}));
        const auto merged = slow_attention(
            qkv, c_.config.vision.heads, [&](const at::Tensor& q) {
              return slow_bias(q, rows, columns, a, b);
            });
        out.slice(0, top, bottom)
            .slice(1, left, right)
            .copy_(merged.reshape({a, b, -1})
                       .slice(0, 0, bottom - top)
                       .slice(1, 0, right - left));
      }
    }
    return out.reshape({h * w, -1});
  }

  const Checkpoint& c_;
};

std::shared_ptr<const declip::Model> load_foundation(const std::string& path,
                                                     bool eager,
                                                     const char* dtype,
                                                     bool sam) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = dtype;
  if (!sam) options.overrides.head_width = 32;
  options.eager = eager;
  auto model = declip::Model::load(path, options, {});
  return model;
}

struct Subject {
  std::string path;
  std::vector<std::pair<int64_t, int64_t>> grids;  // patches
};

bool is_sam(const std::string& path) {
  return path.find("sam") != std::string::npos;
}

std::vector<Subject> subjects(const files::TempFolder& temp) {
  // timm's DINOv2: the class token holds its position already
  auto timm =
      declip::read_safetensors(files::fixture("vfm/dinov2-reg.safetensors"))
          .tensors;
  timm["cls_token"] = timm["cls_token"] + timm["pos_embed"].slice(1, 0, 1);
  timm["pos_embed"] = timm["pos_embed"].slice(1, 1).contiguous();
  timm["reg_token"] = timm["register_tokens"];
  timm.erase("register_tokens");
  declip::write_safetensors(temp.file("timm.safetensors"), timm);
  const auto vfm = [](const std::string& name) {
    return files::fixture("vfm/" + name + ".safetensors");
  };
  return {{vfm("dino"), {{1, 1}, {5, 9}, {4, 16}}},
          {vfm("dinov2"), {{3, 9}, {1, 2}}},
          {vfm("dinov2-reg"), {{4, 11}, {7, 3}}},
          {temp.file("timm.safetensors"), {{7, 7}, {4, 11}}},
          {vfm("dinov2-swiglu"), {{5, 8}}},
          {vfm("sam"), {{1, 1}, {3, 4}, {5, 10}, {9, 6}}}};
}

}  // namespace

TEST(foundation_models_resize_tables_as_plain_loops_do) {
  Random random;
  for (const auto rule : {TableResize::kScaleFactor,
                          TableResize::kSize,
                          TableResize::kAntialiased,
                          TableResize::kBilinear,
                          TableResize::kBilinearAntialiased}) {
    for (int i = 0; i < 12; ++i) {
      const int64_t n = random.integer(1, 9);
      const int64_t h = i == 0 ? n : random.integer(1, 14);
      const int64_t w = i == 0 ? n : random.integer(1, 14);
      const auto table = random.tensor({n, n, 3});
      const double worst = distance(declip::resize_table(table, h, w, rule),
                                    slow_table(table, h, w, rule));
      if (!(worst < 2e-5)) {
        tap::fail(__FILE__,
                  __LINE__,
                  c10::str("rule ",
                           static_cast<int>(rule),
                           ", ",
                           n,
                           " to ",
                           h,
                           " x ",
                           w,
                           ": ",
                           worst));
      }
    }
  }
}

TEST(foundation_models_relative_attention_as_plain_loops_do) {
  Random random;
  for (const bool fused : {true, false}) {
    Numerics numerics;
    numerics.fused = fused;
    for (int i = 0; i < 8; ++i) {
      const int64_t batch = random.integer(1, 3), n = random.integer(1, 3);
      const int64_t a = random.integer(1, 6), b = random.integer(1, 6);
      const int64_t d = 4 * random.integer(1, 3);
      // of the length that is needed, or of another
      const auto rows = random.tensor({i % 2 == 0 ? 2 * a - 1 : 7, d});
      const auto columns = random.tensor({i % 2 == 0 ? 2 * b - 1 : 9, d});
      const auto qkv = random.tensor({batch, a * b, 3 * n * d}) * 2.0;
      const auto parts = qkv.chunk(3, 2);
      const Heads heads{declip::split_heads(parts[0], n),
                        declip::split_heads(parts[1], n),
                        declip::split_heads(parts[2], n)};
      const auto got =
          declip::relative_attention(heads, rows, columns, a, b, numerics, {});
      for (int64_t k = 0; k < batch; ++k) {
        const auto wanted =
            slow_attention(qkv[k].to(at::kDouble), n, [&](const at::Tensor& q) {
              return slow_bias(
                  q, rows.to(at::kDouble), columns.to(at::kDouble), a, b);
            });
        CHECK_CLOSE(distance(got[k], wanted), 0, 2e-5);
      }
    }
  }
}

TEST(foundation_models_whole_models_as_the_slow_version_has_them) {
  const c10::InferenceMode guard;
  const files::TempFolder temp;
  for (const auto& [path, grids] : subjects(temp)) {
    const bool sam = is_sam(path);
    const auto fused = load_foundation(path, false, "float32", sam);
    const auto eager = load_foundation(path, true, "float32", sam);
    CHECK(fused->engine() != eager->engine());
    declip::ConfigOverrides overrides;
    if (!sam) overrides.head_width = 32;
    const auto checkpoint = declip::load_checkpoint(path, overrides);
    const SlowModel slow(checkpoint);
    const int64_t p = checkpoint.config.vision.patch;
    const int64_t extra = 1 + checkpoint.config.foundation.registers;
    for (const auto& [h, w] : grids) {
      Random random;
      // DINO and SAM drop what is beyond whole patches
      const int64_t beyond =
          checkpoint.config.family == &families::dinov2 ? 0 : 3;
      const auto image =
          random.tensor({2, 3, h * p + beyond, w * p + beyond}) * 2.0;
      for (int64_t k = 0; k < 2; ++k) {
        auto wanted = slow(image[k]);
        if (!sam) {
          for (const auto& model : {fused, eager}) {
            const auto token =
                model->encode_image(image, {.normalize = false}, {});
            CHECK_CLOSE(distance(token[k], wanted[0]), 0, 1e-4);
          }
          wanted = wanted.slice(0, extra).t().reshape({-1, h, w});
        }
        for (const auto& model : {fused, eager}) {
          const auto map = model->encode_dense(image, {}, false, {});
          CHECK(map.sizes() == at::IntArrayRef({2, wanted.size(0), h, w}));
          CHECK_CLOSE(distance(map[k], wanted), 0, 1e-4);
        }
      }
    }
  }
}

TEST(foundation_models_smaller_types_stay_close_to_float32) {
  const files::TempFolder temp;
  for (const auto& [path, grids] : subjects(temp)) {
    const bool sam = is_sam(path);
    const auto exact = load_foundation(path, true, "float32", sam);
    const int64_t p = exact->info().config.vision.patch;
    Random random;
    const auto image = random.tensor({1, 3, 9 * p, 6 * p});
    const auto wanted = exact->encode_dense(image, {}, true, {});
    for (const char* dtype : {"bfloat16", "float16", "int8"}) {
      try {
        const auto model = load_foundation(path, false, dtype, sam);
        CHECK(model->dtype() == dtype);
        const auto got = model->encode_dense(image, {}, true, {});
        const auto cosine = at::cosine_similarity(got, wanted, 1, 1e-12);
        CHECK(cosine.min().item<double>() > 0.99);
      } catch (const declip::Error& error) {
        // A processor without VNNI says so; nothing else may go wrong.
        CHECK(std::string(dtype) == "int8");
        CHECK(error.code() == declip::ErrorCode::kDevice);
      }
    }
  }
}

TEST(foundation_models_stop_when_they_are_told_to) {
  const auto model = load_foundation(
      files::fixture("vfm/sam.safetensors"), false, "float32", true);
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  const auto image = at::zeros({1, 3, 128, 128});
  CHECK_THROWS_CODE(model->encode_dense(image, {}, false, call),
                    declip::ErrorCode::kAborted);
}

TEST(foundation_models_have_no_text_space) {
  const auto model = load_foundation(
      files::fixture("vfm/sam.safetensors"), false, "float32", true);
  using declip::ErrorCode;
  CHECK_THROWS_CODE(model->check_text_space(), ErrorCode::kWeights);
  CHECK_THROWS_CODE(model->encode_text(at::zeros({1, 77}, at::kLong), true, {}),
                    ErrorCode::kWeights);
  CHECK_THROWS_CODE(model->encode_image(at::zeros({1, 3, 128, 128}), {}, {}),
                    ErrorCode::kWeights);
}
