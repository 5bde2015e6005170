#include "make_cat_seg_batch.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "declip/make_cat_seg_batch.h"
#include "model_options.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

std::vector<SemanticPicture> get_semantic_pictures(const Napi::Object& o) {
  const auto value = o.Get("pictures");
  if (!value.IsArray()) throw wrong("pictures", "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<SemanticPicture> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value entry = array.Get(i);
    if (!entry.IsObject()) throw wrong("pictures", "an array of objects");
    const auto picture = entry.As<Napi::Object>();
    SemanticPicture one;
    one.pixels = get_pixels(picture);
    one.labels = get_tensor(picture, "labels");
    one.short_side = get_integer(picture, "shortSide");
    one.long_side = get_integer(picture, "longSide");
    one.crop_x = get_number(picture, "cropX");
    one.crop_y = get_number(picture, "cropY");
    one.mirror = get_bool(picture, "mirror");
    one.brightness = get_number(picture, "brightness");
    one.contrast = get_number(picture, "contrast");
    one.saturation = get_number(picture, "saturation");
    one.hue = get_integer(picture, "hue");
    one.contrast_first = get_bool(picture, "contrastFirst");
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const SemanticPictures& made) {
  auto out = Napi::Object::New(env);
  out.Set("images", TensorHandle::wrap(env, made.images));
  out.Set("labels", TensorHandle::wrap(env, made.labels));
  return out;
}

Napi::Value make_cat_seg_batch_call(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [pictures = get_semantic_pictures(o),
                side = get_integer(o, "side"),
                classes = get_integer(o, "classes"),
                statistics = to_overrides(o).pixels.value_or(PixelStats{})](
                   const Call& call) {
          return make_cat_seg_batch(pictures, side, classes, statistics, call);
        };
      },
      Lane::kPreparation);
}

}  // namespace declip
