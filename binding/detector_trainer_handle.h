#pragma once

#include <napi.h>

#include <memory>

#include "declip/train_detector.h"

namespace declip {

/// JS handle on a detector in training. Its jobs run one after the other on the
/// inference thread, as a DetectorTrainer needs; towerMaps() alone runs beside
/// them.
class DetectorTrainerHandle : public Napi::ObjectWrap<DetectorTrainerHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DetectorTrainerHandle(const Napi::CallbackInfo& info);
  ~DetectorTrainerHandle() override;

  /// createDetectorTrainer(options): reads the checkpoint and makes one.
  static Napi::Value create(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value tower_maps(const Napi::CallbackInfo& info);
  Napi::Value any_rank(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value export_checkpoint(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  const std::shared_ptr<DetectorTrainer>& trainer() const;
  void release(Napi::Env env);

  std::shared_ptr<DetectorTrainer> trainer_;
  int64_t reported_bytes_ = 0;  // what V8 was told about
};

}  // namespace declip
