#include "read_options.h"

#include <ATen/ops/from_blob.h>

#include <cmath>

#include "tensor_handle.h"

namespace declip {

Error wrong(const char* key, const char* expected) {
  return Error(ErrorCode::kInvalidArg,
               std::string(key) + " must be " + expected + ".");
}

Napi::Object options_of(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsObject()) {
    throw Error(ErrorCode::kInvalidArg, "An options object was expected.");
  }
  return info[0].As<Napi::Object>();
}

std::string get_string(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsString()) throw wrong(key, "a string");
  return value.As<Napi::String>();
}

std::optional<std::string> find_string(const Napi::Object& o, const char* key) {
  if (o.Get(key).IsUndefined()) return {};
  return get_string(o, key);
}

std::optional<double> find_number(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (value.IsUndefined() || value.IsNull()) return {};
  if (!value.IsNumber()) throw wrong(key, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

double get_number(const Napi::Object& o, const char* key) {
  const auto value = find_number(o, key);
  if (!value) throw wrong(key, "a number");
  return *value;
}

int64_t get_integer(const Napi::Object& o, const char* key) {
  const double value = get_number(o, key);
  if (!(std::abs(value) <= 9007199254740991.0) || value != std::floor(value)) {
    throw wrong(key, "a whole number");
  }
  return static_cast<int64_t>(value);
}

std::optional<int64_t> find_integer(const Napi::Object& o, const char* key) {
  if (o.Get(key).IsUndefined()) return {};
  return get_integer(o, key);
}

bool get_bool(const Napi::Object& o, const char* key) {
  const auto value = find_bool(o, key);
  if (!value) throw wrong(key, "true or false");
  return *value;
}

std::optional<bool> find_bool(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (value.IsUndefined()) return {};
  if (!value.IsBoolean()) throw wrong(key, "true or false");
  return value.As<Napi::Boolean>().Value();
}

std::array<double, 3> get_triple(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsArray() || value.As<Napi::Array>().Length() != 3) {
    throw wrong(key, "three numbers");
  }
  std::array<double, 3> triple{};
  for (uint32_t i = 0; i < 3; ++i) {
    triple[i] = value.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
  }
  return triple;
}

std::vector<int64_t> get_integers(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  std::vector<int64_t> numbers;
  if (value.IsUndefined()) return numbers;
  if (value.IsTypedArray() &&
      value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array) {
    const auto array = value.As<Napi::Int32Array>();
    numbers.assign(array.Data(), array.Data() + array.ElementLength());
    return numbers;
  }
  if (!value.IsArray()) throw wrong(key, "an array of whole numbers");
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const double number = array.Get(i).ToNumber().DoubleValue();
    if (!(std::abs(number) <= 9007199254740991.0) ||
        number != std::floor(number)) {
      throw wrong(key, "an array of whole numbers");
    }
    numbers.push_back(static_cast<int64_t>(number));
  }
  return numbers;
}

std::vector<PixelBox> get_boxes(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw wrong(key, "a Float64Array");
  }
  const auto numbers = value.As<Napi::Float64Array>();
  std::vector<PixelBox> boxes;
  for (size_t i = 0; i + 4 <= numbers.ElementLength(); i += 4) {
    boxes.push_back(
        {numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  }
  return boxes;
}

Napi::Object get_object(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsObject()) throw wrong(key, "an object");
  return value.As<Napi::Object>();
}

at::Tensor get_tensor(const Napi::Object& o, const char* key) {
  return TensorHandle::from(o.Get(key));
}

at::Tensor find_tensor(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  return value.IsUndefined() ? at::Tensor() : TensorHandle::from(value);
}

at::Tensor get_pixels(const Napi::Object& o) {
  const auto value = o.Get("pixels");
  if (!value.IsTypedArray()) {
    const auto pixels = TensorHandle::from(value);
    if (pixels.dim() != 3 || pixels.scalar_type() != at::kByte ||
        !pixels.is_cpu()) {
      throw wrong("pixels", "a uint8 tensor [H, W, C] on the CPU");
    }
    return pixels;
  }
  if (value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw wrong("pixels", "a Uint8Array");
  }
  const auto bytes = value.As<Napi::Uint8Array>();
  const int64_t width = get_integer(o, "width");
  const int64_t height = get_integer(o, "height");
  constexpr int64_t kMaxSide = 1 << 20;
  const auto length = static_cast<int64_t>(bytes.ByteLength());
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      length % (width * height) != 0) {
    throw wrong("pixels", "width * height * channels bytes");
  }
  return at::from_blob(const_cast<uint8_t*>(bytes.Data()),
                       {height, width, length / (width * height)},
                       at::TensorOptions().dtype(at::kByte));
}

std::vector<std::string> get_texts(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsArray()) throw wrong(key, "an array of texts");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsString()) throw wrong(key, "an array of texts");
    out.push_back(item.As<Napi::String>().Utf8Value());
  }
  return out;
}

}  // namespace declip
