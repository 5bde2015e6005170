#pragma once

#include <napi.h>

#include <memory>

#include "declip/train.h"

namespace declip {

/// JS handle on a model in training. Its jobs run one after the other on the
/// inference thread, which is what a Trainer needs.
class TrainerHandle : public Napi::ObjectWrap<TrainerHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TrainerHandle(const Napi::CallbackInfo& info);
  ~TrainerHandle() override;

  /// createTrainer(options): reads the checkpoints and makes one.
  static Napi::Value create(const Napi::CallbackInfo& info);
  /// createCheckpoint(options): writes a model that has learnt nothing.
  static Napi::Value create_checkpoint(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value any_rank(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value export_checkpoint(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  const std::shared_ptr<Trainer>& trainer() const;
  void release(Napi::Env env);

  std::shared_ptr<Trainer> trainer_;
  int64_t reported_bytes_ = 0;  // what V8 was told about
};

Napi::Value to_js(Napi::Env env, const std::shared_ptr<Trainer>& trainer);
Napi::Value to_js(Napi::Env env, const TrainStep& step);

}  // namespace declip
