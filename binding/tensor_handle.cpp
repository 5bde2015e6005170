#include "tensor_handle.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <string>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "declip/memory.h"
#include "declip/runtime.h"
#include "queued.h"
#include "wrap.h"

namespace declip {
namespace {

struct DType {
  at::ScalarType type;
  const char* name;
};

constexpr std::array<DType, 8> kDTypes{{{at::kFloat, "float32"},
                                        {at::kHalf, "float16"},
                                        {at::kBFloat16, "bfloat16"},
                                        {at::kByte, "uint8"},
                                        {at::kUInt16, "uint16"},
                                        {at::kInt, "int32"},
                                        {at::kLong, "int64"},
                                        {at::kBool, "bool"}}};

const char* dtype_name(at::ScalarType type) {
  for (const auto& d : kDTypes) {
    if (d.type == type) return d.name;
  }
  throw Error(ErrorCode::kInvalidArg,
              std::string("The element type ") + at::toString(type) +
                  " has no JavaScript form.");
}

at::ScalarType dtype_from(const std::string& name) {
  for (const auto& d : kDTypes) {
    if (name == d.name) return d.type;
  }
  throw Error(ErrorCode::kInvalidArg, "Unknown dtype '" + name + "'.");
}

constexpr napi_type_tag kTensorTag{0x1c7be0a94f3d4822, 0xb05d93e1a6c87f34};

/// A tensor as bytes JS can hold: on the CPU, contiguous, half types widened.
at::Tensor readable(const at::Tensor& t) {
  const bool half =
      t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16;
  return t.to(at::kCPU, half ? at::kFloat : t.scalar_type()).contiguous();
}

Napi::Value copy_out(Napi::Env env, const at::Tensor& t) {
  auto buffer = Napi::ArrayBuffer::New(env, t.nbytes());
  if (t.nbytes() > 0)
    std::memcpy(buffer.Data(), t.const_data_ptr(), t.nbytes());
  return buffer;
}

struct Shape {
  std::vector<int64_t> sizes;
  int64_t elements = 1;
};

Shape shape_of(const Napi::Array& array) {
  Shape shape;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    shape.sizes.push_back(array.Get(i).ToNumber().Int64Value());
    if (shape.sizes.back() < 0 ||
        __builtin_mul_overflow(
            shape.elements, shape.sizes.back(), &shape.elements)) {
      throw Error(ErrorCode::kInvalidArg, "The shape is out of range.");
    }
  }
  return shape;
}

}  // namespace

TensorHandle::TensorHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TensorHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(env, "Tensors are made with Tensor.from().");
  }
  tensor_ = *info[0].As<Napi::External<at::Tensor>>().Data();
  auto self = info.This().As<Napi::Object>();
  self.TypeTag(&kTensorTag);
  auto shape = Napi::Array::New(env, tensor_.dim());
  for (int64_t i = 0; i < tensor_.dim(); ++i) {
    shape.Set(static_cast<uint32_t>(i), static_cast<double>(tensor_.size(i)));
  }
  self.DefineProperties(
      {Napi::PropertyDescriptor::Value("shape", shape, napi_enumerable),
       Napi::PropertyDescriptor::Value(
           "dtype",
           Napi::String::New(env, dtype_name(tensor_.scalar_type())),
           napi_enumerable),
       Napi::PropertyDescriptor::Value(
           "device",
           Napi::String::New(env, tensor_.device().str()),
           napi_enumerable)});
  reported_bytes_ = static_cast<int64_t>(tensor_.nbytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
}

TensorHandle::~TensorHandle() { release(Env()); }

void TensorHandle::release(Napi::Env env) {
  if (!tensor_.defined()) return;
  tensor_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
}

Napi::Function TensorHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeTensor",
                     {InstanceMethod("data", &TensorHandle::data),
                      InstanceMethod("slice", &TensorHandle::slice),
                      InstanceMethod("reshape", &TensorHandle::reshape),
                      InstanceMethod("to", &TensorHandle::to),
                      InstanceMethod("dispose", &TensorHandle::dispose)});
}

Napi::Value TensorHandle::wrap(Napi::Env env, const at::Tensor& tensor) {
  auto held = tensor;
  return addon_data(env).tensor.New(
      {Napi::External<at::Tensor>::New(env, &held)});
}

