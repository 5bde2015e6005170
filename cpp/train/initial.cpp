#include "declip/initial.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/internal_names.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "train/export.h"

namespace declip {
namespace {

class Builder {
 public:
  explicit Builder(uint64_t seed)
      : random_(at::detail::createCPUGenerator(seed)) {}

  void normal(const std::string& name, at::IntArrayRef sizes, double std) {
    tensors.emplace(name, at::randn(sizes, random_, at::kFloat).mul_(std));
  }
  void zeros(const std::string& name, at::IntArrayRef sizes) {
    tensors.emplace(name, at::zeros(sizes, at::kFloat));
  }
  /// A weight [out, in] and its bias [out].
  void linear(const std::string& name, int64_t out, int64_t in, double std) {
    normal(name + ".weight", {out, in}, std);
    zeros(name + ".bias", {out});
  }
  void norm(const std::string& name, int64_t width) {
    tensors.emplace(name + ".weight", at::ones({width}, at::kFloat));
    zeros(name + ".bias", {width});
  }

  std::map<std::string, at::Tensor> tensors;

 private:
  at::Generator random_;
};

double root(int64_t x) { return std::sqrt(static_cast<double>(x)); }

/// OpenCLIP's transformer: branches that end in the residual stream begin
/// smaller the deeper the model is.
void clip_blocks(Builder& build,
                 const std::string& prefix,
                 int64_t layers,
                 int64_t width,
                 int64_t hidden) {
  const double attention = 1 / root(width);
  const double branch = attention / root(2 * layers);
  for (int64_t i = 0; i < layers; ++i) {
    const auto block = prefix + "transformer.resblocks." + std::to_string(i);
    build.norm(block + ".ln_1", width);
    build.normal(block + ".attn.in_proj_weight", {3 * width, width}, attention);
    build.zeros(block + ".attn.in_proj_bias", {3 * width});
    build.linear(block + ".attn.out_proj", width, width, branch);
    build.norm(block + ".ln_2", width);
    build.linear(block + ".mlp.c_fc", hidden, width, 1 / root(2 * width));
    build.linear(block + ".mlp.c_proj", width, hidden, branch);
  }
}

void plain_tower(Builder& build, const VisionConfig& v) {
  const double scale = 1 / root(v.width);
  build.normal("visual.conv1.weight",
               {v.width, 3, v.patch, v.patch},
               1 / root(3 * v.patch * v.patch));
  build.normal("visual.class_embedding", {v.width}, scale);
  build.normal(
      "visual.positional_embedding", {1 + v.grid * v.grid, v.width}, scale);
  build.norm("visual.ln_pre", v.width);
  clip_blocks(build, "visual.", v.layers, v.width, v.mlp_hidden);
  build.norm("visual.ln_post", v.width);
  build.normal("visual.proj", {v.width, v.embed_dim}, scale);
}

/// Patch filters [width, 3, p, p] of unit response to pictures whose spectrum
/// falls as 1 / frequency: a DCT basis in the colours grey, red - green and
/// yellow - blue, low frequencies first, over again if the width goes beyond
/// the 3 p^2 of them.
at::Tensor dct_filters(int64_t width, int64_t patch) {
  constexpr std::array<std::array<double, 3>, 3> kOpponent{
      {{0.577, 0.577, 0.577}, {0.707, -0.707, 0}, {0.408, 0.408, -0.816}}};
  constexpr std::array<double, 3> kWhiten{1, 4, 4};  // colours vary less
  struct Wave {
    int64_t colour, y, x;
    double frequency;
  };
  std::vector<Wave> waves;
  for (int64_t y = 0; y < patch; ++y) {
    for (int64_t x = 0; x < patch; ++x) {
      const double frequency = std::hypot(y, x);
      for (int64_t c = 0; c < 3; ++c) waves.push_back({c, y, x, frequency});
    }
  }
  std::stable_sort(
      waves.begin(), waves.end(), [](const Wave& a, const Wave& b) {
        return a.frequency < b.frequency;
      });
  const auto side = static_cast<double>(patch);
  const auto cosine = [&](int64_t k, int64_t i) {
    constexpr double kPi = 3.14159265358979323846;
    const auto angle =
        kPi * static_cast<double>(k) * (static_cast<double>(i) + 0.5) / side;
    return std::sqrt((k == 0 ? 1 : 2) / side) * std::cos(angle);
  };
  auto out = at::empty({width, 3, patch, patch}, at::kFloat);
  auto value = out.accessor<float, 4>();
  for (int64_t w = 0; w < width; ++w) {
    const auto& wave = waves[static_cast<size_t>(w) % waves.size()];
    const auto c = static_cast<size_t>(wave.colour);
    const double gain = kWhiten[c] * (1 + wave.frequency) / side;
    for (int64_t y = 0; y < patch; ++y) {
      for (int64_t x = 0; x < patch; ++x) {
        const double basis = gain * cosine(wave.y, y) * cosine(wave.x, x);
        for (int64_t rgb = 0; rgb < 3; ++rgb) {
          value[w][rgb][y][x] = static_cast<float>(
              basis * kOpponent[c][static_cast<size_t>(rgb)]);
        }
      }
    }
  }
  return out;
}

/// [1 + grid^2, width]: zero for the class token, then per token the sines and
/// cosines of row and column.
at::Tensor wave_positions(int64_t grid, int64_t width) {
  const auto quarter = width / 4;
  const auto places = at::arange(grid, at::kDouble);
  const auto rates = at::pow(
      64.0, -at::arange(quarter, at::kDouble) / static_cast<double>(quarter));
  const auto angles = at::outer(places, rates);
  const auto axis = at::cat({angles.sin(), angles.cos()}, 1);  // (grid, C / 2)
  const auto rows = axis.repeat_interleave(grid, 0);
  const auto columns = axis.repeat({grid, 1});
  const auto tokens = at::cat({rows, columns}, 1);
  return at::cat({at::zeros({1, width}, at::kDouble), tokens}, 0)
      .to(at::kFloat);
}

void structure(std::map<std::string, at::Tensor>& tensors,
               const VisionConfig& v) {
  tensors.at("visual.conv1.weight").copy_(dct_filters(v.width, v.patch));
  tensors.at("visual.positional_embedding")
      .copy_(wave_positions(v.grid, v.width));
  for (int64_t i = 0; i < v.layers; ++i) {
    const auto& stacked =
        tensors.at("visual.transformer.resblocks." + std::to_string(i) +
                   ".attn.in_proj_weight");
    stacked.slice(0, v.width, 2 * v.width).copy_(stacked.slice(0, 0, v.width));
  }
}

void eva_tower(Builder& build, const VisionConfig& v) {
  constexpr double kStd = 0.02;
  const int64_t c = v.width;
  build.normal("visual.cls_token", {1, 1, c}, kStd);
  build.normal("visual.pos_embed", {1, 1 + v.grid * v.grid, c}, kStd);
  build.normal("visual.patch_embed.proj.weight",
               {c, 3, v.patch, v.patch},
               1 / root(3 * v.patch * v.patch));
  build.zeros("visual.patch_embed.proj.bias", {c});
  for (int64_t i = 0; i < v.layers; ++i) {
    const auto block = "visual.blocks." + std::to_string(i);
    const double branch = kStd / root(2 * (i + 1));
    build.norm(block + ".norm1", c);
    for (const char* part : {"q", "k", "v"}) {
      build.normal(block + ".attn." + part + "_proj.weight", {c, c}, kStd);
    }
    build.zeros(block + ".attn.q_bias", {c});
    build.zeros(block + ".attn.v_bias", {c});
    build.norm(block + ".attn.inner_attn_ln", c);
    build.linear(block + ".attn.proj", c, c, branch);
    build.norm(block + ".norm2", c);
    build.linear(block + ".mlp.w1", v.mlp_hidden, c, kStd);
    build.linear(block + ".mlp.w2", v.mlp_hidden, c, kStd);
    build.norm(block + ".mlp.ffn_ln", v.mlp_hidden);
    build.linear(block + ".mlp.w3", c, v.mlp_hidden, branch);
  }
  build.norm("visual.norm", c);
  build.linear("visual.head", v.embed_dim, c, kStd);
}

void text_tower(Builder& build, const TextConfig& t) {
  build.normal("text.token_embedding.weight", {t.vocab, t.width}, 0.02);
  build.normal("text.positional_embedding", {t.context, t.width}, 0.01);
  clip_blocks(build, "text.", t.layers, t.width, 4 * t.width);
  build.norm("text.ln_final", t.width);
  build.normal(
      "text.text_projection", {t.width, t.embed_dim}, 1 / root(t.width));
  build.tensors.emplace("logit_scale",
                        at::full({}, std::log(1 / 0.07), at::kFloat));
}

void check(const ModelConfig& config) {
  const auto& v = config.vision;
  bool fits = v.patch > 0 && v.grid > 0 && v.layers > 0 && v.heads > 0 &&
              v.width > 0 && v.width % v.heads == 0 && v.mlp_hidden > 0 &&
              v.embed_dim > 0 && v.image_size == v.grid * v.patch &&
              (config.family == Family::kPlain ||
               v.width / v.heads % 4 == 0);  // two axes of rotated pairs
  if (config.text) {
    const auto& t = *config.text;
    fits = fits && t.width > 0 && t.layers > 0 && t.heads > 0 &&
           t.width % t.heads == 0 && t.context > 0 && t.vocab > 0 &&
           t.embed_dim == v.embed_dim;
  }
  if (!fits) {
    throw Error(ErrorCode::kInvalidArg,
                "A model's sizes must be above 0, its widths multiples of its "
                "heads, the picture's side a multiple of the patch, and both "
                "towers must have the same embedDim.");
  }
}

}  // namespace

Start start_from(const std::string& name) {
  if (name == "random") return Start::kRandom;
  if (name == "structured") return Start::kStructured;
  throw Error(
      ErrorCode::kInvalidArg,
      "start must be 'random' or 'structured', received '" + name + "'.");
}

Checkpoint initial_checkpoint(const ModelConfig& config,
                              uint64_t seed,
                              Start start) {
  check(config);
  const auto& v = config.vision;
  if (start == Start::kStructured &&
      (config.family != Family::kPlain || v.width % 4 != 0)) {
    throw Error(ErrorCode::kInvalidArg,
                "start 'structured' is for CLIP's image tower with a width "
                "that is a multiple of 4. Use 'random'.");
  }
  Builder build(seed);
  if (config.family == Family::kEva) {
    eva_tower(build, config.vision);
  } else {
    plain_tower(build, config.vision);
  }
  if (config.text) text_tower(build, *config.text);
  if (start == Start::kStructured) structure(build.tensors, v);

  Checkpoint out;
  out.path = "a new model";
  out.format = "open_clip";
  out.config = config;
  out.stored_dtype = "float32";
  TowerTensors towers;
  towers.path = out.path;
  towers.tensors = std::move(build.tensors);
  check_towers(towers, config);
  out.tensors = std::move(towers.tensors);
  return out;
}

void write_initial_checkpoint(const std::string& path,
                              const ModelConfig& config,
                              uint64_t seed,
                              Start start) {
  export_open_clip(
      path, config, initial_checkpoint(config, seed, start).tensors);
}

}  // namespace declip
