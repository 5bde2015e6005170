#include "view_handle.h"

#include <chrono>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "model_options.h"
#include "queued.h"

namespace declip {

double elapsed_ms(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

ViewHandle::ViewHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ViewHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(env, "Views are made with model.encode().");
  }
  view_ =
      *info[0].As<Napi::External<std::shared_ptr<const EncodedImage>>>().Data();
  const auto number = [&](const char* name, int64_t value) {
    return Napi::PropertyDescriptor::Value(
        name,
        Napi::Number::New(env, static_cast<double>(value)),
        napi_enumerable);
  };
  info.This().As<Napi::Object>().DefineProperties(
      {number("width", view_->width()),
       number("height", view_->height()),
       number("windows", view_->windows()),
       number("byteLength", view_->bytes())});
  Napi::MemoryManagement::AdjustExternalMemory(env, view_->bytes());
}

ViewHandle::~ViewHandle() { release(Env()); }

void ViewHandle::release(Napi::Env env) {
  if (!view_) return;
  const auto bytes = view_->bytes();
  view_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

Napi::Function ViewHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeView",
                     {InstanceMethod("segment", &ViewHandle::segment),
                      InstanceMethod("similarity", &ViewHandle::similarity),
                      InstanceMethod("peaks", &ViewHandle::peaks),
                      InstanceMethod("dispose", &ViewHandle::dispose)});
}

Napi::Value to_js(Napi::Env env,
                  const std::shared_ptr<const EncodedImage>& view) {
  auto held = view;
  return addon_data(env).view.New(
      {Napi::External<std::shared_ptr<const EncodedImage>>::New(env, &held)});
}

std::shared_ptr<const EncodedImage> ViewHandle::view() const {
  if (!view_) throw Error(ErrorCode::kDisposed, "This view was disposed.");
  return view_;
}

Napi::Value ViewHandle::segment(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto words = get_integers(o, "wordClass");
    const auto post = to_post(get_object(o, "post"));
    const auto planes = static_cast<int64_t>(words.size());
    return Sized{
        size_of_query(*view(), planes) +
            size_of_labels({view()->height(), view()->width()}, planes, post),
        [view = view(), text = to_words(o), words, post](const Call& call) {
          TimedSegmentation out;
          const auto start = std::chrono::steady_clock::now();
          out.result = view->segment(text, words, post, call);
          out.pixels_ms = elapsed_ms(start);
          return out;
        }};
  });
}

Napi::Value ViewHandle::similarity(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto text = get_tensor(o, "text");
    const int64_t planes = text.dim() > 0 ? text.size(0) : 0;
    PostOptions plain;
    plain.logits = true;  // a plane per text stays
    return Sized{
        size_of_query(*view(), planes) +
            size_of_labels({view()->height(), view()->width()}, planes, plain),
        [view = view(), text](const Call& call) {
          return view->similarity(text, call);
        }};
  });
}

/// Flat: text, x, y and score of each.
static Napi::Value to_js(Napi::Env env, const std::vector<Peak>& peaks) {
  auto array = Napi::Float64Array::New(env, 4 * peaks.size());
  for (size_t i = 0; i < peaks.size(); ++i) {
    array[4 * i] = static_cast<double>(peaks[i].text);
    array[4 * i + 1] = peaks[i].x;
    array[4 * i + 2] = peaks[i].y;
    array[4 * i + 3] = peaks[i].score;
  }
  return array;
}

Napi::Value ViewHandle::peaks(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto text = get_tensor(o, "text");
    PeakOptions options;
    options.limit = get_integer(o, "limit");
    options.min_score = get_number(o, "minScore");
    options.min_distance = find_number(o, "minDistance").value_or(-1);
    return Sized{size_of_query(*view(), text.dim() > 0 ? text.size(0) : 0),
                 [view = view(), text, options](const Call& call) {
                   return view->peaks(text, options, call);
                 }};
  });
}

Napi::Value ViewHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
