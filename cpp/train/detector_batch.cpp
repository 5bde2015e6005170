#include "train/detector_batch.h"

#include <ATen/ATen.h>

#include "declip/error.h"

namespace declip {
namespace {

/// How far a box may leave the square: what rounding does to clipped boxes.
constexpr float kPixelsOutside = 0.01f;

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw Error(ErrorCode::kInvalidArg, c10::str(parts...));
}

std::string name_of(const DetectorNeeds& needs, int64_t label) {
  const auto& names = *needs.classes;
  return names.empty() ? std::to_string(label)
                       : "'" + names[static_cast<size_t>(label)] + "'";
}

void check_sample(const DetectorSample& sample,
                  const std::string& where,
                  int64_t side,
                  const DetectorNeeds& needs) {
  if (sample.size.width < 1 || sample.size.height < 1 ||
      sample.size.width > side || sample.size.height > side) {
    refuse(where,
           " must be 1..",
           side,
           " pixels wide and high (the square), received ",
           sample.size.width,
           " x ",
           sample.size.height,
           ".");
  }
  const int64_t n = sample.boxes.defined() ? sample.boxes.size(0) : -1;
  if (n < 0 || sample.boxes.dim() != 2 || sample.boxes.size(1) != 4 ||
      !at::isFloatingType(sample.boxes.scalar_type()) ||
      !sample.labels.defined() || sample.labels.dim() != 1 ||
      sample.labels.size(0) != n) {
    refuse(where,
           " must have float boxes [n, 4] and labels [n]; without any, [0, 4] "
           "and [0].");
  }
  const auto boxes = sample.boxes.to(at::kCPU, at::kFloat).contiguous();
  const auto labels = sample.labels.to(at::kCPU, at::kLong).contiguous();
  const auto box = boxes.accessor<float, 2>();
  const auto edge = static_cast<float>(side) + kPixelsOutside;
  const auto classes = static_cast<int64_t>(needs.novel->size());
  for (int64_t i = 0; i < n; ++i) {
    const float x1 = box[i][0], y1 = box[i][1], x2 = box[i][2], y2 = box[i][3];
    // Negated, so that NaN is refused.
    if (!(x1 < x2 && y1 < y2 && x1 >= -kPixelsOutside &&
          y1 >= -kPixelsOutside && x2 <= edge && y2 <= edge)) {
      refuse("Box ",
             i,
             " of ",
             where,
             " must have an area and lie within the square of ",
             side,
             " pixels, received (",
             x1,
             ", ",
             y1,
             ", ",
             x2,
             ", ",
             y2,
             ").");
    }
    const int64_t label = labels[i].item<int64_t>();
    if (label < 0 || label >= classes) {
      refuse("Label ",
             i,
             " of ",
             where,
             " must be 0..",
             classes - 1,
             " (the classes), received ",
             label,
             ".");
    }
    if ((*needs.novel)[static_cast<size_t>(label)]) {
      refuse("Label ",
             i,
             " of ",
             where,
             " is ",
             name_of(needs, label),
             ", a novel class, which is not learned: leave its boxes out, or "
             "take the class out of `novel`.");
    }
  }
  if (!needs.masks) return;
  if (!sample.masks.defined() || sample.masks.dim() != 3 ||
      sample.masks.size(0) != n || sample.masks.size(1) != side ||
      sample.masks.size(2) != side ||
      at::isFloatingType(sample.masks.scalar_type())) {
    refuse(where,
           " must have masks uint8 [",
           n,
           ", ",
           side,
           ", ",
           side,
           "], one for each box: the detector has a mask head.");
  }
}

}  // namespace

void check_pictures(const at::Tensor& images, const VisionConfig& config) {
  if (images.defined() && images.dim() == 4 && images.size(0) > 0 &&
      images.size(1) == 3 && images.size(2) == images.size(3) &&
      images.size(2) >= config.patch && images.size(2) % config.patch == 0 &&
      at::isFloatingType(images.scalar_type())) {
    return;
  }
  refuse("images must be float [B, 3, S, S], S a multiple of ",
         config.patch,
         images.defined() ? c10::str(", received ", images.sizes(), ".")
                          : std::string("; or give maps."));
}

void check_batch(const DetectorBatch& batch, const DetectorNeeds& needs) {
  const auto& config = *needs.config;
  int64_t pictures = 0, side = 0;
  if (batch.maps.empty()) {
    check_pictures(batch.images, config);
    pictures = batch.images.size(0);
    side = batch.images.size(2);
  } else {
    const auto& first = batch.maps[0];
    for (const auto& map : batch.maps) {
      if (static_cast<int64_t>(batch.maps.size()) == needs.blocks &&
          map.dim() == 4 && map.size(0) > 0 && map.size(1) == config.width &&
          map.size(2) > 0 && map.size(2) == map.size(3) &&
          map.sizes() == first.sizes() &&
          at::isFloatingType(map.scalar_type())) {
        continue;
      }
      refuse("maps must be ",
             needs.blocks,
             " float tensors [B, ",
             config.width,
             ", G, G], as towerMaps() gave them, received ",
             batch.maps.size(),
             ", one of them ",
             map.sizes(),
             ".");
    }
    pictures = first.size(0);
    side = first.size(2) * config.patch;
  }
  if (static_cast<int64_t>(batch.samples.size()) != pictures ||
      (!batch.choices.empty() &&
       batch.choices.size() != batch.samples.size())) {
    refuse("A batch of ",
           pictures,
           " pictures must have as many samples, received ",
           batch.samples.size(),
           ".");
  }
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    check_sample(batch.samples[i], "picture " + std::to_string(i), side, needs);
  }
}

}  // namespace declip
