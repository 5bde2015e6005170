#include "image_calls.h"

#include <ATen/ATen.h>

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
  return queued(info, [](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    return Sized{
        size_of_resizing(pixels),
        [pixels, short_side = get_integer(o, "shortSide")](const Call&) {
          const auto rgb = rgb_pixels(pixels);
          const Size size{rgb.size(0), rgb.size(1)};
          return resize_linear_u8(rgb.const_data_ptr<uint8_t>(),
                                  size,
                                  keep_ratio_size(size, short_side));
        }};
  });
}

}  // namespace declip
