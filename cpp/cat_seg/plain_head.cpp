#include "cat_seg/plain_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "declip/error.h"

namespace declip::cat_seg {
namespace {

constexpr double kNormEpsilon = 1e-5;   // of layer and group norms
constexpr double kUnitEpsilon = 1e-12;  // of unit vectors
constexpr double kSumEpsilon = 1e-6;    // of attention over words
constexpr double kMasked = -100;        // Swin's, of other regions
constexpr int64_t kGroupChannels = 16;  // of a group of the decoder's norms
constexpr int64_t kTransformed = 2;     // steps of the decoder

at::Tensor unit(const at::Tensor& x, int64_t dim) {
  return x / x.norm(2, {dim}, /*keepdim=*/true).clamp_min(kUnitEpsilon);
}

/// Tensors behind a name: `Part(weights, "transformer.")("conv1.weight")`.
class Part {
 public:
  Part(const Tensors& tensors, std::string prefix)
      : tensors_(tensors), prefix_(std::move(prefix)) {}

  const at::Tensor& operator()(const std::string& name) const {
    const auto it = tensors_.find(prefix_ + name);
    if (it == tensors_.end()) {
      throw Error(ErrorCode::kInternal, "CAT-Seg lacks " + prefix_ + name);
    }
    return it->second;
  }
  Part in(const std::string& name) const {
    return {tensors_, prefix_ + name + "."};
  }

  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return at::linear(x, (*this)(name + ".weight"), (*this)(name + ".bias"));
  }
  /// Over the last axis.
  at::Tensor norm(const std::string& name, const at::Tensor& x) const {
    return at::layer_norm(x,
                          {x.size(-1)},
                          (*this)(name + ".weight"),
                          (*this)(name + ".bias"),
                          kNormEpsilon);
  }
  /// A 3 x 3 convolution with zeros around.
  at::Tensor conv(const std::string& name, const at::Tensor& x) const {
    return at::conv2d(
        x, (*this)(name + ".weight"), (*this)(name + ".bias"), 1, 1);
  }
  at::Tensor projected(const std::string& name, const at::Tensor& x) const {
    return at::relu(conv(name, x));
  }
  /// A transposed convolution whose stride is its side.
  at::Tensor enlarged(const std::string& name, const at::Tensor& x) const {
    const auto& weight = (*this)(name + ".weight");
    return at::conv_transpose2d(
        x, weight, (*this)(name + ".bias"), weight.size(2));
  }

 private:
  const Tensors& tensors_;
  std::string prefix_;
};

/// How Swin cuts a grid: windows of side x side patches, shifted or not.
struct Cut {
  int64_t height, width, side, shift;

  /// x [B, h w, C] -> [B, windows, side side, C].
  at::Tensor windows(const at::Tensor& x) const {
    auto map = x.unflatten(1, {height, width});
    if (shift > 0) map = map.roll({-shift, -shift}, {1, 2});
    return map.unflatten(2, {width / side, side})
        .unflatten(1, {height / side, side})
        .transpose(2, 3)
        .flatten(3, 4)
        .flatten(1, 2);
  }
  at::Tensor joined(const at::Tensor& x) const {
    auto map = x.unflatten(1, {height / side, width / side})
                   .unflatten(3, {side, side})
                   .transpose(2, 3)
                   .flatten(3, 4)
                   .flatten(1, 2);
    if (shift > 0) map = map.roll({shift, shift}, {1, 2});
    return map.flatten(1, 2);
  }
  /// [windows, side side, side side]: what is added to the similarities.
  at::Tensor mask(const at::TensorOptions& options) const {
    const auto part = [&](int64_t i, int64_t length) {
      return i < length - side ? 0 : i < length - shift ? 1 : 2;
    };
    std::vector<float> region(height * width);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        region[y * width + x] =
            static_cast<float>(3 * part(y, height) + part(x, width));
      }
    }
    Cut still = *this;  // regions are those of the map that was rolled
    still.shift = 0;
    const auto of =
        still.windows(at::tensor(region).view({1, height * width, 1}))
            .squeeze(0)
            .squeeze(-1);  // [windows, side side]
    return (of.unsqueeze(1) != of.unsqueeze(2))
        .to(options.device())
        .to(options.dtype())
        .mul(kMasked);
  }
};

