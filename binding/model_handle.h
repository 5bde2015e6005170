#pragma once

#include <napi.h>

#include <memory>

#include "declip/model.h"

namespace declip {

/// JS handle on a loaded model. A call in flight holds its own share, so that
/// dispose() lets it finish and frees the weights after it.
class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelHandle(const Napi::CallbackInfo& info);
  ~ModelHandle() override;

  /// The model behind a JS value; throws Error(kInvalidArg) if it is none,
  /// Error(kDisposed) if it is gone.
  static std::shared_ptr<const Model> from(const Napi::Value& value);

  /// loadModel({path, config, device, dtype}).
  static Napi::Value load(const Napi::CallbackInfo& info);

 private:
  Napi::Value encode_text(const Napi::CallbackInfo& info);
  Napi::Value encode_words(const Napi::CallbackInfo& info);
  Napi::Value preprocess(const Napi::CallbackInfo& info);
  Napi::Value encode_image(const Napi::CallbackInfo& info);
  Napi::Value encode_dense(const Napi::CallbackInfo& info);
  Napi::Value encode_region_map(const Napi::CallbackInfo& info);
  Napi::Value encode_crops(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value segment(const Napi::CallbackInfo& info);
  Napi::Value generate_masks(const Napi::CallbackInfo& info);
  Napi::Value encode_for_masks(const Napi::CallbackInfo& info);
  Napi::Value encode_for_detection(const Napi::CallbackInfo& info);
  Napi::Value detector_words(const Napi::CallbackInfo& info);
  Napi::Value picture_rows(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<const Model> model() const;
  void release(Napi::Env env);

  std::shared_ptr<const Model> model_;
};

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const Model>& model);

}  // namespace declip
