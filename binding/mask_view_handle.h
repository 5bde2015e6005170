#pragma once

#include <napi.h>

#include <memory>

#include "declip/mask_decoder.h"
#include "declip/model.h"

namespace declip {

/// A picture that SAM has seen, and the model that answers prompts on it.
struct MaskView {
  std::shared_ptr<const Model> model;
  SamImage image;
};

/// JS handle on one.
class MaskViewHandle : public Napi::ObjectWrap<MaskViewHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit MaskViewHandle(const Napi::CallbackInfo& info);
  ~MaskViewHandle() override;

 private:
  Napi::Value masks_at(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<const MaskView> view() const;
  void release(Napi::Env env);

  std::shared_ptr<const MaskView> view_;
};

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const MaskView>& view);

}  // namespace declip