Cut cut_of(const CatSegConfig& config,
           int64_t height,
           int64_t width,
           bool shifted) {
  const int64_t least = std::min(height, width);
  const int64_t side = std::min(config.window, least);
  if (height % side != 0 || width % side != 0) {
    throw Error(ErrorCode::kInvalidArg,
                "CAT-Seg attends in windows of " + std::to_string(side) +
                    " x " + std::to_string(side) +
                    " patches, which a grid of " + std::to_string(height) +
                    " x " + std::to_string(width) +
                    " cannot be cut into. Give `side` another value.");
  }
  return {height,
          width,
          side,
          shifted && least > config.window ? config.window / 2 : 0};
}

/// One Swin block over places. x [n T, h w, C]; gamma [n, h w, Ci].
at::Tensor over_places(const Part& block,
                       const at::Tensor& x,
                       const at::Tensor& gamma,
                       const Cut& cut,
                       int64_t heads) {
  const int64_t channels = x.size(2), words = x.size(0) / gamma.size(0);
  const auto h = block.norm("norm1", x);
  const auto guide = gamma.unsqueeze(1)
                         .expand({-1, words, -1, -1})
                         .reshape({x.size(0), x.size(1), gamma.size(2)});
  const auto both = cut.windows(at::cat({h, guide}, 2));
  const auto split = [&](const at::Tensor& y) {
    return y.unflatten(3, {heads, channels / heads}).transpose(2, 3);
  };
  const auto q = split(block.linear("attn.q", both));
  const auto k = split(block.linear("attn.k", both));
  const auto v = split(block.linear("attn.v", cut.windows(h)));
  auto scores = q.matmul(k.transpose(-2, -1)) *
                (1 / std::sqrt(static_cast<double>(channels) /
                               static_cast<double>(heads)));
  if (cut.shift > 0) scores = scores + cut.mask(x.options()).unsqueeze(1);
  const auto attended = scores.softmax(-1).matmul(v).transpose(2, 3).flatten(3);
  auto out = x + cut.joined(block.linear("attn.proj", attended));
  const auto hidden =
      at::gelu(block.linear("mlp.fc1", block.norm("norm2", out)));
  return out + block.linear("mlp.fc2", hidden);
}

/// What a list of words, at some places, puts into attention over words.
struct WordHeads {
  at::Tensor q, k, v;  // [.., heads, words, d]; q and k above 0
};

WordHeads word_heads(const Part& layer,
                     const at::Tensor& words,
                     const at::Tensor& guide,
                     int64_t heads) {
  const auto part = layer.in("attention");
  const auto split = [&](const at::Tensor& y) {
    return y.unflatten(-1, {heads, y.size(-1) / heads}).transpose(-3, -2);
  };
  const auto positive = [](const at::Tensor& y) { return at::elu(y) + 1; };
  const auto h = layer.norm("norm1", words);
  const auto both = at::cat({h, guide}, -1);
  return {positive(split(part.linear("q", both))),
          positive(split(part.linear("k", both))),
          split(part.linear("v", h))};
}

