#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "declip/detector.h"
#include "declip/job_size.h"
#include "declip/model.h"

namespace declip {

/// A picture that a detector has seen, and the model whose heads answer words
/// on it.
struct SeenPicture {
  std::shared_ptr<const Model> model;
  DetectorView view;
};

/// JS handle on one.
class DetectorViewHandle : public Napi::ObjectWrap<DetectorViewHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DetectorViewHandle(const Napi::CallbackInfo& info);
  ~DetectorViewHandle() override;

 private:
  Napi::Value detect(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<const SeenPicture> seen() const;
  void release(Napi::Env env);

  std::shared_ptr<const SeenPicture> seen_;
  int64_t reported_bytes_ = 0;  // what V8 was told about
};

Napi::Value to_js(Napi::Env env,
                  const std::shared_ptr<const SeenPicture>& seen);

/// The words that a detector stores, the background last; undefined: none.
struct StoredWords {
  at::Tensor rows;
};
/// A tensor handle or null.
Napi::Value to_js(Napi::Env env, const StoredWords& words);

/// Fields of NativeDetectorInput.
DetectorInput to_detector_input(const Napi::Object& o);

/// Detector::encode() of a picture that is fitted into the network's square.
JobSize size_of_seeing(const Model& model,
                       const at::Tensor& pixels,
                       const DetectorInput& input);

}  // namespace declip
