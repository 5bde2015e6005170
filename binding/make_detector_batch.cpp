#include "make_detector_batch.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "declip/make_detector_batch.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

std::vector<JitterPicture> get_jitter_pictures(const Napi::Object& o) {
  const auto value = o.Get("pictures");
  if (!value.IsArray()) throw wrong("pictures", "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<JitterPicture> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value entry = array.Get(i);
    if (!entry.IsObject()) throw wrong("pictures", "an array of objects");
    const auto picture = entry.As<Napi::Object>();
    JitterPicture one;
    one.pixels = get_pixels(picture);
    one.boxes = get_boxes(picture, "boxes");
    one.masks = find_tensor(picture, "masks");
    one.scale = get_number(picture, "scale");
    one.crop_x = get_number(picture, "cropX");
    one.crop_y = get_number(picture, "cropY");
    one.mirror = get_bool(picture, "mirror");
    out.push_back(std::move(one));
  }
  return out;
}

Napi::Value sample_to_js(Napi::Env env, const JitteredPicture& sample) {
  auto out = Napi::Object::New(env);
  out.Set("width", static_cast<double>(sample.size.width));
  out.Set("height", static_cast<double>(sample.size.height));
  const auto* boxes = sample.boxes.const_data_ptr<float>();
  out.Set("boxes",
          copied<Napi::Float32Array>(
              env, std::vector<float>(boxes, boxes + sample.boxes.numel())));
  out.Set("kept", copied<Napi::Int32Array>(env, sample.kept));
  if (sample.masks.defined()) {
    out.Set("masks", TensorHandle::wrap(env, sample.masks));
  }
  return out;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const DetectorPictures& made) {
  auto samples = Napi::Array::New(env, made.samples.size());
  for (uint32_t i = 0; i < made.samples.size(); ++i) {
    samples.Set(i, sample_to_js(env, made.samples[i]));
  }
  auto out = Napi::Object::New(env);
  out.Set("images", TensorHandle::wrap(env, made.images));
  out.Set("samples", samples);
  return out;
}

Napi::Value make_detector_batch_call(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [pictures = get_jitter_pictures(o),
                side = get_integer(o, "side")](const Call& call) {
          return make_detector_batch(pictures, side, call);
        };
      },
      Lane::kPreparation);
}

Napi::Value join_maps_call(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        const auto value = o.Get("maps");
        if (!value.IsArray()) throw wrong("maps", "an array of tensors");
        const auto array = value.As<Napi::Array>();
        std::vector<at::Tensor> maps;
        for (uint32_t i = 0; i < array.Length(); ++i) {
          maps.push_back(TensorHandle::from(array.Get(i)));
        }
        return [maps = std::move(maps),
                type = get_string(o, "dtype") == "bfloat16" ? at::kBFloat16
                                                            : at::kFloat](
                   const Call&) { return join_maps(maps, type); };
      },
      Lane::kPreparation);
}

}  // namespace declip