/// Attention over the words of every place. p [n, places, T, C]; guide
/// [n, T, Ct]; `pads` padding words take part as keys and values. All of them
/// are alike, at every place.
at::Tensor attend_words(const Part& layer,
                        const at::Tensor& p,
                        const at::Tensor& guide,
                        int64_t pads,
                        int64_t heads) {
  const auto own = word_heads(
      layer, p, guide.unsqueeze(1).expand({-1, p.size(1), -1, -1}), heads);
  auto sums = own.k.transpose(-2, -1).matmul(own.v);  // [n, N, heads, d, d]
  auto total = own.k.sum(-2, /*keepdim=*/true);       // [n, N, heads, 1, d]
  if (pads > 0) {
    const auto pad = word_heads(
        layer, layer("padding_tokens"), layer("padding_guidance"), heads);
    const auto count = static_cast<double>(pads);
    sums = sums + pad.k.transpose(-2, -1).matmul(pad.v) * count;
    total = total + pad.k * count;
  }
  const auto weight = (own.q * total).sum(-1, /*keepdim=*/true) + kSumEpsilon;
  const auto attended =
      (own.q.matmul(sums) / weight).transpose(-3, -2).flatten(-2);
  const auto y = p + attended;
  const auto hidden = at::relu(layer.linear("MLP.0", layer.norm("norm2", y)));
  return y + layer.linear("MLP.2", hidden);
}

/// x [n, T, C, h, w] -> the same shape. Some places at a time, if `block` says
/// how many: they have nothing to do with each other.
at::Tensor over_words(const Part& layer,
                      const at::Tensor& x,
                      const at::Tensor& guide,
                      int64_t pooling,
                      int64_t pads,
                      int64_t heads,
                      int64_t block) {
  const int64_t n = x.size(0), words = x.size(1), channels = x.size(2);
  auto pooled = x.flatten(0, 1).contiguous();
  if (pooling > 1) pooled = at::avg_pool2d(pooled, pooling, pooling);
  const int64_t height = pooled.size(2), width = pooled.size(3);
  const auto p = pooled.reshape({n, words, channels, height * width})
                     .permute({0, 3, 1, 2});
  std::vector<at::Tensor> parts;
  for (const auto& some : p.split(block > 0 ? block : p.size(1), 1)) {
    parts.push_back(attend_words(layer, some, guide, pads, heads));
  }
  auto out = at::cat(parts, 1)
                 .permute({0, 2, 3, 1})
                 .reshape({n * words, channels, height, width});
  if (pooling > 1) {
    out = at::upsample_bilinear2d(
        out, {x.size(3), x.size(4)}, /*align_corners=*/true);
  }
  // The words enter a second time: `out` holds them already.
  return x + out.view_as(x);
}

/// One step of the decoder. x [n T, C, h, w]; guide [n, D, 2 h, 2 w].
at::Tensor decoded(const Part& part,
                   const at::Tensor& x,
                   const at::Tensor& guide) {
  const int64_t words = x.size(0) / guide.size(0);
  auto y = at::cat(
      {part.enlarged("up", x),
       guide.unsqueeze(1).expand({-1, words, -1, -1, -1}).flatten(0, 1)},
      1);
  const auto conv = part.in("conv.double_conv");
  for (const int64_t i : {0, 3}) {
    const auto& weight = conv(std::to_string(i) + ".weight");
    const std::string norm = std::to_string(i + 1);
    y = at::relu(
        at::group_norm(at::conv2d(y, weight, {}, 1, 1),
                       std::max<int64_t>(1, weight.size(0) / kGroupChannels),
                       conv(norm + ".weight"),
                       conv(norm + ".bias"),
                       kNormEpsilon));
  }
  return y;
}

/// `make` of some words of x [n, T, ..] at a time, joined; 0: of all.
template <class Make>
at::Tensor in_blocks(const at::Tensor& x, int64_t block, const Make& make) {
  if (block <= 0 || block >= x.size(1)) return make(x);
  std::vector<at::Tensor> parts;
  for (const auto& some : x.split(block, 1)) parts.push_back(make(some));
  return at::cat(parts, 1);
}

void show(const Observer& observe,
          const std::string& name,
          const at::Tensor& value) {
  if (observe) observe(name, value);
}

}  // namespace

