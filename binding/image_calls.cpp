#include "image_calls.h"

#include <ATen/ATen.h>

#include "declip/cat_seg.h"
#include "declip/encoded_image.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "declip/resize.h"
#include "model_options.h"
#include "queued.h"

namespace declip {
namespace {

Fit get_fit(const Napi::Object& o, const char* key) {
  const auto name = get_string(o, key);
  if (name == "crop") return Fit::kCrop;
  if (name == "squash") return Fit::kSquash;
  if (name == "pad") return Fit::kPad;
  throw wrong(key, "'crop', 'squash' or 'pad'");
}

}  // namespace

Napi::Value preprocess_image(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    return Sized{
        size_of_resizing(pixels),
        [pixels,
         fit = get_fit(o, "fit"),
         side = get_integer(o, "size"),
         stats = to_overrides(o).pixels.value_or(PixelStats{})](const Call&) {
          const auto rgb = rgb_pixels(pixels);
          return preprocess(rgb.const_data_ptr<uint8_t>(),
                            {rgb.size(0), rgb.size(1)},
                            fit,
                            side,
                            stats.mean,
                            stats.std);
        }};
  });
}

Napi::Value resize_image(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        EncodeOptions options;
        options.short_side = get_integer(o, "shortSide");
        options.long_side =
            find_integer(o, "longSide").value_or(options.long_side);
        options.enlarge = find_bool(o, "enlarge").value_or(options.enlarge);
        if (find_bool(o, "catSeg").value_or(false)) {
          options.cat_seg = std::make_shared<CatSegOptions>();
        }
        return [pixels = get_pixels(o), options](const Call&) {
          return resize_to_working_size(pixels, options);
        };
      },
      Lane::kPreparation);
}

Napi::Value window_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto o = options_of(info);
    const Size size{get_integer(o, "height"), get_integer(o, "width")};
    return to_js(info.Env(), count_windows(size, to_windows(o)));
  });
}

Napi::Value detach_buffer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (info.Length() != 1 || !info[0].IsArrayBuffer()) {
      throw Error(ErrorCode::kInvalidArg, "An ArrayBuffer was expected.");
    }
    napi_detach_arraybuffer(info.Env(), info[0]);
    return info.Env().Undefined();
  });
}

}  // namespace declip
