#include "convert.h"

#include <array>
#include <cmath>

#include "declip/error.h"
#include "model_handle.h"
#include "tensor_handle.h"

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

Error wrong(const char* key, const char* expected) {
  return Error(ErrorCode::kInvalidArg,
               std::string(key) + " must be " + expected + ".");
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

Napi::Array to_js(Napi::Env env, const std::array<double, 3>& values) {
  auto array = Napi::Array::New(env, 3);
  for (uint32_t i = 0; i < 3; ++i) array.Set(i, values[i]);
  return array;
}

template <class T>
Napi::Value or_null(Napi::Env env, const std::optional<T>& value) {
  if (!value) return env.Null();
  return Napi::Value::From(env, *value);
}

const char* activation_name(Activation a) {
  return a == Activation::kGelu ? "gelu" : "quick_gelu";
}

std::optional<Activation> find_activation(const Napi::Object& o,
                                          const char* key) {
  if (o.Get(key).IsUndefined()) return {};
  const auto name = get_string(o, key);
  if (name == "gelu") return Activation::kGelu;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  throw wrong(key, "'quick_gelu' or 'gelu'");
}

}  // namespace

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

std::string get_string(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsString()) throw wrong(key, "a string");
  return value.As<Napi::String>();
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

Napi::Object get_object(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsObject()) throw wrong(key, "an object");
  return value.As<Napi::Object>();
}

Napi::Object options_of(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsObject()) {
    throw Error(ErrorCode::kInvalidArg, "An options object was expected.");
  }
  return info[0].As<Napi::Object>();
}

ConfigOverrides to_overrides(const Napi::Object& config) {
  ConfigOverrides overrides;
  if (!config.Get("name").IsUndefined()) {
    overrides.name = get_string(config, "name");
  }
  if (!config.Get("headWidth").IsUndefined()) {
    overrides.head_width = get_integer(config, "headWidth");
  }
  if (!config.Get("textHeads").IsUndefined()) {
    overrides.text_heads = get_integer(config, "textHeads");
  }
  overrides.activation = find_activation(config, "activation");
  overrides.text_activation = find_activation(config, "textActivation");
  overrides.layer_norm_eps = find_number(config, "layerNormEps");
  if (!config.Get("mean").IsUndefined()) {
    overrides.pixels =
        PixelStats{get_triple(config, "mean"), get_triple(config, "std")};
  }
  return overrides;
}

DenseOptions to_dense(const Napi::Object& o) {
  DenseOptions dense;
  dense.mode = dense_mode_from(get_string(o, "mode"));
  if (!o.Get("positions").IsUndefined()) {
    dense.scale_factor_positions = get_string(o, "positions") == "scale-factor";
  }
  dense.residual = find_bool(o, "residual");
  dense.feed_forward = find_bool(o, "feedForward");
  dense.layers = get_integers(o, "layers");
  dense.self_attention = find_bool(o, "selfAttention").value_or(true);
  dense.gaussian_std = find_number(o, "gaussianStd").value_or(5.0);
  dense.neighbours_only = find_bool(o, "neighboursOnly").value_or(false);
  const auto features = o.Get("proxyFeatures");
  if (!features.IsUndefined())
    dense.proxy_features = TensorHandle::from(features);
  const auto model = o.Get("proxyModel");
  if (!model.IsUndefined()) dense.proxy_model = ModelHandle::from(model);
  dense.proxy_beta = find_number(o, "proxyBeta").value_or(1.2);
  dense.proxy_gamma = find_number(o, "proxyGamma").value_or(3.0);
  return dense;
}

RegionOptions to_regions(const Napi::Object& o) {
  RegionOptions regions;
  regions.dense = to_dense(o);
  regions.normalize = get_bool(o, "normalize");
  regions.normalize_before_pooling = find_bool(o, "normalizeBeforePooling");
  regions.padded_masks = find_bool(o, "padded").value_or(false);
  regions.image_index = get_integers(o, "imageIndex");
  return regions;
}

EncodeOptions to_encode(const Napi::Object& pipeline) {
  EncodeOptions options;
  options.dense = to_dense(get_object(pipeline, "dense"));
  options.short_side = get_integer(pipeline, "shortSide");
  options.window = get_integer(pipeline, "window");
  options.stride = get_integer(pipeline, "stride");
  options.pad_to = get_integer(pipeline, "padTo");
  options.augment = get_bool(pipeline, "augment");
  options.augment_weight = get_number(pipeline, "augmentWeight");
  return options;
}

