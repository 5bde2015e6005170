#include "train/detector_initial.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kLevels = 4, kRpnConvs = 2, kAnchors = 3, kBins = 7;

/// Tensors in the order in which they are asked for.
class NewHeads {
 public:
  explicit NewHeads(uint64_t seed)
      : random_(at::detail::createCPUGenerator(seed)) {}

  void normal(const std::string& name, at::IntArrayRef sizes, double std) {
    tensors.emplace(name, at::randn(sizes, random_, at::kFloat).mul_(std));
  }
  void uniform(const std::string& name, at::IntArrayRef sizes, double bound) {
    tensors.emplace(
        name, at::rand(sizes, random_, at::kFloat).mul_(2).sub_(1).mul_(bound));
  }
  void zeros(const std::string& name, int64_t size) {
    tensors.emplace(name, at::zeros({size}, at::kFloat));
  }
  /// Glorot and Bengio, 2010, by the numbers of inputs and outputs of a place.
  void xavier(const std::string& name, at::IntArrayRef sizes) {
    const double places =
        sizes.size() == 4 ? static_cast<double>(sizes[2] * sizes[3]) : 1;
    const auto ends = static_cast<double>(sizes[0] + sizes[1]) * places;
    uniform(name, sizes, std::sqrt(6 / ends));
  }
  /// He et al., by the number of outputs, which is `sizes[0]` of `places`.
  void kaiming(const std::string& name, at::IntArrayRef sizes) {
    const auto out = static_cast<double>(sizes[0] * sizes[2] * sizes[3]);
    normal(name, sizes, std::sqrt(2 / out));
  }
  void norm(const std::string& name, int64_t channels) {
    tensors.emplace(name + ".weight", at::ones({channels}, at::kFloat));
    zeros(name + ".bias", channels);
    zeros(name + ".running_mean", channels);
    tensors.emplace(name + ".running_var", at::ones({channels}, at::kFloat));
    tensors.emplace(name + ".num_batches_tracked", at::zeros({}, at::kLong));
  }
  /// PyTorch's own beginning of a transposed convolution.
  void transposed(const std::string& name, int64_t in, int64_t out) {
    const double bound = 1 / std::sqrt(static_cast<double>(4 * out));
    uniform(name + ".weight", {in, out, 2, 2}, bound);
    uniform(name + ".bias", {out}, bound);
  }
  void linear(const std::string& name, int64_t out, int64_t in) {
    xavier(name + ".weight", {out, in});
    zeros(name + ".bias", out);
  }
  void kaiming_conv(const std::string& name, int64_t channels) {
    kaiming(name + ".conv.weight", {channels, channels, 3, 3});
    norm(name + ".bn", channels);
  }

  std::map<std::string, at::Tensor> tensors;

 private:
  at::Generator random_;
};

}  // namespace

std::map<std::string, at::Tensor> initial_heads(
    const VisionConfig& tower, const DetectorTrainOptions& options) {
  const int64_t width = tower.width, c = options.channels;
  const int64_t hidden = options.hidden > 0 ? options.hidden : tower.embed_dim;
  if (c < 1 || options.hidden < 0 || options.convolutions < 0) {
    throw Error(ErrorCode::kInvalidArg,
                "channels must be 1 or more, hidden and convolutions 0 or "
                "more.");
  }
  const auto n = [](int64_t i) { return std::to_string(i); };
  NewHeads out(options.seed);
  out.transposed("backbone.interpolate1.0", width, width);
  out.norm("backbone.interpolate1.1", width);
  out.transposed("backbone.interpolate1.3", width, width);
  out.transposed("backbone.interpolate2.0", width, width);
  for (int64_t i = 0; i < kLevels; ++i) {
    out.xavier("neck.lateral_convs." + n(i) + ".conv.weight", {c, width, 1, 1});
    out.norm("neck.lateral_convs." + n(i) + ".bn", c);
    out.xavier("neck.fpn_convs." + n(i) + ".conv.weight", {c, c, 3, 3});
    out.norm("neck.fpn_convs." + n(i) + ".bn", c);
  }

  constexpr double kStd = 0.01;
  for (int64_t i = 0; i < kRpnConvs; ++i) {
    const auto name = "rpn_head.rpn_conv." + n(i);
    out.normal(name + ".conv.weight", {c, c, 3, 3}, kStd);
    if (options.rpn_norm) {
      out.norm(name + ".bn", c);
    } else {
      out.zeros(name + ".conv.bias", c);
    }
  }
  out.normal("rpn_head.rpn_cls.weight", {kAnchors, c, 1, 1}, kStd);
  out.zeros("rpn_head.rpn_cls.bias", kAnchors);
  out.normal("rpn_head.rpn_reg.weight", {4 * kAnchors, c, 1, 1}, kStd);
  out.zeros("rpn_head.rpn_reg.bias", 4 * kAnchors);

  const std::string box = "roi_head.bbox_head.";
  for (int64_t i = 0; i < options.convolutions; ++i) {
    out.kaiming_conv(box + "shared_convs." + n(i), c);
  }
  out.linear(box + "shared_fcs.0", hidden, c * kBins * kBins);
  out.linear(box + "shared_fcs.1", hidden, hidden);
  out.linear(box + "cls_fcs.0", tower.embed_dim, hidden);
  out.linear(box + "reg_fcs.0", hidden, hidden);
  out.normal(box + "fc_reg.weight", {4, hidden}, 0.001);
  out.zeros(box + "fc_reg.bias", 4);
  out.tensors.emplace(box + "detect_temperature",
                      at::full({}, options.temperature, at::kFloat));

  if (options.masks) {
    const std::string mask = "roi_head.mask_head.";
    for (int64_t i = 0; i < options.convolutions; ++i) {
      out.kaiming_conv(mask + "convs." + n(i), c);
    }
    out.kaiming(mask + "upsample.weight", {c, c, 2, 2});
    out.zeros(mask + "upsample.bias", c);
    out.kaiming(mask + "conv_logits.weight", {1, c, 1, 1});
    out.zeros(mask + "conv_logits.bias", 1);
  }
  return out.tensors;
}

}  // namespace declip
