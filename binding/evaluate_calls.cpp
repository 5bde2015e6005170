#include "evaluate_calls.h"

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "declip/average_precision.h"
#include "declip/label_counts.h"
#include "queued.h"

namespace declip {
namespace {

/// A typed array, read where it lies: the call holds it, and nobody may write
/// to it or transfer it until the call has ended.
template <class T>
std::span<const T> get_array(const Napi::Object& o,
                             const char* key,
                             napi_typedarray_type type,
                             const char* expected) {
  const auto value = o.Get(key);
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw wrong(key, expected);
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.ElementLength()};
}

std::span<const double> get_doubles(const Napi::Object& o, const char* key) {
  return get_array<double>(o, key, napi_float64_array, "a Float64Array");
}

std::span<const int32_t> get_labels(const Napi::Object& o, const char* key) {
  return get_array<int32_t>(o, key, napi_int32_array, "an Int32Array");
}

std::span<const uint8_t> get_bytes(const Napi::Object& o, const char* key) {
  return get_array<uint8_t>(o, key, napi_uint8_array, "a Uint8Array");
}

ObjectList get_objects(const Napi::Object& o) {
  return {get_labels(o, "labels"),
          get_doubles(o, "boxes"),
          get_bytes(o, "maskText"),
          get_doubles(o, "maskEnds")};
}

/// Ten numbers a picture: where its truths, its detections, its negative and
/// its not exhaustive labels begin and end, height and width.
std::vector<DetectionPicture> get_evaluated(const Napi::Object& o) {
  const auto numbers =
      get_array<uint32_t>(o, "pictures", napi_uint32_array, "a Uint32Array");
  constexpr size_t kEach = 10;
  if (numbers.size() % kEach != 0) {
    throw wrong("pictures", "ten numbers for every picture");
  }
  std::vector<DetectionPicture> pictures;
  pictures.reserve(numbers.size() / kEach);
  for (size_t i = 0; i < numbers.size(); i += kEach) {
    const auto* n = numbers.data() + i;
    pictures.push_back(
        {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], {n[8], n[9]}});
  }
  return pictures;
}

DetectionSet get_detection_set(const Napi::Object& o) {
  DetectionSet set;
  set.rule = get_string(o, "rule") == "lvis" ? DetectionRule::kLvis
                                             : DetectionRule::kCoco;
  set.masks = get_bool(o, "masks");
  set.classes = get_integer(o, "classes");
  set.max_detections = get_integers(o, "maxDetections");
  set.pictures = get_evaluated(o);
  const auto truths = get_object(o, "truths");
  set.truths = get_objects(truths);
  set.truth_areas = get_doubles(truths, "areas");
  set.truth_crowds = get_bytes(truths, "crowds");
  const auto detections = get_object(o, "detections");
  set.detections = get_objects(detections);
  set.scores = get_doubles(detections, "scores");
  set.negative = get_labels(o, "negative");
  set.not_exhaustive = get_labels(o, "notExhaustive");
  return set;
}

struct PrecisionResult {
  std::vector<ClassPrecision> classes;
  /// Interpolated precision of every class at IoU 0.5, whatever the area, at
  /// the most detections: [K, R].
  std::vector<double> at50;
  std::optional<PrecisionCurves> curves;
};

std::vector<double> precision_at_50(const PrecisionCurves& curves) {
  std::vector<double> out;
  out.reserve(static_cast<size_t>(curves.classes * kRecallPoints));
  for (int64_t k = 0; k < curves.classes; ++k) {
    for (int64_t r = 0; r < kRecallPoints; ++r) {
      const int64_t place =
          (r * curves.classes + k) * kAreaRanges * curves.limits;
      out.push_back(curves.precision[place + curves.limits - 1]);
    }
  }
  return out;
}

Napi::Value to_js(Napi::Env env, const PrecisionResult& result) {
  std::vector<double> classes;
  for (const auto& one : result.classes) {
    for (const double value : {one.ap,
                               one.ap50,
                               one.ap75,
                               one.small,
                               one.medium,
                               one.large,
                               one.recalls[0],
                               one.recalls[1],
                               one.recalls[2],
                               one.recall_small,
                               one.recall_medium,
                               one.recall_large}) {
      classes.push_back(value);
    }
  }
  auto o = Napi::Object::New(env);
  o.Set("perClass", copied<Napi::Float64Array>(env, classes));
  o.Set("at50", copied<Napi::Float64Array>(env, result.at50));
  if (result.curves) {
    o.Set("precision",
          copied<Napi::Float64Array>(env, result.curves->precision));
    o.Set("scores", copied<Napi::Float64Array>(env, result.curves->scores));
    o.Set("recall", copied<Napi::Float64Array>(env, result.curves->recall));
  }
  return o;
}

struct LabelCounts {
  std::vector<LabelPair> pairs;
};

Napi::Value to_js(Napi::Env env, const LabelCounts& counts) {
  auto array = Napi::Float64Array::New(env, 3 * counts.pairs.size());
  double* out = array.Data();
  for (const auto& [truth, prediction, pixels] : counts.pairs) {
    *out++ = static_cast<double>(truth);
    *out++ = static_cast<double>(prediction);
    *out++ = static_cast<double>(pixels);
  }
  auto o = Napi::Object::New(env);
  o.Set("pairs", array);
  return o;
}

}  // namespace

Napi::Value count_label_pairs(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [prediction = get_tensor(o, "prediction"),
                truth = get_tensor(o, "truth"),
                classes = get_integer(o, "classes"),
                ignore = get_integer(o, "ignore")](const Call& call) {
          return LabelCounts{
              count_labels(prediction, truth, classes, ignore, call)};
        };
      },
      Lane::kPreparation);
}

Napi::Value average_precision(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [set = get_detection_set(o),
                curves = get_bool(o, "curves")](const Call& call) {
          auto all = precision_curves(set, call);
          PrecisionResult result;
          result.classes = class_precision(all);
          result.at50 = precision_at_50(all);
          if (curves) result.curves = std::move(all);
          return result;
        };
      },
      Lane::kPreparation);
}

}  // namespace declip
