#include "training_regions.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

#include "declip/error.h"
#include "declip/regions.h"
#include "declip/resize.h"
#include "model_options.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {

/// What one picture gives a batch.
struct Sample {
  at::Tensor image;  // [1, 3, S, S]
  at::Tensor boxes;  // [1, M, 5]
  at::Tensor crops;  // [K, 3, s, s]
};

namespace {

/// Where its regions come from.
struct Source {
  std::optional<std::vector<PixelBox>> proposals;  // else a grid
  GridOptions grid;
  ProposalOptions proposal;
  uint64_t seed = 0;
};

/// A flat Float64Array of x1, y1, x2, y2.
std::vector<PixelBox> get_boxes(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Error(ErrorCode::kInvalidArg,
                std::string(key) + " must be a Float64Array.");
  }
  const auto numbers = value.As<Napi::Float64Array>();
  std::vector<PixelBox> boxes;
  for (size_t i = 0; i + 4 <= numbers.ElementLength(); i += 4) {
    boxes.push_back(
        {numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  }
  return boxes;
}

Source to_source(const Napi::Object& o) {
  Source out;
  out.seed = static_cast<uint64_t>(get_integer(o, "seed"));
  const auto most = get_integer(o, "maxBoxes");
  const auto scale = get_number(o, "cropScale");
  if (o.Get("proposals").IsUndefined()) {
    out.grid.most_splits = get_integer(o, "maxSplit");
    out.grid.most_boxes = most;
    out.grid.crop_scale = scale;
  } else {
    out.proposals = get_boxes(o, "proposals");
    out.proposal.most_boxes = most;
    out.proposal.crop_scale = scale;
    out.proposal.least_side = get_number(o, "minSize");
    out.proposal.most_side = get_number(o, "maxSize");
  }
  return out;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const Sample& sample) {
  auto out = Napi::Object::New(env);
  out.Set("image", TensorHandle::wrap(env, sample.image));
  out.Set("boxes", TensorHandle::wrap(env, sample.boxes));
  out.Set("crops", TensorHandle::wrap(env, sample.crops));
  return out;
}

Napi::Value training_regions(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [pixels = get_pixels(o),
            source = to_source(o),
            rows = get_integer(o, "maxBoxes"),
            side = get_integer(o, "size"),
            crop_side = get_integer(o, "cropSize"),
            stats = to_overrides(o).pixels.value_or(PixelStats{})](
               const Call& call) {
      const auto rgb = rgb_pixels(pixels);
      const auto* data = rgb.const_data_ptr<uint8_t>();
      const Size size{rgb.size(0), rgb.size(1)};
      const auto regions =
          source.proposals
              ? proposal_regions(
                    size, *source.proposals, source.proposal, source.seed)
              : grid_regions(size, source.grid, source.seed);
      Sample sample;
      sample.image =
          preprocess(data, size, Fit::kPad, side, stats.mean, stats.std);
      sample.boxes = region_rows(size, regions, rows).unsqueeze(0);
      std::vector<at::Tensor> crops;
      for (const auto& region : regions) {
        call.check();
        crops.push_back(crop_region(
            data, size, region.crop, crop_side, stats.mean, stats.std));
      }
      sample.crops = at::cat(crops);
      return sample;
    };
  });
}

}  // namespace declip
