#include "segment/bank_support.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <limits>
#include <string>

#include "declip/error.h"
#include "image/region_map.h"
#include "model/picture_features.h"

namespace declip {
namespace {

/// Rows of a channel that are there at a time.
constexpr int64_t kBandRows = 128;

Size picture_size(const Picture& picture) {
  const auto& image = picture.normalised;
  if (image.defined()) return {image.size(2), image.size(3)};
  return picture.size.value_or(
      Size{picture.pixels.size(0), picture.pixels.size(1)});
}

at::Tensor checked_regions(const EncodeOptions& options,
                           const Picture& picture) {
  const auto& regions = options.regions;
  const auto [height, width] = picture_size(picture);
  if (regions.defined() && regions.dim() == 2 && regions.size(0) == height &&
      regions.size(1) == width && regions.scalar_type() == at::kInt) {
    return regions.to(at::kCPU);
  }
  throw Error(ErrorCode::kInvalidArg,
              "A bank is about regions: pass `masks`, which give every pixel "
              "of the picture the number of its region, int32 [" +
                  std::to_string(height) + ", " + std::to_string(width) + "].");
}

}  // namespace

RegionRows rows_of_regions(const at::Tensor& regions, int64_t first) {
  const auto [numbers, places] = at::_unique(
      regions.to(at::kCPU).flatten(), /*sorted=*/true, /*return_inverse=*/true);
  const int64_t below = numbers.lt(first).sum().item<int64_t>();
  RegionRows out;
  out.index = (places - below).clamp_min(-1).to(at::kInt).view(regions.sizes());
  out.count = numbers.size(0) - below;
  return out;
}

BankQueries bank_queries(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         Size resized,
                         const at::Tensor& features,
                         const Call& call) {
  const auto rows = rows_of_regions(
      resize_regions(checked_regions(options, picture), resized),
      std::numeric_limits<int32_t>::min());
  const auto& proxy = options.dense.proxy_model;
  const auto seen = features.defined()
                        ? features
                        : picture_features(proxy ? *proxy : model,
                                           picture,
                                           model.info().config.pixels,
                                           call);
  return {rows.index,
          l2_normalize(mean_unit_features(seen, rows.index, rows.count), 1)};
}

BankSupport bank_support(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         Size resized,
                         const at::Tensor& features,
                         const Call& call) {
  const auto& info = options.bank->info();
  const int64_t width = model.info().config.vision.embed_dim;
  if (info.regions == 0) {
    throw Error(ErrorCode::kInvalidArg,
                "The bank holds no regions yet; add pictures to it first.");
  }
  if (info.value_widths[0] != width || !(options.bank_share >= 0) ||
      !(options.bank_share <= 1)) {
    throw Error(ErrorCode::kInvalidArg,
                "A bank needs values of this model's encoder, " +
                    std::to_string(width) +
                    " numbers each, and a bankShare of 0 to 1.");
  }
  const auto queries =
      bank_queries(model, picture, options, resized, features, call);
  const auto found =
      options.bank->search(queries.keys, options.bank_neighbours, call);
  BankSupport out;
  out.share = options.bank_share;
  out.index = queries.index.to(model.device());
  for (size_t set = 0; set < info.value_widths.size() && set < 2; ++set) {
    out.values.push_back(
        options.bank->mean_values(set, found.ids).to(model.device()));
  }
  return out;
}

ScoreShare bank_scores(const BankSupport& support, const at::Tensor& text) {
  ScoreShare out;
  out.index = support.index;
  out.share = support.share;
  const auto& own = support.values[0];
  const int64_t width = own.size(1);
  const auto words = text.to(own.options());
  out.scores = at::matmul(words.narrow(1, 0, width), own.t());
  if (text.size(1) > width) {
    const auto& other = support.values[1];
    out.scores = (out.scores + at::matmul(words.narrow(1, width, other.size(1)),
                                          other.t())) /
                 2;
  }
  out.scores = out.scores.contiguous();  // (Q, R)
  return out;
}

at::Tensor mean_planes(const PlaneSource& planes,
                       const RegionRows& regions,
                       const Call& call) {
  const int64_t channels = planes.words();
  const auto [height, width] = planes.size();
  const auto index = regions.index.contiguous();
  const auto* place = index.const_data_ptr<int32_t>();
  auto sums = at::zeros({regions.count, channels}, at::kDouble);
  double* sum = sums.mutable_data_ptr<double>();
  std::vector<double> areas(static_cast<size_t>(regions.count));
  for (int64_t i = 0; i < height * width; ++i) {
    if (place[i] >= 0) areas[static_cast<size_t>(place[i])] += 1;
  }
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    const auto band =
        at::empty({std::min(kBandRows, height), width}, planes.options());
    at::Tensor scratch;
    std::vector<double> own(static_cast<size_t>(regions.count));
    for (int64_t c = begin; c < end; ++c) {
      call.check();
      std::fill(own.begin(), own.end(), 0.0);
      for (int64_t y = 0; y < height; y += kBandRows) {
        const int64_t rows = std::min(kBandRows, height - y);
        const auto some = band.narrow(0, 0, rows);
        planes.write(c, {y, y + rows}, some, scratch);
        const auto here = some.to(at::kCPU);
        const float* value = here.const_data_ptr<float>();
        const int32_t* region = place + y * width;
        for (int64_t i = 0; i < rows * width; ++i) {
          if (region[i] >= 0) own[static_cast<size_t>(region[i])] += value[i];
        }
      }
      for (int64_t r = 0; r < regions.count; ++r) {
        sum[r * channels + c] = own[static_cast<size_t>(r)] /
                                std::max(areas[static_cast<size_t>(r)], 1.0);
      }
    }
  });
  return sums.to(at::kFloat);
}

PictureRows picture_rows(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         const Model* key_model,
                         const Call& call) {
  const c10::InferenceMode guard;
  const auto rows = rows_of_regions(checked_regions(options, picture), 1);
  PictureRows out;
  if (rows.count == 0) {
    out.values = at::empty({0, model.info().config.vision.embed_dim});
    if (key_model) {
      out.keys = at::empty({0, key_model->info().config.vision.embed_dim});
    }
    return out;
  }
  out.values =
      l2_normalize(region_values(model, picture, options, rows, call), 1);
  if (key_model) {
    const auto features =
        picture_features(*key_model, picture, model.info().config.pixels, call);
    out.keys = mean_unit_features(features, rows.index, rows.count);
  }
  return out;
}

}  // namespace declip
