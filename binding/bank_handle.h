#pragma once

#include <napi.h>

#include <memory>

#include "declip/bank.h"

namespace declip {

/// JS handle on a bank of regions.
class BankHandle : public Napi::ObjectWrap<BankHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  /// Throws Error(kInvalidArg) for anything else.
  static std::shared_ptr<const Bank> from(const Napi::Value& value);
  static Napi::Value open(const Napi::CallbackInfo& info);
  static Napi::Value from_rows(const Napi::CallbackInfo& info);
  static Napi::Value add(const Napi::CallbackInfo& info);
  explicit BankHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value search(const Napi::CallbackInfo& info);
  Napi::Value pictures(const Napi::CallbackInfo& info);
  Napi::Value rows(const Napi::CallbackInfo& info);
  Napi::Value verify(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<const Bank> bank() const;

  std::shared_ptr<const Bank> bank_;
};

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const Bank>& bank);
Napi::Value to_js(Napi::Env env, const PictureRows& rows);

}  // namespace declip
