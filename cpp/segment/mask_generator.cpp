#include "segment/mask_generator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "declip/error.h"
#include "declip/rle.h"
#include "kernels/mask_runs.h"
#include "kernels/nms.h"
#include "segment/small_regions.h"

namespace declip {
namespace {

/// A mask that passed the filters of its crop.
struct Candidate {
  GeneratedMask mask;  // `counts` empty where the logits are shorter
  at::Tensor low_res;  // float32 [h, w], else undefined
};

/// The places of masks that NMS keeps, in the order of falling scores.
std::vector<int64_t> places_without_doubles(
    const std::vector<const GeneratedMask*>& masks,
    const std::vector<float>& scores,
    double threshold) {
  const auto count = static_cast<int64_t>(masks.size());
  const auto boxes = at::empty({count, 4}, at::kFloat);
  auto* to = boxes.mutable_data_ptr<float>();
  for (const auto* mask : masks) {
    const auto [x, y, width, height] = mask->box;
    for (const int64_t side : {x, y, x + width, y + height}) {
      *to++ = static_cast<float>(side);
    }
  }
  const auto kept = nms(boxes, at::tensor(scores, at::kFloat), threshold);
  const auto* places = kept.const_data_ptr<int64_t>();
  return {places, places + kept.numel()};
}

template <class T>
std::vector<T> in_places(std::vector<T> items,
                         const std::vector<int64_t>& places) {
  std::vector<T> out;
  out.reserve(places.size());
  for (const int64_t place : places) {
    out.push_back(std::move(items[static_cast<size_t>(place)]));
  }
  return out;
}

template <class T, class Of>
std::vector<const GeneratedMask*> masks_of(const std::vector<T>& items, Of of) {
  std::vector<const GeneratedMask*> out;
  out.reserve(items.size());
  for (const auto& item : items) out.push_back(&of(item));
  return out;
}

const GeneratedMask& itself(const GeneratedMask& mask) { return mask; }

class MaskGenerator {
 public:
  MaskGenerator(const PointPrompted& model,
                const at::Tensor& pixels,
                const MaskGeneratorOptions& options,
                const Call& call)
      : model_(model),
        pixels_(pixels),
        options_(options),
        call_(call),
        picture_{pixels.size(0), pixels.size(1)},
        crops_(
            crop_boxes(picture_, options.crop_layers, options.crop_overlap)) {
    for (const auto& crop : crops_) total_ += count_points(crop);
  }

  GeneratedMasks generate() {
    GeneratedMasks out{picture_, {}};
    std::vector<float> scores;
    for (const auto& crop : crops_) {
      if (count_points(crop) == 0) continue;
      const auto [height, width] = crop.size();
      for (auto& mask : masks_in(crop)) {
        out.masks.push_back(std::move(mask));
        // The mask of a smaller crop wins.
        scores.push_back(1.0f / static_cast<float>(height * width));
      }
    }
    if (crops_.size() > 1 && !out.masks.empty()) {
      const auto kept = places_without_doubles(
          masks_of(out.masks, itself), scores, options_.crop_nms);
      out.masks = in_places(std::move(out.masks), kept);
    }
    if (options_.min_region_area > 0) clean(out.masks);
    return out;
  }

 private:
  const std::vector<double>& points_of(const PictureCrop& crop) const {
    return options_.points[static_cast<size_t>(crop.layer)];
  }
  int64_t count_points(const PictureCrop& crop) const {
    return static_cast<int64_t>(points_of(crop).size()) / 2;
  }

  /// In the order of falling predicted overlap.
  std::vector<GeneratedMask> masks_in(const PictureCrop& crop) {
    call_.check();
    call_.report(Step::kEncode, done_, total_);
    const auto encoded = model_.encode(
        pixels_.slice(0, crop.y0, crop.y1).slice(1, crop.x0, crop.x1), call_);
    const auto& grid = points_of(crop);
    const int64_t count = count_points(crop);
    std::vector<Candidate> candidates;
    for (int64_t first = 0; first < count; first += options_.points_per_batch) {
      call_.check();
      const int64_t some = std::min(options_.points_per_batch, count - first);
      const auto points = at::empty({some, 2}, at::kDouble);
      auto* at = points.mutable_data_ptr<double>();
      const auto [height, width] = crop.size();
      for (int64_t i = 0; i < some; ++i) {
        at[2 * i] = grid[2 * (first + i)] * static_cast<double>(width);
        at[2 * i + 1] = grid[2 * (first + i) + 1] * static_cast<double>(height);
      }
      const auto logits = encoded->masks_of(points, options_.multimask, call_);
      add_candidates(logits, points, *encoded, crop, candidates);
      done_ += some;
      call_.report(Step::kEncode, done_, total_);
    }
    return chosen(std::move(candidates), *encoded, crop);
  }

