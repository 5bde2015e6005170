#include "model/proxy.h"

#include <ATen/ATen.h>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "declip/model.h"

namespace declip {
namespace {

at::Tensor per_channel(const std::array<double, 3>& values,
                       const at::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble)
      .to(like.device(), at::kFloat)
      .view({1, 3, 1, 1});
}

}  // namespace

at::Tensor proxy_features(const Model& model,
                          const at::Tensor& image,
                          const PixelStats& pixels,
                          ProxyPart part,
                          const Call& call) {
  const auto& config = model.info().config;
  if (part == ProxyPart::kQueryKey && !config.family->gives_query_key) {
    throw Error(ErrorCode::kInvalidArg,
                "proxy.part 'query-key' is of DINO, DINOv2 and DINOv3; this " +
                    std::string(config.family->title) +
                    " gives its patches alone: leave `part` out.");
  }
  const auto unit = image.to(at::kFloat) * per_channel(pixels.std, image) +
                    per_channel(pixels.mean, image);
  auto input = (unit - per_channel(config.pixels.mean, image)) /
               per_channel(config.pixels.std, image);
  if (config.family->proxies_native_size) {
    const int64_t side = config.vision.image_size;
    input =
        at::upsample_bilinear2d(input, {side, side}, /*align_corners=*/false);
  }
  DenseOptions options;
  options.proxy_part = part;
  return model.encode_dense(input, options, /*normalize=*/false, call);
}

}  // namespace declip
