#pragma once

#include <napi.h>

#include <chrono>
#include <memory>

#include "declip/encoded_image.h"

namespace declip {

/// JS handle on an encoded picture.
class ViewHandle : public Napi::ObjectWrap<ViewHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ViewHandle(const Napi::CallbackInfo& info);
  ~ViewHandle() override;

 private:
  Napi::Value segment(const Napi::CallbackInfo& info);
  Napi::Value similarity(const Napi::CallbackInfo& info);
  Napi::Value peaks(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<const EncodedImage> view() const;
  void release(Napi::Env env);

  std::shared_ptr<const EncodedImage> view_;
};

Napi::Value to_js(Napi::Env env,
                  const std::shared_ptr<const EncodedImage>& view);

/// Milliseconds since `start`.
double elapsed_ms(std::chrono::steady_clock::time_point start);

}  // namespace declip
