#pragma once

#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "declip/error.h"
#include "queued.h"

namespace declip {

/// What JS handles on a model in training have alike: its names, how it is
/// saved, loaded and let go. Its jobs run one after the other on the inference
/// thread, which is what a trainer needs.
///
/// Handle   the class itself, which adds step()
/// Trainer  of the core
template <class Handle, class Trainer>
class AnyTrainerHandle : public Napi::ObjectWrap<Handle> {
 public:
  ~AnyTrainerHandle() override { release(this->Env()); }

 protected:
  /// `maker` is the function of the addon that calls it.
  AnyTrainerHandle(const Napi::CallbackInfo& info, const char* maker)
      : Napi::ObjectWrap<Handle>(info) {
    const auto env = info.Env();
    if (info.Length() != 1 || !info[0].IsExternal()) {
      throw Napi::TypeError::New(
          env, std::string("These trainers are made with ") + maker + "().");
    }
    using Held = std::shared_ptr<Trainer>;
    trainer_ = *info[0].template As<Napi::External<Held>>().Data();
    const auto names = trainer_->trainable();
    auto trainable = Napi::Array::New(env, names.size());
    for (uint32_t i = 0; i < names.size(); ++i) trainable.Set(i, names[i]);
    info.This().As<Napi::Object>().DefineProperty(
        Napi::PropertyDescriptor::Value(
            "trainable", trainable, napi_enumerable));
    reported_bytes_ = trainer_->bytes();
    Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
  }

  using Method = Napi::Value (Handle::*)(const Napi::CallbackInfo&);

  /// The class with the methods below and `more`.
  static Napi::Function define_as(
      Napi::Env env,
      const char* name,
      std::initializer_list<std::pair<const char*, Method>> more) {
    std::vector<Napi::ClassPropertyDescriptor<Handle>> methods;
    const auto add = [&](const char* method, Method call) {
      methods.push_back(Napi::ObjectWrap<Handle>::InstanceMethod(method, call));
    };
    for (const auto& [method, call] : more) add(method, call);
    add("anyRank", static_cast<Method>(&AnyTrainerHandle::any_rank));
    add("save", static_cast<Method>(&AnyTrainerHandle::save));
    add("load", static_cast<Method>(&AnyTrainerHandle::load));
    add("dispose", static_cast<Method>(&AnyTrainerHandle::dispose));
    return Napi::ObjectWrap<Handle>::DefineClass(env, name, methods);
  }

  const std::shared_ptr<Trainer>& trainer() const {
    if (!trainer_) {
      throw Error(ErrorCode::kDisposed, "This trainer was disposed.");
    }
    return trainer_;
  }

 public:  // what JavaScript calls
  Napi::Value any_rank(const Napi::CallbackInfo& info) {
    return queued(info, [this](const Napi::Object& o) {
      return [trainer = trainer(), value = get_bool(o, "value")](
                 const Call& call) { return trainer->any_rank(value, call); };
    });
  }
  Napi::Value save(const Napi::CallbackInfo& info) {
    return queued(info, [this](const Napi::Object& o) {
      return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
        trainer->save(path);
      };
    });
  }
  Napi::Value load(const Napi::CallbackInfo& info) {
    return queued(info, [this](const Napi::Object& o) {
      return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
        trainer->load(path);
        return trainer->step_count();
      };
    });
  }
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    release(info.Env());
    return info.Env().Undefined();
  }

 private:
  void release(Napi::Env env) {
    if (!trainer_) return;
    trainer_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
  }

  std::shared_ptr<Trainer> trainer_;
  int64_t reported_bytes_ = 0;  // what V8 was told about
};

}  // namespace declip
