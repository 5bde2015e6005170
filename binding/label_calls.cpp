#include "label_calls.h"

#include "declip/polygons.h"
#include "declip/rle.h"
#include "queued.h"

namespace declip {

Napi::Value label_runs(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [labels = get_tensor(o, "labels"),
                classes = get_integer(o, "classes")](const Call& call) {
          return encode_rle(labels, classes, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value label_strings(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [labels = get_tensor(o, "labels"),
                classes = get_integer(o, "classes")](const Call& call) {
          CompressedMasks masks;
          for (const auto& mask : encode_rle(labels, classes, call)) {
            call.check();
            masks.counts.push_back(compress_counts(mask.counts));
          }
          return masks;
        };
      },
      Lane::kPreparation);
}

Napi::Value label_polygons(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [labels = get_tensor(o, "labels"),
                classes = get_integer(o, "classes"),
                tolerance = get_number(o, "tolerance")](const Call& call) {
          return trace_polygons(labels, classes, tolerance, call);
        };
      },
      Lane::kPreparation);
}

}  // namespace declip
