#include "kernels/roi_align_levels.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/element_type.h"
#include "kernels/roi_align_levels_args.h"

namespace declip {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kMostPlaces = 65536;  // of a side; bounds a box's samples

/// Everything but the maps' values.
struct RoiBoxes {
  at::Tensor boxes, level, pictures;  // on the maps' device
  std::vector<double> scales;         // y and x of every map
  int64_t out_height, out_width;
};

void refuse_boxes(const std::string& what) {
  throw Error(ErrorCode::kInvalidArg, "RoIAlign: " + what);
}

void check_places(const char* what, const at::Tensor& places, int64_t end) {
  if (places.numel() == 0) return;
  const auto [low, high] = places.aminmax();
  const int64_t worst =
      low.item<int64_t>() < 0 ? low.item<int64_t>() : high.item<int64_t>();
  if (worst >= 0 && worst < end) return;
  refuse_boxes(std::string("a box's ") + what + " must be 0.." +
               std::to_string(end - 1) + ", received " + std::to_string(worst) +
               ".");
}

void check_boxes(const at::TensorList& maps, const RoiBoxes& boxes) {
  const auto& first = maps[0];
  for (const auto& map : maps) {
    if (map.dim() == 4 && map.is_floating_point() &&
        map.size(0) == first.size(0) && map.size(1) == first.size(1) &&
        map.scalar_type() == first.scalar_type() &&
        map.device() == first.device()) {
      continue;
    }
    refuse_boxes("maps are [B, C, h, w] of one dtype, device, B and C.");
  }
  const int64_t count = boxes.boxes.size(0);
  if (boxes.boxes.dim() != 2 || boxes.boxes.size(1) != 4 ||
      boxes.level.dim() != 1 || boxes.level.size(0) != count ||
      boxes.pictures.dim() != 1 || boxes.pictures.size(0) != count ||
      boxes.out_height < 1 || boxes.out_width < 1) {
    refuse_boxes("boxes are [N, 4], each with a map and a picture.");
  }
  const double scale =
      *std::max_element(boxes.scales.begin(), boxes.scales.end());
  const auto sides = boxes.boxes.slice(1, 2, 4) - boxes.boxes.slice(1, 0, 2);
  // NaN and a difference of infinities are in no range.
  const auto sound =
      sides.ge(0).logical_and_(sides.le(kMostPlaces / scale)).all(1);
  if (!sound.all().item<bool>()) {
    const auto bad =
        boxes.boxes.index_select(0, sound.logical_not().nonzero()[0]).cpu();
    std::string list;
    for (int64_t k = 0; k < 4; ++k) {
      list += (k ? ", " : "") + std::to_string(bad[0][k].item<float>());
    }
    refuse_boxes(
        "a box must be finite x1, y1, x2, y2 with x2 >= x1 and y2 >= y1 and "
        "less than 65536 places of its map long, received " +
        list + ".");
  }
  check_places("map", boxes.level, static_cast<int64_t>(maps.size()));
  check_places("picture", boxes.pictures, first.size(0));
}

RoiLevelsArgs roi_args(const at::TensorList& maps, const RoiBoxes& boxes) {
  RoiLevelsArgs args;
  args.map_count = static_cast<int64_t>(maps.size());
  for (size_t i = 0; i < maps.size(); ++i) {
    args.maps[i].height = maps[i].size(2);
    args.maps[i].width = maps[i].size(3);
    args.maps[i].scale_y = static_cast<float>(boxes.scales[2 * i]);
    args.maps[i].scale_x = static_cast<float>(boxes.scales[2 * i + 1]);
  }
  args.pictures_count = maps[0].size(0);
  args.boxes = boxes.boxes.const_data_ptr<float>();
  args.level = boxes.level.const_data_ptr<int64_t>();
  args.pictures = boxes.pictures.const_data_ptr<int64_t>();
  args.count = boxes.boxes.size(0);
  args.channels = maps[0].size(1);
  args.out_height = boxes.out_height;
  args.out_width = boxes.out_width;
  return args;
}

at::Tensor pool_maps(const at::TensorList& maps, const RoiBoxes& boxes) {
  const auto dtype = maps[0].scalar_type();
  const auto type = element_type(dtype);
  const bool has_kernel = type && has_twin(maps[0].device(), *type);
  const auto used = has_kernel ? dtype : at::kFloat;
  auto args = roi_args(maps, boxes);
  args.type = *element_type(used);
  std::vector<at::Tensor> read;
  for (size_t i = 0; i < maps.size(); ++i) {
    read.push_back(
        maps[i].detach().to(used).contiguous(at::MemoryFormat::ChannelsLast));
    args.maps[i].features = read.back().const_data_ptr();
  }
  const auto out =
      at::empty({args.count, args.channels, args.out_height, args.out_width},
                maps[0].options().dtype(used).memory_format(
                    at::MemoryFormat::ChannelsLast));
  args.pooled = out.mutable_data_ptr();
  if (out.numel() > 0) DECLIP_RUN_TWIN(out, roi_align_levels, args);
  return out.to(dtype);
}

struct RecordedRoi : torch::autograd::Function<RecordedRoi> {
  static at::Tensor forward(AutogradContext* context,
                            at::TensorList maps,
                            const RoiBoxes& boxes) {
    context->save_for_backward({boxes.boxes, boxes.level, boxes.pictures});
    context->saved_data["scales"] = boxes.scales;
    std::vector<int64_t> sizes;
    for (const auto& map : maps) {
      sizes.push_back(map.size(2));
      sizes.push_back(map.size(3));
    }
    context->saved_data["sizes"] = sizes;
    context->saved_data["pictures"] = maps[0].size(0);
    return pool_maps(maps, boxes);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& given = gradients[0];
    const auto sizes = context->saved_data["sizes"].toIntVector();
    const RoiBoxes boxes{saved[0],
                         saved[1],
                         saved[2],
                         context->saved_data["scales"].toDoubleVector(),
                         given.size(2),
                         given.size(3)};
    const auto upstream =
        given.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
    std::vector<at::Tensor> sums;
    for (size_t i = 0; i + 1 < sizes.size(); i += 2) {
      sums.push_back(at::empty({context->saved_data["pictures"].toInt(),
                                given.size(1),
                                sizes[i],
                                sizes[i + 1]},
                               upstream.options().memory_format(
                                   at::MemoryFormat::ChannelsLast))
                         .zero_());
    }
    auto args = roi_args(sums, boxes);
    for (size_t i = 0; i < sums.size(); ++i) {
      args.maps[i].gradient = sums[i].mutable_data_ptr<float>();
    }
    args.upstream = upstream.const_data_ptr<float>();
    if (upstream.numel() > 0) {
      DECLIP_RUN_TWIN(upstream, roi_align_levels_backward, args);
    }
    variable_list out;
    for (const auto& sum : sums) out.push_back(sum.to(given.scalar_type()));
    out.emplace_back();
    return out;
  }
};

}  // namespace

at::Tensor roi_align_levels(const std::vector<RoiMap>& maps,
                            const at::Tensor& boxes,
                            const at::Tensor& level,
                            const at::Tensor& pictures,
                            int64_t out_height,
                            int64_t out_width) {
  if (maps.empty() || static_cast<int64_t>(maps.size()) > kMostRoiMaps) {
    refuse_boxes("1 to 8 maps.");
  }
  std::vector<at::Tensor> features;
  RoiBoxes where;
  for (const auto& map : maps) {
    features.push_back(map.features);
    where.scales.push_back(map.scale_y);
    where.scales.push_back(map.scale_x);
  }
  const auto device = features[0].device();
  where.boxes = boxes.detach().to(device, at::kFloat).contiguous();
  where.level = level.to(device, at::kLong).contiguous();
  where.pictures = pictures.to(device, at::kLong).contiguous();
  where.out_height = out_height;
  where.out_width = out_width;
  check_boxes(features, where);
  const bool recorded =
      at::GradMode::is_enabled() &&
      std::any_of(features.begin(), features.end(), [](const auto& map) {
        return map.requires_grad();
      });
  return recorded ? RecordedRoi::apply(at::TensorList(features), where)
                  : pool_maps(features, where);
}

}  // namespace declip
