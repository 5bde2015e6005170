#include "train/cat_seg_initial.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <cmath>
#include <utility>

#include "cat_seg/cat_seg_file.h"
#include "checkpoint/family.h"
#include "declip/error.h"
#include "train/training_mode.h"

namespace declip {
namespace {

constexpr int64_t kHiddenTimes = 4;    // of both MLPs, relative to the channels
constexpr int64_t kCostSide = 7;       // of the convolution over the cost
constexpr int64_t kNormChannels = 16;  // of a group of the decoder's norms

void or_else(int64_t& value, int64_t usual) {
  if (value == 0) value = usual;
}
void or_else(std::vector<int64_t>& value, std::vector<int64_t> usual) {
  if (value.empty()) value = std::move(usual);
}

[[noreturn]] void refuse_size(const std::string& what,
                              const std::string& found) {
  throw Error(ErrorCode::kInvalidArg, what + ", received " + found + ".");
}

/// Tensors in the order in which they are asked for.
class NewCatSeg {
 public:
  explicit NewCatSeg(uint64_t seed)
      : random_(at::detail::createCPUGenerator(seed)) {}

  void linear(const std::string& name, int64_t out, int64_t in) {
    layer(name, {out, in}, out, in);
  }
  void conv(const std::string& name,
            int64_t out,
            int64_t in,
            int64_t side,
            bool bias = true) {
    layer(name, {out, in, side, side}, bias ? out : 0, in * side * side);
  }
  /// PyTorch takes a transposed convolution's outputs for its inputs.
  void transposed(const std::string& name,
                  int64_t in,
                  int64_t out,
                  int64_t side) {
    layer(name, {in, out, side, side}, out, out * side * side);
  }
  void norm(const std::string& name, int64_t channels) {
    tensors.emplace(name + ".weight", at::ones({channels}, at::kFloat));
    tensors.emplace(name + ".bias", at::zeros({channels}, at::kFloat));
  }
  void zeros(const std::string& name, int64_t channels) {
    tensors.emplace(name, at::zeros({1, 1, channels}, at::kFloat));
  }

  std::map<std::string, at::Tensor> tensors;

 private:
  void layer(const std::string& name,
             at::IntArrayRef sizes,
             int64_t biases,
             int64_t inputs) {
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    uniform(name + ".weight", sizes, bound);
    if (biases > 0) uniform(name + ".bias", {biases}, bound);
  }
  void uniform(const std::string& name, at::IntArrayRef sizes, double bound) {
    tensors.emplace(
        name, at::rand(sizes, random_, at::kFloat).mul_(2).sub_(1).mul_(bound));
  }

