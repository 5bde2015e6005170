#include "cat_seg/fused_head.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "cat_seg/fused_decoder.h"
#include "cat_seg/fused_weights.h"
#include "declip/memory.h"
#include "kernels/word_maps.h"

namespace declip::cat_seg {
namespace {

constexpr double kWordEpsilon = 1e-5;

/// Maps of words that are at work at once, where windows have fewer words.
constexpr int64_t kMapsAtOnce = 256;

at::Tensor guide_product(const at::Tensor& x, const FusedGuide& guide) {
  return at::addmm(guide.bias, x.to(at::kFloat), guide.weight.t());
}

/// [n, C, h, w] -> [n, h w, C], float32.
at::Tensor guidance_rows(const at::Tensor& map) {
  return map.flatten(2).transpose(1, 2).to(at::kFloat).contiguous();
}

}  // namespace

struct FusedHead::Parts {
  CatSegConfig config;
  bool bfloat16 = false;
  at::Tensor text_weight, text_bias;
  FusedLayer cost;
  int64_t cost_kernel = 7;
  struct Layer {
    FusedSpace space;
    FusedClass words;
  };
  std::vector<Layer> layers;
  FusedDecoder decoder;

  Parts(const CatSegConfig& from,
        const Tensors& weights,
        const Numerics& numerics);

  WordShape shape(int64_t images, int64_t words, int64_t places) const;
  void space(const Layer& layer,
             WordShape shape,
             int64_t side,
             const at::Tensor& image,
             at::Tensor& x) const;
  void words(const Layer& layer,
             WordShape shape,
             const at::Tensor& text,
             int64_t pooling,
             int64_t fill,
             at::Tensor& x) const;
  void some(const CatSegMaps& maps,
            const at::Tensor& text,
            int64_t first,
            int64_t pooling,
            int64_t word_limit,
            const Call& call,
            at::Tensor& out) const;
};

FusedHead::Parts::Parts(const CatSegConfig& from,
                        const Tensors& weights,
                        const Numerics& numerics)
    : config(from),
      bfloat16(numerics.dtype == at::kBFloat16 && has_bfloat16_words()) {
  const WeightScope memory;
  const FusedShape head{config.channels, config.heads, bfloat16};
  const auto value = [&](const std::string& name) {
    return weights.at("transformer." + name).to(at::kFloat);
  };
  text_weight = value("text_guidance_projection.0.weight");
  text_bias = value("text_guidance_projection.0.bias");
  const auto conv = value("conv1.weight");
  cost_kernel = conv.size(2);
  cost = FusedLayer(conv.flatten(1), value("conv1.bias"), false);
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string name = "layers." + std::to_string(i) + ".";
    layers.push_back({FusedSpace(weights, "transformer." + name, head),
                      FusedClass(weights, "transformer." + name, head)});
  }
  decoder = FusedDecoder(weights, head);
}

WordShape FusedHead::Parts::shape(int64_t images,
                                  int64_t words,
                                  int64_t places) const {
  const FusedShape head{config.channels, config.heads, bfloat16};
  WordShape out;
  out.images = images;
  out.words = words;
  out.places = places;
  out.channels = config.channels;
  out.stride = head.stride();
  out.heads = config.heads;
  out.width = head.width();
  out.wide = head.wide();
  out.eps = static_cast<float>(kWordEpsilon);
  return out;
}

void FusedHead::Parts::space(const Layer& layer,
                             WordShape shape,
                             int64_t side,
                             const at::Tensor& image,
                             at::Tensor& x) const {
  const auto& weights = layer.space;
  const auto gamma = at::layer_norm(image,
                                    {image.size(-1)},
                                    weights.guidance_norm.weight,
                                    weights.guidance_norm.bias,
                                    kWordEpsilon)
                         .flatten(0, 1);
  WordSpaceArgs args;
  args.shape = shape;
  args.side = side;
  args.window = std::min(config.window, side);
  args.x = x.mutable_data_ptr<float>();
  std::array<at::Tensor, 2> guides;
  for (size_t b = 0; b < 2; ++b) {
    const auto& block = weights.blocks[b];
    guides[b] = guide_product(gamma, block.guide).contiguous();
    auto& out = args.blocks[b];
    out.norm1 = block.norm1.args();
    out.norm2 = block.norm2.args();
    out.qkv = block.qkv.args();
    out.proj = block.proj.args();
    out.fc1 = block.fc1.args();
    out.fc2 = block.fc2.args();
    out.guide = guides[b].const_data_ptr<float>();
    out.shift = b == 1 && side > config.window ? config.window / 2 : 0;
    args.shape.hidden = out.fc1.out;
  }
  word_space(args, bfloat16);
}

