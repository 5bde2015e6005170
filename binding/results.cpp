#include "results.h"

#include <algorithm>
#include <array>
#include <optional>

#include "tensor_handle.h"

namespace declip {
namespace {

Napi::Array triple(Napi::Env env, const std::array<double, 3>& values) {
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
  switch (a) {
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_tanh";
    case Activation::kRelu:
      return "relu";
    default:
      return "quick_gelu";
  }
}

Napi::Array numbers(Napi::Env env, const std::vector<int64_t>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) {
    array.Set(i, static_cast<double>(values[i]));
  }
  return array;
}

std::optional<std::string> tokenizer_name(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::kOpenAi:
      return "openai";
    case TokenizerKind::kOpenClip:
      return "open_clip";
    case TokenizerKind::kFolder:
      return "folder";
    case TokenizerKind::kSiglip:
      return "siglip";
    case TokenizerKind::kSiglip2:
      return "siglip2";
    case TokenizerKind::kOpenClipFolder:
      return "open_clip-folder";
    case TokenizerKind::kXlmV:
      return "xlm-v";
    case TokenizerKind::kTips:
      return "tips";
    case TokenizerKind::kNone:
      break;
  }
  return {};
}

const char* pool_name(TextPool pool) {
  switch (pool) {
    case TextPool::kFirst:
      return "first";
    case TextPool::kLast:
      return "last";
    case TextPool::kMean:
      return "mean";
    case TextPool::kEnd:
      break;
  }
  return "end";
}

Napi::Object pooling_head_to_js(Napi::Env env, const PoolingHeadConfig& head) {
  auto o = Napi::Object::New(env);
  o.Set("heads", static_cast<double>(head.heads));
  o.Set("mlp", static_cast<double>(head.mlp_hidden));
  o.Set("activation", activation_name(head.activation));
  return o;
}

Napi::Array texts(Napi::Env env, const std::vector<std::string>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array.Set(i, values[i]);
  return array;
}

Napi::Value detector_to_js(Napi::Env env, const DetectorConfig& config) {
  auto o = Napi::Object::New(env);
  o.Set("classes", static_cast<double>(config.classes));
  o.Set("names", config.names.empty() ? env.Null() : texts(env, config.names));
  o.Set("novel", config.novel.empty() ? env.Null() : texts(env, config.novel));
  o.Set("masks", config.masks);
  o.Set("rpnNorm", config.rpn_norm);
  o.Set("channels", static_cast<double>(config.channels));
  o.Set("hidden", static_cast<double>(config.hidden));
  auto strides = Napi::Array::New(env);
  for (const double stride : config.strides()) {
    strides.Set(strides.Length(), stride);
  }
  o.Set("strides", strides);
  o.Set("side", static_cast<double>(config.side));
  o.Set("blocks", numbers(env, config.blocks));
  o.Set("mode", dense_mode_name(config.mode));
  o.Set("temperature", config.temperature);
  const auto told = [&](const std::optional<double>& value) -> Napi::Value {
    return value ? Napi::Number::New(env, *value) : env.Null();
  };
  o.Set("alpha", told(config.alpha));
  o.Set("beta", told(config.beta));
  o.Set("voteTemperature", told(config.vote_temperature));
  return o;
}

Napi::Value cat_seg_to_js(Napi::Env env, const CatSegConfig& config) {
  auto o = Napi::Object::New(env);
  const auto set = [&](const char* name, int64_t value) {
    o.Set(name, static_cast<double>(value));
  };
  set("channels", config.channels);
  set("layers", config.layers);
  set("prompts", config.prompts);
  o.Set("blocks", numbers(env, config.blocks));
  o.Set("mode", dense_mode_name(config.mode));
  o.Set("unitPatches", config.unit_patches);
  set("side", config.side);
  set("canvas", config.canvas);
  set("cut", config.cut);
  set("stride", config.stride);
  set("window", config.window);
  set("heads", config.heads);
  set("wordLimit", config.word_limit);
  o.Set("prompt", config.prompt);
  o.Set("names", texts(env, config.names));
  return o;
}

const char* resize_name(Preprocess::Resize resize) {
  switch (resize) {
    case Preprocess::Resize::kNone:
      return "none";
    case Preprocess::Resize::kShortest:
      return "shortest";
    case Preprocess::Resize::kLongest:
      return "longest";
    case Preprocess::Resize::kPatches:
      return "patches";
    case Preprocess::Resize::kSquash:
      break;
  }
  return "squash";
}

