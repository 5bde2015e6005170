#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <string>

/// Heads of F-ViT with random weights, under mmdetection's names.
namespace random_detector {

using Named = std::map<std::string, at::Tensor>;

struct Sizes {
  int64_t width = 0;      // of the tower
  int64_t embed_dim = 0;  // and of its features
  int64_t channels = 16;
  int64_t hidden = 12;
  int64_t classes = 5;
  bool masks = true;
  bool rpn_norm = true;
};

/// Draws from at::manual_seed()'s generator.
inline Named heads(const Sizes& z) {
  Named out;
  const auto weight =
      [&](const std::string& name, at::IntArrayRef shape, int64_t inputs) {
        out[name] = at::randn(shape, at::kFloat) /
                    std::sqrt(static_cast<double>(inputs));
      };
  const auto bias = [&](const std::string& name, int64_t n) {
    out[name] = at::randn({n}, at::kFloat) * 0.2;
  };
  const auto norm = [&](const std::string& name, int64_t n) {
    out[name + ".weight"] = 1 + at::randn({n}, at::kFloat) * 0.2;
    bias(name + ".bias", n);
    bias(name + ".running_mean", n);
    out[name + ".running_var"] = 0.5 + at::rand({n}, at::kFloat);
    out[name + ".num_batches_tracked"] = at::scalar_tensor(7, at::kLong);
  };
  const auto conv =
      [&](const std::string& name, int64_t to, int64_t from, int64_t side) {
        weight(name + ".weight", {to, from, side, side}, from * side * side);
      };
  const auto normed =
      [&](const std::string& name, int64_t to, int64_t from, int64_t side) {
        conv(name + ".conv", to, from, side);
        norm(name + ".bn", to);
      };
  const auto linear = [&](const std::string& name, int64_t to, int64_t from) {
    weight(name + ".weight", {to, from}, from);
    bias(name + ".bias", to);
  };
  const int64_t w = z.width, c = z.channels;
  for (const char* name : {"backbone.interpolate1.0",
                           "backbone.interpolate1.3",
                           "backbone.interpolate2.0"}) {
    weight(std::string(name) + ".weight", {w, w, 2, 2}, w);
    bias(std::string(name) + ".bias", w);
  }
  norm("backbone.interpolate1.1", w);
  for (int i = 0; i < 4; ++i) {
    normed("neck.lateral_convs." + std::to_string(i), c, w, 1);
    normed("neck.fpn_convs." + std::to_string(i), c, c, 3);
  }
  for (int i = 0; i < 2; ++i) {
    const std::string name = "rpn_head.rpn_conv." + std::to_string(i);
    if (z.rpn_norm) {
      normed(name, c, c, 3);
    } else {
      conv(name + ".conv", c, c, 3);
      bias(name + ".conv.bias", c);
    }
  }
  conv("rpn_head.rpn_cls", 3, c, 1);
  bias("rpn_head.rpn_cls.bias", 3);
  conv("rpn_head.rpn_reg", 12, c, 1);
  bias("rpn_head.rpn_reg.bias", 12);
  const std::string box = "roi_head.bbox_head.";
  for (int i = 0; i < 4; ++i) {
    normed(box + "shared_convs." + std::to_string(i), c, c, 3);
  }
  linear(box + "shared_fcs.0", z.hidden, c * 7 * 7);
  linear(box + "shared_fcs.1", z.hidden, z.hidden);
  linear(box + "cls_fcs.0", z.embed_dim, z.hidden);
  linear(box + "reg_fcs.0", z.hidden, z.hidden);
  linear(box + "fc_reg", 4, z.hidden);
  weight(box + "all_embeddings", {z.embed_dim, z.classes + 1}, z.embed_dim);
  out[box + "detect_temperature"] = at::scalar_tensor(20, at::kFloat);
  if (z.masks) {
    const std::string mask = "roi_head.mask_head.";
    for (int i = 0; i < 4; ++i) {
      normed(mask + "convs." + std::to_string(i), c, c, 3);
    }
    weight(mask + "upsample.weight", {c, c, 2, 2}, c);
    bias(mask + "upsample.bias", c);
    conv(mask + "conv_logits", 1, c, 1);
    bias(mask + "conv_logits.bias", 1);
  }
  return out;
}

}  // namespace random_detector
