#include "declip/initial.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint/internal_names.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "families/clip.h"
#include "families/initial_weights.h"
#include "train/export.h"

namespace declip {
namespace {

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

void check(const ModelConfig& config) {
  if (config.family->training == nullptr) {
    throw Error(ErrorCode::kInvalidArg,
                "A model of family '" + std::string(config.family->name) +
                    "' cannot be trained here; 'clip' and 'eva' can.");
  }
  const auto& v = config.vision;
  bool fits = v.patch > 0 && v.grid > 0 && v.layers > 0 && v.heads > 0 &&
              v.width > 0 && v.width % v.heads == 0 && v.mlp_hidden > 0 &&
              v.embed_dim > 0 && v.image_size == v.grid * v.patch &&
              v.width / v.heads % config.family->training->head_multiple == 0;
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
      (config.family != &families::clip || v.width % 4 != 0)) {
    throw Error(ErrorCode::kInvalidArg,
                "start 'structured' is for CLIP's image tower with a width "
                "that is a multiple of 4. Use 'random'.");
  }
  InitialWeights weights(seed);
  config.family->training->make_initial(weights, v);
  if (config.text) initial_text_tower(weights, *config.text);
  if (start == Start::kStructured) structure(weights.tensors, v);

  Checkpoint out;
  out.path = "a new model";
  out.format = "open_clip";
  out.config = config;
  out.stored_dtype = "float32";
  TowerTensors towers;
  towers.path = out.path;
  towers.tensors = std::move(weights.tensors);
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
