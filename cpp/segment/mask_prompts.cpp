#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "declip/mask_decoder.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "kernels/mask_runs.h"
#include "kernels/resize_plane.h"

namespace declip {
namespace {

/// Up to so many tokens a prompt counts as ambiguous (utils/onnx.py).
constexpr int64_t kAmbiguousTokens = 2;
constexpr double kLevels = 255;

/// One point is ambiguous, and so is nothing at all.
bool is_ambiguous(const MaskPrompts& prompts) {
  return !prompts.boxes.defined() && !prompts.masks.defined() &&
         (!prompts.points.defined() || prompts.points.size(1) == 1);
}

MaskLogits best_masks(const MaskDecoder& decoder,
                      const SamImage& image,
                      const MaskPrompts& prompts,
                      const Call& call) {
  if (!is_ambiguous(prompts)) {
    return decoder.decode(image, prompts, MaskChoice::kSingle, call);
  }
  const auto all = decoder.decode(image, prompts, MaskChoice::kMulti, call);
  const auto best = all.iou.argmax(1, /*keepdim=*/true);
  return {all.low_res.take_along_dim(best.unsqueeze(-1).unsqueeze(-1), 1),
          all.iou.gather(1, best)};
}

}  // namespace

int64_t SamImage::bytes() const {
  int64_t sum = 0;
  for (const auto* part :
       {&embedding, &image, &placed, &keys, &values, &questions}) {
    if (part->defined()) sum += static_cast<int64_t>(part->nbytes());
  }
  return sum;
}

int64_t MaskPrompts::count() const {
  for (const auto* part : {&points, &boxes, &masks}) {
    if (part->defined()) return part->size(0);
  }
  return 1;
}

Size sam_input_size(Size picture, int64_t side) {
  check_size(picture, "The picture");
  const double scale =
      static_cast<double>(side) /
      static_cast<double>(std::max(picture.height, picture.width));
  const auto scaled = [&](int64_t length) {
    return static_cast<int64_t>(static_cast<double>(length) * scale + 0.5);
  };
  const Size to{scaled(picture.height), scaled(picture.width)};
  if (to.height < 1 || to.width < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "The picture of " + std::to_string(picture.width) + " x " +
                    std::to_string(picture.height) +
                    " pixels would have no height or no width where its longer "
                    "side has the model's " +
                    std::to_string(side) + " pixels; cut it into parts.");
  }
  return to;
}

at::Tensor sam_input(const at::Tensor& pixels, const Model& model) {
  const auto rgb = rgb_pixels(pixels);
  const Size picture{rgb.size(0), rgb.size(1)};
  const int64_t side = model.info().config.vision.image_size;
  const Size to = sam_input_size(picture, side);
  auto mean = model.info().config.pixels.mean;
  auto std = model.info().config.pixels.std;
  for (size_t c = 0; c < mean.size(); ++c) {
    mean[c] *= kLevels;
    std[c] *= kLevels;
  }
  const auto resized = resize_pillow(
      rgb.const_data_ptr<uint8_t>(), picture, to, PillowFilter::kBilinear);
  return at::constant_pad_nd(normalize_mmcv(resized, mean, std),
                             {0, side - to.width, 0, side - to.height},
                             0);
}

SamImage encode_for_masks(const Model& model,
                          const at::Tensor& pixels,
                          const Call& call) {
  const c10::InferenceMode guard;
  const MaskDecoder& decoder = model.mask_decoder(call);
  const auto input = sam_input(pixels, model);
  const Size picture{pixels.size(0), pixels.size(1)};
  return decoder.prepare(
      model.encode_dense(input, {}, /*normalize=*/false, call),
      sam_input_size(picture, decoder.config().side),
      picture);
}

at::Tensor full_size_logits(const at::Tensor& low_res,
                            const SamImage& image,
                            int64_t side) {
  const Size low{low_res.size(0), low_res.size(1)};
  const auto options = low_res.options();
  // Rows below the picture would be cut.
  const auto square = at::empty({image.input.height, side}, options);
  const PlaneResize enlarge(low, {side, side});
  const RowRange rows{0, image.input.height};
  const RowRange from = enlarge.source(rows);
  enlarge.rows(low_res.slice(0, from.begin, from.end).contiguous(),
               from.begin,
               rows,
               square);
  const auto inside = square.slice(1, 0, image.input.width).contiguous();
  if (image.input == image.picture) return inside;
  const auto out =
      at::empty({image.picture.height, image.picture.width}, options);
  resize_plane(inside, out);
  return out;
}

int64_t choose_mask(const at::Tensor& iou, int64_t tokens) {
  if (tokens > kAmbiguousTokens) return 0;
  return 1 + iou.slice(0, 1).argmax().item<int64_t>();
}

MaskAnswer masks_at(const Model& model,
                    const SamImage& image,
                    const MaskPrompts& prompts,
                    MaskChoice choice,
                    const Call& call) {
  const c10::InferenceMode guard;
  const MaskDecoder& decoder = model.mask_decoder(call);
  const auto logits = choice == MaskChoice::kBest
                          ? best_masks(decoder, image, prompts, call)
                          : decoder.decode(image, prompts, choice, call);
  MaskAnswer out;
  out.low_res = logits.low_res.to(at::kCPU).contiguous();
  call.check();
  // As full_size_logits() > 0, of which only outlines are computed.
  const auto planes = out.low_res.flatten(0, 1);
  const MaskRuns runs({planes.size(1), planes.size(2)},
                      decoder.config().side,
                      image.input,
                      image.picture);
  std::vector<int64_t> all(static_cast<size_t>(planes.size(0)));
  std::iota(all.begin(), all.end(), 0);
  for (auto& mask :
       runs.measure(planes, all, /*offset=*/0, image.picture, 0, 0)) {
    out.masks.push_back({image.picture, std::move(mask.counts)});
  }
  out.iou = logits.iou.to(at::kCPU);
  return out;
}

}  // namespace declip
