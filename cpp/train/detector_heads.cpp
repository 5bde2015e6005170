#include "train/detector_heads.h"

#include <ATen/ATen.h>

#include "model/recorded.h"

namespace declip {
namespace {

constexpr char kBox[] = "roi_head.bbox_head.";
constexpr char kMask[] = "roi_head.mask_head.";

std::string numbered(const std::string& prefix, int64_t i) {
  return prefix + std::to_string(i);
}

/// x [N, C, h, w] as rows of places, [N, h, w, C]: a view of channels-last
/// memory.
at::Tensor places(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1}).contiguous();
}
at::Tensor maps_of(const at::Tensor& rows) {
  return rows.permute({0, 3, 1, 2});
}

}  // namespace

RecordedHeads::RecordedHeads(const std::map<std::string, at::Tensor>& tensors,
                             at::ScalarType products,
                             BatchNorms& norms)
    : tensors_(tensors), products_(products), norms_(norms) {
  masks_ = tensors.contains(std::string(kMask) + "conv_logits.weight");
  rpn_norm_ = tensors.contains("rpn_head.rpn_conv.0.bn.weight");
}

const at::Tensor& RecordedHeads::at(const std::string& name) const {
  return tensors_.at(name);
}

at::Tensor RecordedHeads::find(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? at::Tensor() : it->second;
}

at::Tensor RecordedHeads::linear(const std::string& name,
                                 const at::Tensor& x) const {
  const auto input = x.to(products_);
  const auto bias = find(name + ".bias");
  const auto weight = at(name + ".weight").flatten(1);
  const auto used = bias.defined() ? bias.to(products_) : bias;
  const auto out =
      x.numel() == 0
          ? at::linear(input,
                       weight.to(products_),
                       used.defined() ? std::optional(used) : std::nullopt)
          : recorded_linear(input, weight, used);
  return out.to(at::kFloat);
}

at::Tensor RecordedHeads::conv(const std::string& name,
                               const at::Tensor& x) const {
  const auto& weight = at(name + ".weight");
  const int64_t side = weight.size(2);
  if (side == 1) return maps_of(linear(name, places(x)));
  const auto bias = find(name + ".bias");
  const auto input = x.to(products_).contiguous(at::MemoryFormat::ChannelsLast);
  return at::conv2d(
             input,
             weight.to(products_),
             bias.defined() ? std::optional(bias.to(products_)) : std::nullopt,
             /*stride=*/1,
             /*padding=*/side / 2)
      .to(at::kFloat);
}

/// One product with a column for each of the 2 x 2 places of each channel.
at::Tensor RecordedHeads::upsample(const std::string& name,
                                   const at::Tensor& x) const {
  const auto& weight = at(name + ".weight");  // [in, out, 2, 2]
  const int64_t in = weight.size(0), out = weight.size(1);
  const auto columns = weight.permute({2, 3, 1, 0}).reshape({4 * out, in});
  const auto bias = at(name + ".bias").repeat({4}).to(products_);
  const auto rows = places(x).to(products_);
  const auto product = rows.numel() == 0
                           ? at::linear(rows, columns.to(products_), bias)
                           : recorded_linear(rows, columns, bias);
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  return maps_of(product.to(at::kFloat)
                     .view({n, h, w, 2, 2, out})
                     .permute({0, 1, 3, 2, 4, 5})
                     .reshape({n, 2 * h, 2 * w, out}));
}

at::Tensor RecordedHeads::normed_conv(const std::string& name,
                                      const at::Tensor& x,
                                      bool relu) const {
  const auto out = norms_(name + ".bn", conv(name + ".conv", x));
  return relu ? out.relu() : out;
}

at::Tensor RecordedHeads::normed_convs(const std::string& prefix,
                                       at::Tensor x) const {
  for (int64_t i = 0;; ++i) {
    const auto name = numbered(prefix, i);
    if (!tensors_.contains(name + ".conv.weight")) return x;
    x = normed_conv(name, x, true);
  }
}

at::Tensor RecordedHeads::linears(const std::string& prefix,
                                  at::Tensor x) const {
  for (int64_t i = 0;; ++i) {
    const auto name = numbered(prefix, i);
    if (!tensors_.contains(name + ".weight")) return x;
    x = linear(name, x).relu();
  }
}

std::vector<at::Tensor> RecordedHeads::pyramid(
    const std::vector<at::Tensor>& maps) const {
  const std::string first = "backbone.interpolate1.";
  const std::vector<at::Tensor> scaled{
      upsample(first + "3",
               at::gelu(norms_(first + "1", upsample(first + "0", maps[0])))),
      upsample("backbone.interpolate2.0", maps[1]),
      maps[2],
      at::max_pool2d(maps[3], {2, 2}, {2, 2})};
  std::vector<at::Tensor> levels;
  for (size_t i = 0; i < scaled.size(); ++i) {
    levels.push_back(
        normed_conv(numbered("neck.lateral_convs.", static_cast<int64_t>(i)),
                    scaled[i],
                    false));
  }
  for (size_t i = levels.size() - 1; i > 0; --i) {
    const auto& below = levels[i - 1];
    levels[i - 1] = below + at::upsample_nearest2d(
                                levels[i], {below.size(2), below.size(3)});
  }
  for (size_t i = 0; i < levels.size(); ++i) {
    levels[i] = normed_conv(
        numbered("neck.fpn_convs.", static_cast<int64_t>(i)), levels[i], false);
  }
  levels.push_back(levels.back().slice(2, 0, {}, 2).slice(3, 0, {}, 2));
  return levels;
}

RecordedHeads::Regions RecordedHeads::regions(
    const std::vector<at::Tensor>& pyramid) const {
  Regions out;
  for (const auto& level : pyramid) {
    const std::string convs = "rpn_head.rpn_conv.";
    auto x = rpn_norm_ ? normed_convs(convs, level) : level;
    for (int64_t i = 0; !rpn_norm_; ++i) {
      const auto name = numbered(convs, i) + ".conv";
      if (!tensors_.contains(name + ".weight")) break;
      x = conv(name, x).relu();
    }
    out.logits.push_back(conv("rpn_head.rpn_cls", x));
    out.deltas.push_back(conv("rpn_head.rpn_reg", x));
  }
  return out;
}

RecordedHeads::Boxes RecordedHeads::boxes(const at::Tensor& pooled) const {
  const auto layer = [](const char* name) { return std::string(kBox) + name; };
  // Channel by channel, as the weights have it.
  const auto flat =
      normed_convs(layer("shared_convs."), pooled).contiguous().flatten(1);
  const auto x = linears(layer("shared_fcs."), flat);
  return {.embeddings = linears(layer("cls_fcs."), x),
          .deltas = linear(layer("fc_reg"), linears(layer("reg_fcs."), x))};
}

at::Tensor RecordedHeads::mask_logits(const at::Tensor& pooled) const {
  const auto layer = [](const char* name) { return std::string(kMask) + name; };
  const auto x =
      upsample(layer("upsample"), normed_convs(layer("convs."), pooled));
  return conv(layer("conv_logits"), x.relu());
}

}  // namespace declip
