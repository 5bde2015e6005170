#include "label_calls.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "declip/blend_colors.h"
#include "declip/polygons.h"
#include "declip/rle.h"
#include "queued.h"

namespace declip {
namespace {

/// An array of [red, green, blue] or null.
std::vector<std::optional<std::array<uint8_t, 3>>> get_colors(
    const Napi::Object& o) {
  const auto value = o.Get("colors");
  if (!value.IsArray()) throw wrong("colors", "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<std::optional<std::array<uint8_t, 3>>> colors(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value color = array.Get(i);
    if (color.IsNull()) continue;
    if (!color.IsArray() || color.As<Napi::Array>().Length() != 3) {
      throw wrong("colors", "an array of [red, green, blue] or null");
    }
    auto& channels = colors[i].emplace();
    for (uint32_t c = 0; c < 3; ++c) {
      channels[c] = static_cast<uint8_t>(
          color.As<Napi::Array>().Get(c).ToNumber().Uint32Value());
    }
  }
  return colors;
}

}  // namespace

Napi::Value blend_label_colors(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        Coloring how;
        how.colors = get_colors(o);
        how.opacity = get_number(o, "opacity");
        how.rim = get_integer(o, "rim");
        return
            [pixels = get_pixels(o), labels = get_tensor(o, "labels"), how](
                const Call& call) { blend_colors(pixels, labels, how, call); };
      },
      Lane::kPreparation);
}

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