Napi::Object resize_to_js(Napi::Env env,
                          const Preprocess& how,
                          int64_t image_size) {
  const auto side = [&](int64_t told) {
    return static_cast<double>(told > 0 ? told : image_size);
  };
  auto o = Napi::Object::New(env);
  o.Set("resize", resize_name(how.resize));
  o.Set("size", side(how.side));
  o.Set("crop",
        how.crop ? Napi::Value::From(env, side(how.crop_side)) : env.Null());
  o.Set("maxPatches",
        how.resize == Preprocess::Resize::kPatches
            ? Napi::Value::From(env, static_cast<double>(how.max_patches))
            : env.Null());
  o.Set("interpolation", how.bicubic ? "bicubic" : "bilinear");
  return o;
}

}  // namespace

Napi::Object to_js(Napi::Env env, const CheckpointInfo& info) {
  auto o = Napi::Object::New(env);
  const auto& vision = info.config.vision;
  o.Set("path", info.path);
  o.Set("format", info.format);
  o.Set("family", info.family);
  o.Set("textSpace", info.text_space);
  o.Set("tokenizer", or_null(env, tokenizer_name(info.tokenizer)));
  o.Set("imageSize", static_cast<double>(vision.image_size));
  o.Set("patchSize", static_cast<double>(vision.patch));
  o.Set("embedDim", static_cast<double>(vision.embed_dim));
  auto tower = Napi::Object::New(env);
  tower.Set("width", static_cast<double>(vision.width));
  tower.Set("layers", static_cast<double>(vision.layers));
  tower.Set("heads", static_cast<double>(vision.heads));
  tower.Set("mlp", static_cast<double>(vision.mlp_hidden));
  tower.Set("activation",
            info.swiglu ? "swiglu" : activation_name(vision.activation));
  tower.Set("registers", static_cast<double>(info.config.foundation.registers));
  tower.Set("poolingHead",
            info.config.pooling_head ? Napi::Value(pooling_head_to_js(
                                           env, *info.config.pooling_head))
                                     : env.Null());
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
    t.Set("causal", text.causal);
    t.Set("pool", pool_name(text.pool));
    t.Set("endToken",
          text.eot_token < 0
              ? env.Null()
              : Napi::Value::From(env, static_cast<double>(text.eot_token)));
    o.Set("text", t);
  } else {
    o.Set("text", env.Null());
  }
  o.Set("preprocess",
        resize_to_js(env, info.config.preprocess, vision.image_size));
  o.Set("mean", triple(env, info.config.pixels.mean));
  o.Set("std", triple(env, info.config.pixels.std));
  o.Set("storedDtype", info.stored_dtype);
  o.Set("parameters", static_cast<double>(info.parameters));
  o.Set("tensors", static_cast<double>(info.tensors));
  o.Set("logitScale", or_null(env, info.logit_scale));
  o.Set("logitBias", or_null(env, info.logit_bias));
  o.Set("epoch",
        info.epoch ? Napi::Value::From(env, static_cast<double>(*info.epoch))
                   : env.Null());
  o.Set("denseMode", or_null(env, info.dense_mode));
  auto modes = Napi::Array::New(env);
  for (const DenseMode mode : info.dense_modes) {
    modes.Set(modes.Length(), dense_mode_name(mode));
  }
  o.Set("denseModes", modes);
  if (info.mask_decoder) {
    const MaskDecoderConfig& masks = *info.mask_decoder;
    auto m = Napi::Object::New(env);
    m.Set("layers", static_cast<double>(masks.layers));
    m.Set("heads", static_cast<double>(masks.heads));
    m.Set("masks", static_cast<double>(masks.masks));
    m.Set("lowResSize", static_cast<double>(4 * masks.grid));
    o.Set("maskDecoder", m);
  } else {
    o.Set("maskDecoder", env.Null());
  }
  o.Set("detector",
        info.detector ? detector_to_js(env, *info.detector) : env.Null());
  o.Set("catSeg",
        info.cat_seg ? cat_seg_to_js(env, *info.cat_seg) : env.Null());
  o.Set("license", or_null(env, info.license));
  auto notes = Napi::Array::New(env);
  for (const auto& note : info.notes) notes.Set(notes.Length(), note);
  o.Set("notes", notes);
  return o;
}

Napi::Value to_js(Napi::Env env, const TimedSegmentation& timed) {
  const auto or_null = [&](const at::Tensor& t) -> Napi::Value {
    return t.defined() ? TensorHandle::wrap(env, t) : env.Null();
  };
  const auto& result = timed.result;
  auto o = Napi::Object::New(env);
  o.Set("labels", TensorHandle::wrap(env, result.labels));
  o.Set("counts", numbers(env, result.counts));
  o.Set("certainty", TensorHandle::wrap(env, result.certainty));
  o.Set("logits", or_null(result.logits));
  o.Set("probabilities", or_null(result.probabilities));
  o.Set("encodeMs", timed.encode_ms);
  o.Set("pixelsMs", timed.pixels_ms);
  return o;
}

