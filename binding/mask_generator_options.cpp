#include "mask_generator_options.h"

#include "declip/error.h"
#include "read_options.h"

namespace declip {
namespace {

constexpr int64_t kMostPerSide = 4096;

std::vector<double> to_grid(const Napi::Value& value) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw wrong("points", "a list of Float64Arrays");
  }
  const auto array = value.As<Napi::Float64Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

}  // namespace

MaskGeneratorOptions to_mask_generator(const Napi::Object& o) {
  MaskGeneratorOptions out;
  out.points_per_batch = get_integer(o, "pointsPerBatch");
  out.predicted_iou = get_number(o, "predIouThreshold");
  out.stability = get_number(o, "stabilityThreshold");
  out.stability_offset = get_number(o, "stabilityOffset");
  out.box_nms = get_number(o, "boxNmsThreshold");
  out.crop_nms = get_number(o, "cropNmsThreshold");
  out.crop_layers = get_integer(o, "cropLayers");
  out.crop_overlap = get_number(o, "cropOverlap");
  out.min_region_area = get_integer(o, "minRegionArea");
  out.multimask = get_bool(o, "multimask");
  const auto points = o.Get("points");
  if (!points.IsArray()) throw wrong("points", "a list");
  const auto grids = points.As<Napi::Array>();
  for (uint32_t i = 0; i < grids.Length(); ++i) {
    out.points.push_back(to_grid(grids.Get(i)));
  }
  for (const int64_t per_side : get_integers(o, "perSide")) {
    if (per_side < 1 || per_side > kMostPerSide) {
      throw wrong("perSide", "numbers of points of at least 1");
    }
    out.points.push_back(point_grid(per_side));
  }
  return out;
}

Napi::Value to_js(Napi::Env env, const GeneratedMasks& masks) {
  constexpr size_t kValues = 13;
  auto counts = Napi::Array::New(env, masks.masks.size());
  auto values = Napi::Float64Array::New(env, kValues * masks.masks.size());
  double* to = values.Data();
  for (uint32_t i = 0; i < masks.masks.size(); ++i) {
    const GeneratedMask& mask = masks.masks[i];
    counts.Set(i, mask.counts);
    *to++ = static_cast<double>(mask.area);
    for (const int64_t side : mask.box) *to++ = static_cast<double>(side);
    *to++ = mask.predicted_iou;
    *to++ = mask.stability;
    for (const double at : mask.point) *to++ = at;
    for (const int64_t side : mask.crop) *to++ = static_cast<double>(side);
  }
  auto o = Napi::Object::New(env);
  o.Set("width", static_cast<double>(masks.size.width));
  o.Set("height", static_cast<double>(masks.size.height));
  o.Set("counts", counts);
  o.Set("values", values);
  return o;
}

}  // namespace declip
