#include "mask_view_handle.h"

#include <ATen/ATen.h>

#include <string>
#include <type_traits>
#include <vector>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "declip/rle.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

/// A copy of a typed array of numbers; undefined where the field is missing.
template <class T>
at::Tensor find_numbers(const Napi::Object& o,
                        const char* key,
                        napi_typedarray_type type,
                        at::ScalarType dtype) {
  const auto value = o.Get(key);
  if (value.IsUndefined()) return {};
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw wrong(key, "a typed array of its kind");
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  auto* data = const_cast<std::remove_const_t<T>*>(array.Data());
  return at::from_blob(
             data, {static_cast<int64_t>(array.ElementLength())}, dtype)
      .clone();
}

/// `rows` rows of the numbers.
at::Tensor in_rows(const at::Tensor& numbers,
                   const char* key,
                   std::vector<int64_t> shape) {
  if (!numbers.defined()) return numbers;
  if (shape[0] < 1 || numbers.numel() % shape[0] != 0) {
    throw wrong(key, "as many of every prompt");
  }
  return numbers.reshape(shape);
}

MaskPrompts to_prompts(const Napi::Object& o) {
  const int64_t count = get_integer(o, "prompts");
  MaskPrompts out;
  out.points = in_rows(
      find_numbers<double>(o, "points", napi_float64_array, at::kDouble),
      "points",
      {count, -1, 2});
  out.labels =
      in_rows(find_numbers<int32_t>(o, "labels", napi_int32_array, at::kInt),
              "labels",
              {count, -1});
  if (out.labels.defined()) out.labels = out.labels.to(at::kLong);
  out.boxes =
      in_rows(find_numbers<double>(o, "boxes", napi_float64_array, at::kDouble),
              "boxes",
              {count, 4});
  out.masks = find_tensor(o, "maskInput");
  return out;
}

MaskChoice to_choice(const std::string& name) {
  if (name == "best") return MaskChoice::kBest;
  if (name == "single") return MaskChoice::kSingle;
  if (name == "multi") return MaskChoice::kMulti;
  throw wrong("choice", "'best', 'single' or 'multi'");
}

}  // namespace

static Napi::Value to_js(Napi::Env env, const MaskAnswer& answer) {
  auto strings = Napi::Array::New(env, answer.masks.size());
  std::vector<double> areas, boxes;
  uint32_t at = 0;
  for (const Rle& mask : answer.masks) {
    strings.Set(at++, compress_counts(mask.counts));
    areas.push_back(static_cast<double>(rle_area(mask)));
    for (const auto side : rle_box(mask)) {
      boxes.push_back(static_cast<double>(side));
    }
  }
  const auto iou = answer.iou.to(at::kDouble).contiguous();
  const auto* scores = iou.const_data_ptr<double>();
  auto o = Napi::Object::New(env);
  o.Set("strings", strings);
  o.Set("areas", copied<Napi::Float64Array>(env, areas));
  o.Set("boxes", copied<Napi::Float64Array>(env, boxes));
  o.Set("scores",
        copied<Napi::Float64Array>(
            env, std::vector<double>(scores, scores + iou.numel())));
  o.Set("lowRes", TensorHandle::wrap(env, answer.low_res));
  return o;
}

MaskViewHandle::MaskViewHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MaskViewHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(
        env, "Mask views are made with model.encodeForMasks().");
  }
  view_ = *info[0].As<Napi::External<std::shared_ptr<const MaskView>>>().Data();
  const auto number = [&](const char* name, int64_t value) {
    return Napi::PropertyDescriptor::Value(
        name,
        Napi::Number::New(env, static_cast<double>(value)),
        napi_enumerable);
  };
  info.This().As<Napi::Object>().DefineProperties(
      {number("width", view_->image.picture.width),
       number("height", view_->image.picture.height),
       number("byteLength", view_->image.bytes())});
  Napi::MemoryManagement::AdjustExternalMemory(env, view_->image.bytes());
}

MaskViewHandle::~MaskViewHandle() { release(Env()); }

void MaskViewHandle::release(Napi::Env env) {
  if (!view_) return;
  const auto bytes = view_->image.bytes();
  view_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

Napi::Function MaskViewHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeMaskView",
                     {InstanceMethod("masksAt", &MaskViewHandle::masks_at),
                      InstanceMethod("dispose", &MaskViewHandle::dispose)});
}

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const MaskView>& view) {
  auto held = view;
  return addon_data(env).mask_view.New(
      {Napi::External<std::shared_ptr<const MaskView>>::New(env, &held)});
}

std::shared_ptr<const MaskView> MaskViewHandle::view() const {
  if (!view_) throw Error(ErrorCode::kDisposed, "This view was disposed.");
  return view_;
}

Napi::Value MaskViewHandle::masks_at(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto prompts = to_prompts(o);
    const auto choice = to_choice(get_string(o, "choice"));
    return Sized{
        size_of_prompts(*view()->model, view()->image.picture, prompts.count()),
        [view = view(), prompts, choice](const Call& call) {
          return declip::masks_at(
              *view->model, view->image, prompts, choice, call);
        }};
  });
}

Napi::Value MaskViewHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
