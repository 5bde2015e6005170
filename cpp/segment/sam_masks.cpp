#include <ATen/ATen.h>

#include <utility>

#include "declip/error.h"
#include "declip/mask_decoder.h"
#include "declip/model.h"
#include "segment/mask_generator.h"

namespace declip {
namespace {

class SamCrop final : public EncodedCrop {
 public:
  SamCrop(const MaskDecoder& decoder, SamImage image)
      : decoder_(decoder), image_(std::move(image)) {}

  PointLogits masks_of(const at::Tensor& points,
                       bool multimask,
                       const Call& call) const override {
    MaskPrompts prompts;
    prompts.points = points.unsqueeze(1);
    prompts.labels = at::ones({points.size(0), 1}, at::kLong);
    auto logits =
        decoder_.decode(image_,
                        prompts,
                        multimask ? MaskChoice::kMulti : MaskChoice::kSingle,
                        call);
    return {std::move(logits.low_res), std::move(logits.iou)};
  }
  int64_t side() const override { return decoder_.config().side; }
  Size input() const override { return image_.input; }

 private:
  const MaskDecoder& decoder_;
  const SamImage image_;
};

class SamPoints final : public PointPrompted {
 public:
  SamPoints(const Model& model, const Call& call)
      : model_(model), decoder_(model.mask_decoder(call)) {}

  std::unique_ptr<EncodedCrop> encode(const at::Tensor& pixels,
                                      const Call& call) const override {
    Call quiet = call;
    quiet.progress = {};  // points are told
    return std::make_unique<SamCrop>(
        decoder_, encode_for_masks(model_, pixels.contiguous(), quiet));
  }

 private:
  const Model& model_;
  const MaskDecoder& decoder_;
};

}  // namespace

GeneratedMasks generate_masks(const Model& model,
                              const at::Tensor& pixels,
                              const MaskGeneratorOptions& options,
                              const Call& call) {
  const c10::InferenceMode guard;
  return generate_masks(SamPoints(model, call), pixels, options, call);
}

JobSize size_of_generating(const Model& model,
                           Size picture,
                           const MaskGeneratorOptions& options) {
  const auto& decoder = model.info().mask_decoder;
  if (!decoder || !model.device().is_cpu()) return unknown_size();
  const auto c = static_cast<double>(decoder->embed_dim);
  const auto places = static_cast<double>(decoder->grid * decoder->grid);
  // Projections of the places: two for keys and values and two for what they
  // ask, of half the width, in every layer, two at the end, and the up-scaling.
  const double per_prompt =
      places * c * c * (4 * static_cast<double>(decoder->layers) + 5);
  JobSize out;
  double crops = 1;
  for (const auto& grid : options.points) {
    out.operations += crops * per_prompt * static_cast<double>(grid.size() / 2);
    out = out + size_of_pass(model,
                             static_cast<int64_t>(crops),
                             {decoder->side, decoder->side});
    crops *= 4;
  }
  out.bytes = 3 * static_cast<double>(picture.height) *
              static_cast<double>(picture.width);
  return out;
}

}  // namespace declip
