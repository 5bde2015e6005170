#include "make_batch.h"

#include <string>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "declip/make_batch.h"
#include "model_options.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

std::vector<BatchPicture> get_pictures(const Napi::Object& o) {
  const auto value = o.Get("pictures");
  if (!value.IsArray()) throw wrong("pictures", "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<BatchPicture> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value entry = array.Get(i);
    if (!entry.IsObject()) throw wrong("pictures", "an array of objects");
    const auto picture = entry.As<Napi::Object>();
    BatchPicture one;
    one.pixels = get_pixels(picture);
    one.seed = static_cast<uint64_t>(get_integer(picture, "seed"));
    if (!picture.Get("proposals").IsUndefined()) {
      one.proposals = get_boxes(picture, "proposals");
    }
    out.push_back(std::move(one));
  }
  return out;
}

SquareInput to_square(const Napi::Object& o) {
  return {get_integer(o, "size"),
          to_overrides(o).pixels.value_or(PixelStats{})};
}

RegionInput to_region_input(const Napi::Object& o) {
  RegionInput out;
  out.rows = get_integer(o, "maxBoxes");
  out.crop_side = get_integer(o, "cropSize");
  const auto scale = get_number(o, "cropScale");
  const auto splits = find_integer(o, "maxSplit");
  out.from_proposals = !splits;
  if (splits) {
    out.grid.most_splits = *splits;
    out.grid.most_boxes = out.rows;
    out.grid.crop_scale = scale;
  } else {
    out.proposal.most_boxes = out.rows;
    out.proposal.crop_scale = scale;
    out.proposal.least_side = get_number(o, "minSize");
    out.proposal.most_side = get_number(o, "maxSize");
  }
  return out;
}

BatchSpec to_spec(const Napi::Object& o) {
  BatchSpec out;
  out.student = to_square(o);
  if (!o.Get("regions").IsUndefined()) {
    out.regions = to_region_input(get_object(o, "regions"));
  }
  out.resized_side = find_integer(o, "resizedTo").value_or(0);
  if (!o.Get("teacher").IsUndefined()) {
    out.teacher = to_square(get_object(o, "teacher"));
  }
  return out;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const PictureBatch& made) {
  auto out = Napi::Object::New(env);
  const auto set = [&](const char* key, const at::Tensor& tensor) {
    if (tensor.defined()) out.Set(key, TensorHandle::wrap(env, tensor));
  };
  set("images", made.batch.images);
  set("boxes", made.batch.boxes);
  set("crops", made.batch.crops);
  set("teacherImages", made.teacher_images);
  return out;
}

Napi::Value make_batch(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return
            [pictures = get_pictures(o), spec = to_spec(o)](const Call& call) {
              return make_batch(pictures, spec, call);
            };
      },
      Lane::kPreparation);
}

}  // namespace declip
