#pragma once

#include <napi.h>

#include "any_trainer_handle.h"
#include "declip/train_cat_seg.h"

namespace declip {

/// JS handle on a CAT-Seg in training.
class CatSegTrainerHandle
    : public AnyTrainerHandle<CatSegTrainerHandle, CatSegTrainer> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CatSegTrainerHandle(const Napi::CallbackInfo& info)
      : AnyTrainerHandle(info, "createCatSegTrainer") {}

  /// createCatSegTrainer(options): reads the checkpoint and makes one.
  static Napi::Value create(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value export_checkpoint(const Napi::CallbackInfo& info);
};

}  // namespace declip