  at::Generator random_;
};

}  // namespace

CatSegConfig new_cat_seg_config(CatSegConfig c, const ModelConfig& model) {
  const auto& tower = model.vision;
  const bool plain = !model.family->has_swiglu(model);
  c.embed_dim = tower.embed_dim;
  c.prompts = 1;
  or_else(c.channels, 128);
  or_else(c.layers, 2);
  or_else(c.image_guidance, 128);
  or_else(c.text_guidance, 128);
  or_else(c.guidance, {256, 128});
  or_else(c.decoder, {64, 32});
  or_else(c.decoder_guidance, {32, 16});
  or_else(c.side, usual_cat_seg_side(tower));
  or_else(c.canvas, 640);
  or_else(c.cut, 384);
  or_else(c.stride, 256);
  or_else(c.heads, 4);
  or_else(c.window, 12);
  or_else(c.blocks, usual_guiding_blocks(tower.layers));
  if (!plain && c.mode == DenseMode::kCatSeg) {
    c.mode = DenseMode::kCsa;
    c.unit_patches = true;
  }
  check_cat_seg_config(c, model);
  return c;
}

void check_cat_seg_config(const CatSegConfig& c, const ModelConfig& model) {
  const auto whole = [](const char* name, int64_t value) {
    check_range(name, static_cast<double>(value), 1, INFINITY);
  };
  whole("head.channels", c.channels);
  whole("head.layers", c.layers);
  whole("head.imageGuidance", c.image_guidance);
  whole("head.textGuidance", c.text_guidance);
  whole("head.heads", c.heads);
  whole("head.window", c.window);
  whole("head.side", c.side);
  whole("head.canvas", c.canvas);
  whole("head.cut", c.cut);
  whole("head.stride", c.stride);
  check_range("head.wordLimit", static_cast<double>(c.word_limit), 0, INFINITY);
  if (c.prompts != 1) {
    refuse_size("A head that is trained has one prompt a word",
                std::to_string(c.prompts));
  }
  const auto pair = [&](const char* name, const std::vector<int64_t>& list) {
    if (list.size() != 2) {
      refuse_size(std::string(name) + " must be 2 numbers",
                  std::to_string(list.size()));
    }
    for (const int64_t value : list) whole(name, value);
  };
  pair("head.guidance", c.guidance);
  pair("head.decoder", c.decoder);
  pair("head.decoderGuidance", c.decoder_guidance);
  if (c.channels % c.heads != 0) {
    refuse_size("head.channels must be a multiple of the heads, " +
                    std::to_string(c.heads),
                std::to_string(c.channels));
  }
  const std::array<int64_t, 2> inputs{c.channels, c.decoder[0]};
  for (size_t i = 0; i < 2; ++i) {
    if (c.decoder[i] % kNormChannels != 0) {
      refuse_size(
          "head.decoder must be multiples of 16, as groups of its "
          "norms are",
          std::to_string(c.decoder[i]));
    }
    if (c.decoder_guidance[i] >= inputs[i]) {
      refuse_size(
          "head.decoderGuidance must be less than the channels that it "
          "joins, " +
              std::to_string(inputs[i]),
          std::to_string(c.decoder_guidance[i]));
    }
  }
  const int64_t patch = model.vision.patch, layers = model.vision.layers;
  if (c.side % patch != 0) {
    refuse_size(
        "head.side must be a multiple of the patch, " + std::to_string(patch),
        std::to_string(c.side));
  }
  const int64_t grid = c.side / patch;
  if (grid > c.window && grid % c.window != 0) {
    refuse_size("head.window must divide the " + std::to_string(grid) +
                    " patches along a side, or be as many or more",
                std::to_string(c.window));
  }
  if (c.blocks.size() != 2) {
    refuse_size("head.blocks must be 2 blocks, whose maps guide",
                std::to_string(c.blocks.size()));
  }
  for (const int64_t block : c.blocks) {
    if (block >= 0 && block < layers - 1) continue;
    refuse_size("head.blocks must be 0.." + std::to_string(layers - 2) +
                    ", blocks below the last of this tower",
                std::to_string(block));
  }
}

std::map<std::string, at::Tensor> initial_cat_seg(const CatSegConfig& c,
                                                  int64_t tower_width,
                                                  uint64_t seed) {
  const auto n = [](int64_t i) { return std::to_string(i); };
  const int64_t hidden = kHiddenTimes * c.channels;
  NewCatSeg out(seed);
  out.transposed("upsample1", tower_width, c.guidance[0], 2);
  out.transposed("upsample2", tower_width, c.guidance[1], 4);
  const std::string head = "transformer.";
  out.conv(head + "conv1", c.channels, c.prompts, kCostSide);
  out.conv(head + "guidance_projection.0", c.image_guidance, c.embed_dim, 3);
  out.linear(head + "text_guidance_projection.0", c.text_guidance, c.embed_dim);
  for (size_t i = 0; i < 2; ++i) {
    out.conv(head + "decoder_guidance_projection." + std::to_string(i) + ".0",
             c.decoder_guidance[i],
             c.guidance[i],
             3);
  }
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto layer = head + "layers." + n(i) + ".";
    out.norm(layer + "swin_block.guidance_norm", c.image_guidance);
    for (const char* name : {"block_1", "block_2"}) {
      const auto block = layer + "swin_block." + name + ".";
      out.norm(block + "norm1", c.channels);
      out.linear(block + "attn.q", c.channels, c.channels + c.image_guidance);
      out.linear(block + "attn.k", c.channels, c.channels + c.image_guidance);
      out.linear(block + "attn.v", c.channels, c.channels);
      out.linear(block + "attn.proj", c.channels, c.channels);
      out.norm(block + "norm2", c.channels);
      out.linear(block + "mlp.fc1", hidden, c.channels);
      out.linear(block + "mlp.fc2", c.channels, hidden);
    }
    const auto words = layer + "attention.";
    out.zeros(words + "padding_tokens", c.channels);
    out.zeros(words + "padding_guidance", c.text_guidance);
    const auto inner = words + "attention.";
    out.linear(inner + "q", c.channels, c.channels + c.text_guidance);
    out.linear(inner + "k", c.channels, c.channels + c.text_guidance);
    out.linear(inner + "v", c.channels, c.channels);
    out.linear(words + "MLP.0", hidden, c.channels);
    out.linear(words + "MLP.2", c.channels, hidden);
    out.norm(words + "norm1", c.channels);
    out.norm(words + "norm2", c.channels);
  }
  int64_t in = c.channels;
  for (size_t i = 0; i < 2; ++i) {
    const auto step = head + "decoder" + std::to_string(i + 1) + ".";
    const auto twice = step + "conv.double_conv.";
    const int64_t channels = c.decoder[i];
    out.transposed(step + "up", in, in - c.decoder_guidance[i], 2);
    out.conv(twice + "0", channels, in, 3, /*bias=*/false);
    out.norm(twice + "1", channels);
    out.conv(twice + "3", channels, channels, 3, /*bias=*/false);
    out.norm(twice + "4", channels);
    in = channels;
  }
  out.conv(head + "head", 1, in, 3);
  return out.tensors;
}

}  // namespace declip
