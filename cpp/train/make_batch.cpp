#include "declip/make_batch.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "declip/resize.h"

namespace declip {
namespace {

constexpr int64_t kLongest = 16384;  // side of a resized square

Size picture_size(const at::Tensor& rgb) { return {rgb.size(0), rgb.size(1)}; }

/// [B, 3, side, side]
at::Tensor fitted(const std::vector<BatchPicture>& pictures,
                  const SquareInput& to,
                  const Call& call) {
  std::vector<at::Tensor> rows;
  rows.reserve(pictures.size());
  for (const auto& picture : pictures) {
    call.check();
    rows.push_back(preprocess(picture.pixels.const_data_ptr<uint8_t>(),
                              picture_size(picture.pixels),
                              Fit::kPad,
                              to.side,
                              to.pixels.mean,
                              to.pixels.std));
  }
  return rows.size() == 1 ? rows[0] : at::cat(rows);
}

void add_regions(const std::vector<BatchPicture>& pictures,
                 const RegionInput& input,
                 const PixelStats& stats,
                 TrainBatch& batch,
                 const Call& call) {
  std::vector<at::Tensor> boxes, crops;
  for (const auto& picture : pictures) {
    const auto size = picture_size(picture.pixels);
    const auto regions =
        input.from_proposals
            ? proposal_regions(
                  size, picture.proposals, input.proposal, picture.seed)
            : grid_regions(size, input.grid, picture.seed);
    boxes.push_back(region_rows(size, regions, input.rows));
    for (const auto& region : regions) {
      call.check();
      crops.push_back(crop_region(picture.pixels.const_data_ptr<uint8_t>(),
                                  size,
                                  region.crop,
                                  input.crop_side,
                                  stats.mean,
                                  stats.std));
    }
  }
  batch.boxes = at::stack(boxes);
  batch.crops = at::cat(crops);
}

}  // namespace

PictureBatch make_batch(std::vector<BatchPicture> pictures,
                        const BatchSpec& spec,
                        const Call& call) {
  if (pictures.empty()) {
    throw Error(ErrorCode::kInvalidArg, "A batch needs at least one picture.");
  }
  for (auto& picture : pictures) {
    if (!picture.pixels.defined()) {
      throw Error(ErrorCode::kInvalidArg,
                  "A picture of a batch has no pixels.");
    }
    picture.pixels = rgb_pixels(picture.pixels);
  }
  PictureBatch out;
  out.batch.images = fitted(pictures, spec.student, call);
  if (spec.resized_side < 0 || spec.resized_side > kLongest) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("resizedTo must be 0..",
                         kLongest,
                         ", received ",
                         spec.resized_side,
                         "."));
  }
  if (spec.resized_side > 0) {
    out.batch.images =
        at::upsample_bilinear2d(out.batch.images,
                                {spec.resized_side, spec.resized_side},
                                /*align_corners=*/false);
  }
  if (spec.regions) {
    add_regions(pictures, *spec.regions, spec.student.pixels, out.batch, call);
  }
  if (spec.teacher) out.teacher_images = fitted(pictures, *spec.teacher, call);
  return out;
}

}  // namespace declip