CatSegMaps plain_maps(const CatSegConfig& config,
                      const Tensors& weights,
                      const at::Tensor& features,
                      const at::Tensor& first,
                      const at::Tensor& second,
                      const Observer& observe) {
  const Part top(weights, "");
  const Part head(weights, "transformer.");
  CatSegMaps maps;
  maps.features = unit(features, 1);
  show(observe,
       "image_features",
       config.unit_patches ? maps.features : features);
  const at::Tensor guides[kTransformed] = {top.enlarged("upsample1", first),
                                           top.enlarged("upsample2", second)};
  show(observe, "guidance_1", guides[0]);
  show(observe, "guidance_2", guides[1]);
  maps.image = head.projected("guidance_projection.0",
                              config.unit_patches ? maps.features : features);
  maps.decoder1 = head.projected("decoder_guidance_projection.0.0", guides[0]);
  maps.decoder2 = head.projected("decoder_guidance_projection.1.0", guides[1]);
  show(observe, "image_guidance", maps.image);
  show(observe, "decoder_guidance_1", maps.decoder1);
  show(observe, "decoder_guidance_2", maps.decoder2);
  return maps;
}

at::Tensor plain_logits(const CatSegConfig& config,
                        const Tensors& weights,
                        const CatSegMaps& maps,
                        const at::Tensor& text,
                        int64_t pooling,
                        int64_t word_limit,
                        const Observer& observe,
                        int64_t block) {
  const Part head(weights, "transformer.");
  const int64_t n = maps.features.size(0);
  const int64_t height = maps.features.size(2), width = maps.features.size(3);
  const auto own =
      text.dim() == 4 ? text : text.unsqueeze(0).expand({n, -1, -1, -1});
  const int64_t words = own.size(1);

  const auto cost =
      at::einsum("behw,btpe->bpthw", {maps.features, unit(own, 3)});
  show(observe, "cost", cost);
  const auto& kernel = head("conv1.weight");
  auto x = at::conv2d(cost.transpose(1, 2).flatten(0, 1),
                      kernel,
                      head("conv1.bias"),
                      1,
                      kernel.size(2) / 2);
  show(observe, "cost_embedding", x);
  const int64_t channels = x.size(1);
  const auto guide =
      at::relu(head.linear("text_guidance_projection.0", unit(own.mean(2), 2)));
  show(observe, "text_guidance", guide);

  const int64_t pads = std::max<int64_t>(0, word_limit - words);
  const auto image = maps.image.flatten(2).transpose(1, 2);  // [n, h w, Ci]
  for (int64_t i = 0; i < config.layers; ++i) {
    const auto name = "layer" + std::to_string(i);
    const auto layer = head.in("layers").in(std::to_string(i));
    const auto swin = layer.in("swin_block");
    const auto gamma = swin.norm("guidance_norm", image);
    const auto placed = in_blocks(
        x.unflatten(0, {n, words}), block, [&](const at::Tensor& some) {
          auto tokens = some.flatten(0, 1).flatten(2).transpose(1, 2);
          for (const bool shifted : {false, true}) {
            const std::string part = shifted ? "block_2" : "block_1";
            tokens = over_places(swin.in(part),
                                 tokens,
                                 gamma,
                                 cut_of(config, height, width, shifted),
                                 config.heads);
            show(observe, name + ".swin_" + part, tokens);
          }
          return tokens.transpose(1, 2).reshape(
              {n, some.size(1), channels, height, width});
        });
    const auto out = over_words(layer.in("attention"),
                                placed,
                                guide,
                                pooling,
                                pads,
                                config.heads,
                                block);
    show(observe, name + ".class", out.transpose(1, 2));
    x = out.flatten(0, 1);
  }
  const auto logits =
      in_blocks(x.unflatten(0, {n, words}), block, [&](const at::Tensor& some) {
        auto y =
            decoded(head.in("decoder1"), some.flatten(0, 1), maps.decoder1);
        show(observe, "decoder_1", y);
        y = decoded(head.in("decoder2"), y, maps.decoder2);
        show(observe, "decoder_2", y);
        y = head.conv("head", y);
        return y.view({n, some.size(1), y.size(2), y.size(3)});
      });
  show(observe, "logits", logits);
  return logits;
}

}  // namespace declip::cat_seg
