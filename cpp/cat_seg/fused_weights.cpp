#include "cat_seg/fused_weights.h"

#include <ATen/ATen.h>

#include <cmath>

namespace declip::cat_seg {
namespace {

constexpr double kFillEpsilon = 1e-5;

at::Tensor head_value(const Tensors& weights, const std::string& name) {
  return weights.at(name).to(at::kFloat);
}

at::Tensor padded_to(const at::Tensor& x, int64_t size) {
  return at::constant_pad_nd(x, {0, size - x.size(-1)}).contiguous();
}

/// Rows [heads width, ...] with zeros behind every head.
at::Tensor head_rows(const at::Tensor& x, const FusedShape& shape) {
  auto sizes = x.sizes().vec();
  sizes[0] = shape.width();
  sizes.insert(sizes.begin(), shape.heads);
  const auto heads = x.view(sizes);
  sizes[1] = shape.wide();
  auto out = at::zeros(sizes, x.options());
  out.narrow(1, 0, shape.width()).copy_(heads);
  return out.flatten(0, 1);
}

/// Queries', keys' and values' weights of what is normed, and what guidance
/// adds.
struct ThreeProducts {
  at::Tensor rows;  // [3 heads wide, channels]
  FusedGuide guide;
};

ThreeProducts three_products(const Tensors& weights,
                             const std::string& name,
                             const FusedShape& shape,
                             double scale) {
  const auto part = [&](const char* which, double factor) {
    return head_rows(head_value(weights, name + which + ".weight") * factor,
                     shape);
  };
  const auto bias = [&](const char* which, double factor) {
    const auto found = weights.find(name + which + std::string(".bias"));
    if (found == weights.end()) return at::zeros({shape.all()}, at::kFloat);
    return head_rows(found->second.to(at::kFloat) * factor, shape);
  };
  const auto q = part("q", scale), k = part("k", 1), v = part("v", 1);
  const int64_t channels = shape.channels;
  const int64_t more = q.size(1) - channels;
  const auto own = [&](const at::Tensor& x) {
    return x.narrow(1, 0, channels);
  };
  return {at::cat({own(q), own(k), v}),
          {at::cat({q.narrow(1, channels, more), k.narrow(1, channels, more)})
               .contiguous(),
           at::cat({bias("q", scale), bias("k", 1)})}};
}

}  // namespace

FusedLayer::FusedLayer(const at::Tensor& weight,
                       const at::Tensor& from,
                       bool bfloat16)
    : panels(pack_panels(weight, bfloat16 ? at::kBFloat16 : at::kFloat)),
      bias(padded_to(from.to(at::kFloat), FusedShape::up(weight.size(0)))),
      in(FusedShape::up(weight.size(1))),
      out(FusedShape::up(weight.size(0))) {}

PanelLayer FusedLayer::args() const {
  return {panels.const_data_ptr(), bias.const_data_ptr<float>(), in, out};
}

FusedNorm::FusedNorm(const Tensors& weights,
                     const std::string& name,
                     int64_t width)
    : weight(padded_to(head_value(weights, name + ".weight"), width)),
      bias(padded_to(head_value(weights, name + ".bias"), width)) {}

WordNorm FusedNorm::args() const {
  return {weight.const_data_ptr<float>(), bias.const_data_ptr<float>()};
}

FusedSpace::FusedSpace(const Tensors& weights,
                       const std::string& layer,
                       const FusedShape& shape) {
  const std::string swin = layer + "swin_block.";
  guidance_norm = FusedNorm(weights,
                            swin + "guidance_norm",
                            weights.at(swin + "guidance_norm.weight").size(0));
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.width()));
  for (size_t b = 0; b < 2; ++b) {
    const std::string name = swin + "block_" + std::to_string(b + 1) + ".";
    auto& block = blocks[b];
    const auto value = [&](const char* which) {
      return head_value(weights, name + which);
    };
    block.norm1 = FusedNorm(weights, name + "norm1", shape.stride());
    block.norm2 = FusedNorm(weights, name + "norm2", shape.stride());
    const auto three = three_products(weights, name + "attn.", shape, scale);
    block.guide = three.guide;
    block.qkv = FusedLayer(
        three.rows, at::zeros({3 * shape.all()}, at::kFloat), shape.bfloat16);
    const auto proj = value("attn.proj.weight");
    auto bias = value("attn.proj.bias");
    if (const auto found = weights.find(name + "attn.v.bias");
        found != weights.end()) {
      bias = bias + at::mv(proj, found->second.to(at::kFloat));
    }
    block.proj = FusedLayer(
        head_rows(proj.t().contiguous(), shape).t(), bias, shape.bfloat16);
    block.fc1 = FusedLayer(
        value("mlp.fc1.weight"), value("mlp.fc1.bias"), shape.bfloat16);
    block.fc2 = FusedLayer(
        value("mlp.fc2.weight"), value("mlp.fc2.bias"), shape.bfloat16);
  }
}

FusedClass::FusedClass(const Tensors& weights,
                       const std::string& layer,
                       const FusedShape& shape) {
  const std::string outer = layer + "attention.", name = outer + "attention.";
  const auto value = [&](const std::string& which) {
    return head_value(weights, which);
  };
  norm1 = FusedNorm(weights, outer + "norm1", shape.stride());
  norm2 = FusedNorm(weights, outer + "norm2", shape.stride());
  const auto three = three_products(weights, name, shape, 1);
  guide = three.guide;
  auto bias = at::zeros({3 * shape.all()}, at::kFloat);
  if (const auto found = weights.find(name + "v.bias");
      found != weights.end()) {
    bias.narrow(0, 2 * shape.all(), shape.all())
        .copy_(head_rows(found->second.to(at::kFloat), shape));
  }
  qkv = FusedLayer(three.rows, bias, shape.bfloat16);
  fc1 = FusedLayer(value(outer + "MLP.0.weight"),
                   value(outer + "MLP.0.bias"),
                   shape.bfloat16);
  fc2 = FusedLayer(value(outer + "MLP.2.weight"),
                   value(outer + "MLP.2.bias"),
                   shape.bfloat16);

  const auto token = at::layer_norm(value(outer + "padding_tokens").flatten(),
                                    {shape.channels},
                                    value(outer + "norm1.weight"),
                                    value(outer + "norm1.bias"),
                                    kFillEpsilon);
  const auto products = at::mv(three.rows, token);
  const auto guided =
      at::mv(three.guide.weight, value(outer + "padding_guidance").flatten()) +
      three.guide.bias;
  const int64_t all = shape.all();
  const auto heads = [&](const at::Tensor& x) {
    return x.view({shape.heads, shape.wide()});
  };
  const auto keys = heads(
      at::elu(products.narrow(0, all, all) + guided.narrow(0, all, all)) + 1);
  const auto values =
      heads(products.narrow(0, 2 * all, all) + bias.narrow(0, 2 * all, all));
  fill_products =
      (keys.narrow(1, 0, shape.width()).unsqueeze(2) * values.unsqueeze(1))
          .contiguous();
  fill_keys = keys.contiguous();
}

}  // namespace declip::cat_seg
