#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

namespace declip {

/// JS handle on a tensor. `shape`, `dtype` and `device` are plain properties,
/// set once.
class TensorHandle : public Napi::ObjectWrap<TensorHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TensorHandle(const Napi::CallbackInfo& info);
  ~TensorHandle() override;

  static Napi::Value wrap(Napi::Env env, const at::Tensor& tensor);
  /// The tensor behind a handle. Throws Error(kInvalidArg) for anything else
  /// and Error(kDisposed) after dispose().
  static at::Tensor from(const Napi::Value& value);
  /// tensor(typedArray, shape, dtype): copies.
  static Napi::Value create(const Napi::CallbackInfo& info);
  /// pooledTensor(typedArray, shape, dtype): the same into memory of the pool
  /// of activations, for what is used by a job and disposed: fresh pages cost
  /// more than the copy.
  static Napi::Value create_pooled(const Napi::CallbackInfo& info);

 private:
  Napi::Value data(const Napi::CallbackInfo& info);
  Napi::Value slice(const Napi::CallbackInfo& info);
  Napi::Value reshape(const Napi::CallbackInfo& info);
  Napi::Value to(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  const at::Tensor& tensor() const;
  void release(Napi::Env env);

  at::Tensor tensor_;
  int64_t reported_bytes_ = 0;  // what V8 was told about
};

}  // namespace declip