const at::Tensor& TensorHandle::tensor() const {
  if (!tensor_.defined()) {
    throw Error(ErrorCode::kDisposed, "This tensor was disposed.");
  }
  return tensor_;
}

at::Tensor TensorHandle::from(const Napi::Value& value) {
  const auto* handle = unwrap_tagged<TensorHandle>(value, kTensorTag);
  if (!handle) throw Error(ErrorCode::kInvalidArg, "A Tensor was expected.");
  return handle->tensor();
}

Napi::Value TensorHandle::create(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (info.Length() != 3 || !info[0].IsTypedArray() || !info[1].IsArray() ||
        !info[2].IsString()) {
      throw Error(ErrorCode::kInvalidArg,
                  "Expected a typed array, a shape and a dtype.");
    }
    const auto [shape, elements] = shape_of(info[1].As<Napi::Array>());
    const auto array = info[0].As<Napi::TypedArray>();
    const auto type = dtype_from(info[2].As<Napi::String>());
    const auto bytes = static_cast<int64_t>(array.ByteLength());
    const auto size = static_cast<int64_t>(c10::elementSize(type));
    if (bytes % size != 0 || bytes / size != elements) {
      throw Error(ErrorCode::kInvalidArg,
                  "The shape needs " + std::to_string(elements) +
                      " elements, the array has " +
                      std::to_string(bytes / size) + ".");
    }
    const auto tensor = at::empty(shape, at::TensorOptions().dtype(type));
    if (bytes > 0) {
      std::memcpy(tensor.mutable_data_ptr(),
                  static_cast<const uint8_t*>(array.ArrayBuffer().Data()) +
                      array.ByteOffset(),
                  static_cast<size_t>(bytes));
    }
    return wrap(env, tensor);
  });
}

Napi::Value TensorHandle::create_pooled(const Napi::CallbackInfo& info) {
  const MemoryScope pooled;
  return create(info);
}

Napi::Value TensorHandle::data(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto t = tensor();
    const bool plain = t.device().is_cpu() && t.is_contiguous() &&
                       t.scalar_type() != at::kHalf &&
                       t.scalar_type() != at::kBFloat16;
    if (plain) {  // nothing to compute: don't wait behind running jobs
      auto deferred = Napi::Promise::Deferred::New(env);
      deferred.Resolve(copy_out(env, t));
      return deferred.Promise();
    }
    return addon_data(env).mailbox->submit(
        env,
        Napi::Object::New(env),
        [t](const Call&) -> Finish {
          return
              [bytes = readable(t)](Napi::Env e) { return copy_out(e, bytes); };
        },
        size_of_conversion(t));
  });
}

Napi::Value TensorHandle::slice(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& t = tensor();
    const auto number = [&](size_t i) {
      return info.Length() > i ? info[i].ToNumber().Int64Value() : -1;
    };
    const int64_t dim = number(0), start = number(1), end = number(2);
    if (dim < 0 || dim >= t.dim() || start < 0 || end < start ||
        end > t.size(dim)) {
      throw Error(ErrorCode::kInvalidArg,
                  "slice(dim, start, end) is out of range for this tensor.");
    }
    return wrap(info.Env(), t.slice(dim, start, end));
  });
}

Napi::Value TensorHandle::reshape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& t = tensor();
    if (info.Length() != 1 || !info[0].IsArray()) {
      throw Error(ErrorCode::kInvalidArg, "A shape was expected.");
    }
    const auto [sizes, elements] = shape_of(info[0].As<Napi::Array>());
    if (elements != t.numel()) {
      throw Error(ErrorCode::kInvalidArg,
                  "The shape does not fit the number of elements.");
    }
    return wrap(info.Env(), t.reshape(sizes));
  });
}

Napi::Value TensorHandle::to(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto dtype = find_string(o, "dtype");
    const auto device = find_string(o, "device");
    return Sized{size_of_conversion(tensor()),
                 [t = tensor(),
                  type = dtype ? dtype_from(*dtype) : tensor().scalar_type(),
                  place = device ? device_from(*device) : tensor().device()](
                     const Call&) { return t.to(place, type); }};
  });
}

Napi::Value TensorHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