Napi::Value to_js(Napi::Env env, const Safetensors& file) {
  auto tensors = Napi::Object::New(env);
  for (const auto& [name, tensor] : file.tensors) {
    tensors.Set(name, TensorHandle::wrap(env, tensor));
  }
  auto metadata = Napi::Object::New(env);
  for (const auto& [name, text] : file.metadata) metadata.Set(name, text);
  auto o = Napi::Object::New(env);
  o.Set("tensors", tensors);
  o.Set("metadata", metadata);
  return o;
}

Napi::Value to_js(Napi::Env env, const Embeddings& embeddings) {
  auto names = Napi::Array::New(env, embeddings.names.size());
  for (uint32_t i = 0; i < embeddings.names.size(); ++i) {
    names.Set(i, embeddings.names[i]);
  }
  auto o = Napi::Object::New(env);
  o.Set("names", names);
  o.Set("features", TensorHandle::wrap(env, embeddings.features));
  return o;
}

Napi::Value to_js(Napi::Env env, const std::vector<PixelBox>& boxes) {
  auto corners = Napi::Float64Array::New(env, 4 * boxes.size());
  double* at = corners.Data();
  for (const auto& box : boxes) {
    for (const double value : {box.x1, box.y1, box.x2, box.y2}) *at++ = value;
  }
  return corners;
}

Napi::Value to_js(Napi::Env env, const std::vector<Rle>& masks) {
  size_t runs = 0;
  for (const auto& mask : masks) runs += mask.counts.size();
  auto counts = Napi::Uint32Array::New(env, runs);
  auto ends = Napi::Uint32Array::New(env, masks.size());
  uint32_t end = 0;
  for (size_t i = 0; i < masks.size(); ++i) {
    const auto& own = masks[i].counts;
    std::copy(own.begin(), own.end(), counts.Data() + end);
    end += static_cast<uint32_t>(own.size());
    ends[i] = end;
  }
  auto o = Napi::Object::New(env);
  o.Set("counts", counts);
  o.Set("ends", ends);
  return o;
}

Napi::Value to_js(Napi::Env env, const CompressedMasks& masks) {
  auto array = Napi::Array::New(env, masks.counts.size());
  for (uint32_t i = 0; i < masks.counts.size(); ++i) {
    array.Set(i, masks.counts[i]);
  }
  return array;
}

Napi::Value to_js(Napi::Env env,
                  const std::vector<std::vector<Polygon>>& classes) {
  size_t polygons = 0, rings = 0, corners = 0;
  for (const auto& list : classes) {
    polygons += list.size();
    for (const auto& [outer, holes] : list) {
      rings += 1 + holes.size();
      corners += outer.size();
      for (const auto& hole : holes) corners += hole.size();
    }
  }
  auto places = Napi::Int32Array::New(env, 2 * corners);
  auto ring_ends = Napi::Uint32Array::New(env, rings);
  auto polygon_ends = Napi::Uint32Array::New(env, polygons);
  auto class_ends = Napi::Uint32Array::New(env, classes.size());
  size_t polygon = 0, ring = 0, corner = 0;
  const auto add = [&](const Ring& line) {
    for (const auto& [x, y] : line) {
      places[2 * corner] = x;
      places[2 * corner + 1] = y;
      ++corner;
    }
    ring_ends[ring++] = static_cast<uint32_t>(corner);
  };
  for (size_t i = 0; i < classes.size(); ++i) {
    for (const auto& [outer, holes] : classes[i]) {
      add(outer);
      for (const auto& hole : holes) add(hole);
      polygon_ends[polygon++] = static_cast<uint32_t>(ring);
    }
    class_ends[i] = static_cast<uint32_t>(polygon);
  }
  auto o = Napi::Object::New(env);
  o.Set("corners", places);
  o.Set("ringEnds", ring_ends);
  o.Set("polygonEnds", polygon_ends);
  o.Set("classEnds", class_ends);
  return o;
}

Napi::Value to_js(Napi::Env env, const at::Tensor& tensor) {
  return TensorHandle::wrap(env, tensor);
}

Napi::Value to_js(Napi::Env env, bool value) {
  return Napi::Boolean::New(env, value);
}

Napi::Value to_js(Napi::Env env, int64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

}  // namespace declip