  /// The filters, in the authors' order: predicted overlap before anything is
  /// resized, stability, edges of the crop.
  void add_candidates(const PointLogits& logits,
                      const at::Tensor& points,
                      const EncodedCrop& encoded,
                      const PictureCrop& crop,
                      std::vector<Candidate>& candidates) const {
    const auto iou = logits.iou.to(at::kCPU, at::kFloat).contiguous();
    const float* overlaps = iou.const_data_ptr<float>();
    // Thresholds are float32 like the numbers that they are compared with.
    const auto least_overlap = static_cast<float>(options_.predicted_iou);
    const auto least_stability = static_cast<float>(options_.stability);
    std::vector<int64_t> wanted;
    for (int64_t i = 0; i < iou.numel(); ++i) {
      if (options_.predicted_iou > 0 && !(overlaps[i] > least_overlap))
        continue;
      wanted.push_back(i);
    }
    if (wanted.empty()) return;
    const auto maps = cpu_maps(logits.low_res.flatten(0, 1), wanted);
    std::vector<int64_t> all(wanted.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    auto measured = runs_of(encoded, crop, maps)
                        .measure(maps,
                                 all,
                                 options_.stability_offset,
                                 picture_,
                                 crop.y0,
                                 crop.x0);
    const int64_t masks_of_point = iou.size(1);
    const double* places = points.const_data_ptr<double>();
    for (size_t i = 0; i < wanted.size(); ++i) {
      auto& mask = measured[i];
      const float stability =
          static_cast<float>(mask.surely) / static_cast<float>(mask.possibly);
      if (options_.stability > 0 && !(stability >= least_stability)) continue;
      if (is_near_crop_edge(mask.box, crop, picture_)) continue;
      const int64_t point = wanted[i] / masks_of_point;
      Candidate candidate;
      auto& found = candidate.mask;
      found.area = mask.area;
      found.box = {mask.box[0] + crop.x0,
                   mask.box[1] + crop.y0,
                   mask.box[2] - mask.box[0],
                   mask.box[3] - mask.box[1]};
      found.predicted_iou = overlaps[wanted[i]];
      found.stability = stability;
      found.point = {places[2 * point] + static_cast<double>(crop.x0),
                     places[2 * point + 1] + static_cast<double>(crop.y0)};
      found.crop = {crop.x0, crop.y0, crop.x1 - crop.x0, crop.y1 - crop.y0};
      found.counts = compress_counts(mask.counts);
      const auto low_res = maps[static_cast<int64_t>(i)];
      if (found.counts.size() > low_res.nbytes()) {
        found.counts = {};
        candidate.low_res = low_res.clone();
      }
      candidates.push_back(std::move(candidate));
    }
  }

  /// Without those that a surer one of the crop doubles.
  std::vector<GeneratedMask> chosen(std::vector<Candidate> candidates,
                                    const EncodedCrop& encoded,
                                    const PictureCrop& crop) const {
    if (candidates.empty()) return {};
    std::vector<float> scores;
    for (const auto& candidate : candidates) {
      scores.push_back(candidate.mask.predicted_iou);
    }
    const auto kept = places_without_doubles(
        masks_of(candidates,
                 [](const Candidate& one) -> const GeneratedMask& {
                   return one.mask;
                 }),
        scores,
        options_.box_nms);
    std::vector<GeneratedMask> out;
    for (auto& candidate : in_places(std::move(candidates), kept)) {
      if (candidate.low_res.defined()) {
        const auto map = candidate.low_res.unsqueeze(0);
        const auto again = runs_of(encoded, crop, map)
                               .measure(map,
                                        {0},
                                        options_.stability_offset,
                                        picture_,
                                        crop.y0,
                                        crop.x0);
        candidate.mask.counts = compress_counts(again[0].counts);
      }
      out.push_back(std::move(candidate.mask));
    }
    return out;
  }

  static MaskRuns runs_of(const EncodedCrop& encoded,
                          const PictureCrop& crop,
                          const at::Tensor& maps) {
    return {{maps.size(1), maps.size(2)},
            encoded.side(),
            encoded.input(),
            crop.size()};
  }

  /// Maps [K, h, w] on the CPU: those that are wanted.
  static at::Tensor cpu_maps(const at::Tensor& maps,
                             const std::vector<int64_t>& wanted) {
    if (static_cast<int64_t>(wanted.size()) == maps.size(0)) {
      return maps.to(at::kCPU, at::kFloat).contiguous();
    }
    return maps.index_select(0, at::tensor(wanted, at::kLong).to(maps.device()))
        .to(at::kCPU, at::kFloat);
  }

  /// Fills small holes and removes small islands. Masks that change come last,
  /// and only where they do not double another one now.
  void clean(std::vector<GeneratedMask>& masks) const {
    if (masks.empty()) return;
    std::vector<float> scores;
    for (auto& mask : masks) {
      call_.check();
      const auto [cleaned, changed] = without_small_regions(
          decompress_rle(mask.counts, picture_), options_.min_region_area);
      scores.push_back(changed ? 0.0f : 1.0f);
      if (!changed) continue;
      mask.counts = compress_counts(cleaned.counts);
      mask.area = rle_area(cleaned);
      const auto [x, y, width, height] = rle_box(cleaned);
      mask.box = {x,
                  y,
                  std::max<int64_t>(width - 1, 0),
                  std::max<int64_t>(height - 1, 0)};
    }
    const auto kept =
        places_without_doubles(masks_of(masks, itself),
                               scores,
                               std::max(options_.box_nms, options_.crop_nms));
    masks = in_places(std::move(masks), kept);
  }

  const PointPrompted& model_;
  const at::Tensor& pixels_;
  const MaskGeneratorOptions& options_;
  const Call& call_;
  const Size picture_;
  const std::vector<PictureCrop> crops_;
  int64_t done_ = 0, total_ = 0;  // points
};

void check_generator_options(const MaskGeneratorOptions& options) {
  const auto layers = static_cast<size_t>(options.crop_layers) + 1;
  bool fits = options.crop_layers >= 0 && options.points.size() == layers &&
              options.points_per_batch >= 1 && options.min_region_area >= 0 &&
              options.stability_offset >= 0;
  for (const auto& grid : options.points) fits = fits && grid.size() % 2 == 0;
  if (fits) return;
  throw Error(ErrorCode::kInvalidArg,
              "Automatic masks need one list of points, x and y each, for the "
              "picture and one for every layer of crops, batches of at least "
              "one point, an offset and an area of at least 0.");
}

}  // namespace

bool is_near_crop_edge(const int32_t* box,
                       const PictureCrop& crop,
                       Size picture) {
  constexpr int64_t kNear = 20;
  const int64_t of_crop[4] = {crop.x0, crop.y0, crop.x1, crop.y1};
  const int64_t of_picture[4] = {0, 0, picture.width, picture.height};
  for (int side = 0; side < 4; ++side) {
    const int64_t at = box[side] + (side % 2 == 0 ? crop.x0 : crop.y0);
    if (std::abs(at - of_crop[side]) <= kNear &&
        std::abs(at - of_picture[side]) > kNear) {
      return true;
    }
  }
  return false;
}

GeneratedMasks generate_masks(const PointPrompted& model,
                              const at::Tensor& pixels,
                              const MaskGeneratorOptions& options,
                              const Call& call) {
  check_generator_options(options);
  if (pixels.dim() != 3) {
    throw Error(ErrorCode::kInvalidArg, "Pixels must be uint8 [H, W, C].");
  }
  check_size({pixels.size(0), pixels.size(1)}, "The picture");
  return MaskGenerator(model, pixels, options, call).generate();
}

}  // namespace declip
