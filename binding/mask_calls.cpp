#include "mask_calls.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "declip/mask_shapes.h"
#include "declip/objects.h"
#include "declip/region_map.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

/// A copy of a typed array whose elements are T.
template <class T>
std::vector<T> get_elements(const Napi::Object& o,
                            const char* key,
                            napi_typedarray_type type) {
  const auto value = o.Get(key);
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw wrong(key, "a typed array of its kind");
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

MaskShapes get_shapes(const Napi::Object& o) {
  MaskShapes shapes;
  shapes.kinds = get_elements<uint8_t>(o, "kinds", napi_uint8_array);
  const auto sides = get_elements<uint32_t>(o, "sizes", napi_uint32_array);
  for (size_t i = 0; i + 1 < sides.size(); i += 2) {
    shapes.sizes.push_back({sides[i], sides[i + 1]});
  }
  shapes.ends = get_elements<uint32_t>(o, "ends", napi_uint32_array);
  shapes.counts = get_elements<uint32_t>(o, "counts", napi_uint32_array);
  const auto strings = o.Get("strings");
  if (!strings.IsArray()) throw wrong("strings", "an array");
  const auto texts = strings.As<Napi::Array>();
  for (uint32_t i = 0; i < texts.Length(); ++i) {
    shapes.strings.push_back(texts.Get(i).ToString().Utf8Value());
  }
  shapes.corners = get_elements<double>(o, "corners", napi_float64_array);
  shapes.ring_ends = get_elements<uint32_t>(o, "ringEnds", napi_uint32_array);
  shapes.holes = get_elements<uint8_t>(o, "holes", napi_uint8_array);
  return shapes;
}

/// Of masks that are painted over each other; empty: their areas.
std::vector<double> find_keys(const Napi::Object& o) {
  if (o.Get("keys").IsUndefined()) return {};
  return get_elements<double>(o, "keys", napi_float64_array);
}

/// What rleOf gives.
struct MeasuredRles {
  std::vector<std::string> strings;
  std::vector<double> areas;
  std::vector<double> boxes;
};

Napi::Value to_js(Napi::Env env, const MeasuredRles& rles) {
  auto strings = Napi::Array::New(env, rles.strings.size());
  for (uint32_t i = 0; i < rles.strings.size(); ++i) {
    strings.Set(i, rles.strings[i]);
  }
  auto o = Napi::Object::New(env);
  o.Set("strings", strings);
  o.Set("areas", copied<Napi::Float64Array>(env, rles.areas));
  o.Set("boxes", copied<Napi::Float64Array>(env, rles.boxes));
  return o;
}

struct RegionList {
  std::vector<int32_t> values;
};

Napi::Value to_js(Napi::Env env, const RegionList& list) {
  return copied<Napi::Int32Array>(env, list.values);
}

}  // namespace

static Napi::Value to_js(Napi::Env env, const LabelMasks& found) {
  auto values = Napi::Array::New(env, found.values.size());
  for (uint32_t i = 0; i < found.values.size(); ++i) {
    values.Set(i, static_cast<double>(found.values[i]));
  }
  auto o = Napi::Object::New(env);
  o.Set("masks", TensorHandle::wrap(env, found.masks));
  o.Set("values", values);
  return o;
}

namespace {

Napi::Object outlines_to_js(Napi::Env env, const OutlineLists& lists) {
  auto corners = Napi::Int32Array::New(env, 2 * lists.corners.size());
  size_t at = 0;
  for (const auto& [x, y] : lists.corners) {
    corners[at++] = x;
    corners[at++] = y;
  }
  auto o = Napi::Object::New(env);
  o.Set("corners", corners);
  o.Set("ringEnds", copied<Napi::Uint32Array>(env, lists.ring_ends));
  o.Set("polygonEnds", copied<Napi::Uint32Array>(env, lists.polygon_ends));
  o.Set("classEnds", copied<Napi::Uint32Array>(env, lists.object_ends));
  return o;
}

}  // namespace

static Napi::Value to_js(Napi::Env env, const Objects& objects) {
  auto text = Napi::Uint8Array::New(env, objects.text.size());
  std::copy(objects.text.begin(), objects.text.end(), text.Data());
  auto o = Napi::Object::New(env);
  o.Set("labels", copied<Napi::Int32Array>(env, objects.labels));
  o.Set("scores", copied<Napi::Float64Array>(env, objects.scores));
  o.Set("areas", copied<Napi::Int32Array>(env, objects.areas));
  o.Set("boxes", copied<Napi::Int32Array>(env, objects.boxes));
  o.Set("counts", copied<Napi::Uint32Array>(env, objects.counts));
  o.Set("text", text);
  o.Set("runEnds", copied<Napi::Uint32Array>(env, objects.run_ends));
  o.Set("parts", outlines_to_js(env, objects.parts));
  o.Set("joined", outlines_to_js(env, objects.joined));
  return o;
}

Napi::Value label_objects(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        ObjectOptions options;
        options.corners = get_integer(o, "connectivity") == 8;
        options.min_area = get_integer(o, "minArea");
        options.background = get_integer(o, "background");
        options.limit = find_integer(o, "limit").value_or(0);
        options.compressed = get_bool(o, "compressed");
        return [labels = get_tensor(o, "labels"),
                certainty = find_tensor(o, "certainty"),
                classes = get_integer(o, "classes"),
                options](const Call& call) {
          return find_objects(labels, classes, certainty, options, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value fill_mask_shapes(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [shapes = get_shapes(o),
                size = Size{get_integer(o, "height"), get_integer(o, "width")}](
                   const Call& call) { return fill_masks(shapes, size, call); };
      },
      Lane::kPreparation);
}

Napi::Value label_masks(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [labels = get_tensor(o, "labels")](const Call& call) {
          return masks_of_labels(labels, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value paint_shapes(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [shapes = get_shapes(o),
                size = Size{get_integer(o, "height"), get_integer(o, "width")},
                keys = find_keys(o)](const Call& call) {
          return paint_regions(shapes, size, keys, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value paint_masks(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [masks = get_tensor(o, "masks"),
                keys = find_keys(o)](const Call& call) {
          return paint_regions(masks, keys, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value list_regions(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [regions = get_tensor(o, "regions"),
                limit = get_integer(o, "limit")](const Call& call) {
          return RegionList{region_values(regions, limit, call)};
        };
      },
      Lane::kPreparation);
}

Napi::Value region_masks(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [regions = get_tensor(o, "regions"),
                values = get_elements<int32_t>(o, "values", napi_int32_array)](
                   const Call& call) {
          return masks_of_regions(regions, values, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value measured_rles(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [shapes = get_shapes(o)](const Call& call) {
          MeasuredRles rles;
          for (const auto& mask : rle_of(shapes, call)) {
            call.check();
            rles.strings.push_back(compress_counts(mask.counts));
            rles.areas.push_back(static_cast<double>(rle_area(mask)));
            for (const auto side : rle_box(mask)) {
              rles.boxes.push_back(static_cast<double>(side));
            }
          }
          return rles;
        };
      },
      Lane::kPreparation);
}

}  // namespace declip