void FusedHead::Parts::words(const Layer& layer,
                             WordShape shape,
                             const at::Tensor& text,
                             int64_t pooling,
                             int64_t fill,
                             at::Tensor& x) const {
  const auto& weights = layer.words;
  const auto guide =
      guide_product(text.flatten(0, 1), weights.guide).contiguous();
  const auto more_products = (weights.fill_products * fill).contiguous();
  const auto more_keys = (weights.fill_keys * fill).contiguous();
  WordClassArgs args;
  args.shape = shape;
  args.norm1 = weights.norm1.args();
  args.norm2 = weights.norm2.args();
  args.qkv = weights.qkv.args();
  args.fc1 = weights.fc1.args();
  args.fc2 = weights.fc2.args();
  args.shape.hidden = args.fc1.out;
  args.guide = guide.const_data_ptr<float>();
  args.more_products = more_products.const_data_ptr<float>();
  args.more_keys = more_keys.const_data_ptr<float>();
  if (pooling == 1) {
    args.x = x.const_data_ptr<float>();
    args.out = x.mutable_data_ptr<float>();
    word_class(args, bfloat16);
    return;
  }
  const int64_t side = x.size(2);
  const auto planes = [&](const at::Tensor& rows, int64_t edge) {
    return rows.view({-1, edge, edge, shape.stride}).permute({0, 3, 1, 2});
  };
  auto pooled = at::avg_pool2d(planes(x, side), pooling)
                    .permute({0, 2, 3, 1})
                    .contiguous();
  args.shape.places = pooled.size(1) * pooled.size(2);
  args.x = pooled.const_data_ptr<float>();
  args.out = pooled.mutable_data_ptr<float>();
  args.again = false;
  word_class(args, bfloat16);
  planes(x, side).add_(at::upsample_bilinear2d(
      planes(pooled, pooled.size(1)), {side, side}, /*align_corners=*/true));
}

/// Windows first .. first + text.size(0) - 1.
void FusedHead::Parts::some(const CatSegMaps& maps,
                            const at::Tensor& text,
                            int64_t first,
                            int64_t pooling,
                            int64_t word_limit,
                            const Call& call,
                            at::Tensor& out) const {
  const int64_t images = text.size(0), count = text.size(1);
  const int64_t prompts = text.size(2), side = maps.features.size(2);
  const int64_t places = side * side;
  const auto part = [&](const at::Tensor& x) {
    return x.narrow(0, first, images);
  };
  const auto unit = [](const at::Tensor& x) {
    return x / x.norm(2, -1, true).clamp_min(1e-12);
  };
  const auto all = shape(images, count, places);
  auto x = at::empty({images, count, side, side, all.stride}, at::kFloat);
  {
    const auto features = part(maps.features).to(at::kFloat).flatten(2);
    const auto costs = at::bmm(unit(text).flatten(1, 2), features).contiguous();
    WordCostArgs args;
    args.maps = images * count;
    args.prompts = prompts;
    args.side = side;
    args.kernel = cost_kernel;
    args.stride = all.stride;
    args.layer = cost.args();
    args.cost = costs.const_data_ptr<float>();
    args.x = x.mutable_data_ptr<float>();
    cpu::word_cost(args);
  }
  const auto words_guidance = at::relu(
      at::linear(unit(text.mean(2)), text_weight, text_bias));  // [I, T, Ct]
  const auto image_guidance = guidance_rows(part(maps.image));
  const int64_t fill = std::max<int64_t>(word_limit - count, 0);
  for (const auto& layer : layers) {
    call.check();
    space(layer, all, side, image_guidance, x);
    call.check();
    words(layer, all, words_guidance, pooling, fill, x);
  }
  call.check();
  auto target = part(out);
  decoder(x, part(maps.decoder1), part(maps.decoder2), target);
}

bool FusedHead::fits(const CatSegConfig& config,
                     const Tensors& weights,
                     const Numerics& numerics) {
  if (!numerics.fused || weights.empty() || !weights.begin()->second.is_cpu()) {
    return false;
  }
  return config.decoder.size() == 2 && config.heads > 0 &&
         config.channels % config.heads == 0 &&
         config.channels / config.heads <= kWidestHead &&
         config.decoder[0] % kWordVector == 0 &&
         config.decoder[1] % kWordVector == 0;
}

FusedHead::FusedHead(const CatSegConfig& config,
                     const Tensors& weights,
                     const Numerics& numerics)
    : parts_(std::make_unique<const Parts>(config, weights, numerics)) {}

FusedHead::~FusedHead() = default;

bool FusedHead::takes(const CatSegMaps& maps) const {
  const int64_t side = maps.features.size(2), window = parts_->config.window;
  return side == maps.features.size(3) && window > 0 &&
         (side <= window || side % window == 0);
}

at::Tensor FusedHead::logits(const CatSegMaps& maps,
                             const at::Tensor& text,
                             int64_t pooling,
                             int64_t word_limit,
                             const Call& call) const {
  const int64_t images = maps.features.size(0), side = maps.features.size(2);
  auto words = text.to(at::kFloat);
  if (words.dim() == 3) words = words.unsqueeze(0).expand({images, -1, -1, -1});
  const int64_t count = words.size(1);
  auto out = at::empty({images, count, 4 * side, 4 * side}, at::kFloat);
  if (count == 0) return out;
  const int64_t group = std::max<int64_t>(kMapsAtOnce / count, 1);
  for (int64_t first = 0; first < images; first += group) {
    const int64_t n = std::min(group, images - first);
    parts_->some(maps,
                 words.narrow(0, first, n).contiguous(),
                 first,
                 pooling,
                 word_limit,
                 call,
                 out);
  }
  return out;
}

}  // namespace declip::cat_seg