PostOptions to_post(const Napi::Object& o) {
  PostOptions post;
  post.logit_scale = get_number(o, "logitScale");
  post.pamr_iterations = get_integer(o, "pamrIterations");
  post.pamr_dilations = get_integers(o, "pamrDilations");
  post.prob_threshold = get_number(o, "probThreshold");
  post.area_threshold = get_number(o, "areaThreshold");
  post.closing = get_bool(o, "closing");
  post.background = get_integer(o, "background");
  post.logits = get_bool(o, "logits");
  post.probabilities = get_bool(o, "probabilities");
  return post;
}

std::vector<uint8_t> copy_pixels(const Napi::Object& o,
                                 int64_t width,
                                 int64_t height) {
  const auto value = o.Get("pixels");
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw wrong("pixels", "a Uint8Array");
  }
  const auto bytes = value.As<Napi::Uint8Array>();
  constexpr int64_t kMaxSide = 1 << 20;
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      static_cast<int64_t>(bytes.ByteLength()) != width * height * 3) {
    throw wrong("pixels", "width * height * 3 bytes of RGB");
  }
  return {bytes.Data(), bytes.Data() + bytes.ByteLength()};
}

Picture to_picture(const Napi::Object& o) {
  Picture picture;
  if (!o.Get("tensor").IsUndefined()) {
    picture.normalised = TensorHandle::from(o.Get("tensor"));
    return picture;
  }
  picture.width = get_integer(o, "width");
  picture.height = get_integer(o, "height");
  picture.rgb = copy_pixels(o, picture.width, picture.height);
  return picture;
}

Napi::Object to_js(Napi::Env env, const CheckpointInfo& info) {
  auto o = Napi::Object::New(env);
  const auto& vision = info.config.vision;
  const bool swiglu =
      info.config.family == Family::kEva || info.config.foundation.gated_mlp;
  o.Set("path", info.path);
  o.Set("format", info.format);
  o.Set("family", family_name(info.config.family));
  o.Set("imageSize", static_cast<double>(vision.image_size));
  o.Set("patchSize", static_cast<double>(vision.patch));
  o.Set("embedDim", static_cast<double>(vision.embed_dim));
  auto tower = Napi::Object::New(env);
  tower.Set("width", static_cast<double>(vision.width));
  tower.Set("layers", static_cast<double>(vision.layers));
  tower.Set("heads", static_cast<double>(vision.heads));
  tower.Set("mlp", static_cast<double>(vision.mlp_hidden));
  tower.Set("activation",
            swiglu ? "swiglu" : activation_name(vision.activation));
  o.Set("vision", tower);
  if (info.config.text) {
    const auto& text = *info.config.text;
    auto t = Napi::Object::New(env);
    t.Set("width", static_cast<double>(text.width));
    t.Set("layers", static_cast<double>(text.layers));
    t.Set("heads", static_cast<double>(text.heads));
    t.Set("contextLength", static_cast<double>(text.context));
    t.Set("vocab", static_cast<double>(text.vocab));
    t.Set("activation", activation_name(text.activation));
    o.Set("text", t);
  } else {
    o.Set("text", env.Null());
  }
  o.Set("mean", to_js(env, info.config.pixels.mean));
  o.Set("std", to_js(env, info.config.pixels.std));
  o.Set("storedDtype", info.stored_dtype);
  o.Set("parameters", static_cast<double>(info.parameters));
  o.Set("tensors", static_cast<double>(info.tensors));
  o.Set("logitScale", or_null(env, info.logit_scale));
  o.Set("epoch",
        info.epoch ? Napi::Value::From(env, static_cast<double>(*info.epoch))
                   : env.Null());
  o.Set("denseMode", or_null(env, info.dense_mode));
  o.Set("license", or_null(env, info.license));
  auto notes = Napi::Array::New(env);
  for (const auto& note : info.notes) notes.Set(notes.Length(), note);
  o.Set("notes", notes);
  return o;
}

Napi::Object to_js(Napi::Env env,
                   const Segmentation& result,
                   double encode_ms,
                   double pixels_ms) {
  const auto tensor_or_null = [&](const at::Tensor& t) -> Napi::Value {
    return t.defined() ? TensorHandle::wrap(env, t) : env.Null();
  };
  auto o = Napi::Object::New(env);
  o.Set("labels", TensorHandle::wrap(env, result.labels));
  auto counts = Napi::Array::New(env, result.counts.size());
  for (uint32_t i = 0; i < result.counts.size(); ++i) {
    counts.Set(i, static_cast<double>(result.counts[i]));
  }
  o.Set("counts", counts);
  o.Set("logits", tensor_or_null(result.logits));
  o.Set("probabilities", tensor_or_null(result.probabilities));
  o.Set("encodeMs", encode_ms);
  o.Set("pixelsMs", pixels_ms);
  return o;
}

}  // namespace declip
