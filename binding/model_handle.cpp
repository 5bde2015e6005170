#include "model_handle.h"

#include <chrono>
#include <utility>

#include "addon_data.h"
#include "convert.h"
#include "declip/error.h"
#include "tensor_handle.h"
#include "view_handle.h"
#include "wrap.h"

namespace declip {
namespace {

constexpr napi_type_tag kModelTag{0x83e1d6a25c094bf7, 0xa94c02be71fd3586};

/// What V8 is told a model weighs: parameters at their run-time size.
int64_t model_bytes(const Model& model) {
  return model.info().parameters * model.weight_bytes();
}

bool scale_factor_positions(const Napi::Object& o) {
  return o.Get("positions").IsString() &&
         get_string(o, "positions") == "scale-factor";
}

}  // namespace

ModelHandle::ModelHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ModelHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(env, "Models are made with loadModel().");
  }
  model_ = *info[0].As<Napi::External<std::shared_ptr<const Model>>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kModelTag);
  auto js_info = to_js(env, model_->info());
  js_info.Set("dtype", model_->dtype());
  js_info.Set("engine", model_->engine());
  js_info.Set("textFingerprint", model_->text_fingerprint());
  js_info.Set("device", model_->device().str());
  js_info.Set("deviceReason", model_->device_reason());
  info.This().As<Napi::Object>().DefineProperty(
      Napi::PropertyDescriptor::Value("info", js_info, napi_enumerable));
  Napi::MemoryManagement::AdjustExternalMemory(env, model_bytes(*model_));
}

ModelHandle::~ModelHandle() { release(Env()); }

void ModelHandle::release(Napi::Env env) {
  if (!model_) return;
  const auto bytes = model_bytes(*model_);
  model_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeModel",
                     {InstanceMethod("encodeText", &ModelHandle::encode_text),
                      InstanceMethod("encodeWords", &ModelHandle::encode_words),
                      InstanceMethod("encodeImage", &ModelHandle::encode_image),
                      InstanceMethod("encodeDense", &ModelHandle::encode_dense),
                      InstanceMethod("encodeBoxes", &ModelHandle::encode_boxes),
                      InstanceMethod("encodeMasks", &ModelHandle::encode_masks),
                      InstanceMethod("encode", &ModelHandle::encode),
                      InstanceMethod("segment", &ModelHandle::segment),
                      InstanceMethod("dispose", &ModelHandle::dispose)});
}

std::shared_ptr<const Model> ModelHandle::from(const Napi::Value& value) {
  const auto* handle = unwrap_tagged<ModelHandle>(value, kModelTag);
  if (!handle) throw Error(ErrorCode::kInvalidArg, "A Model was expected.");
  return handle->model();
}

std::shared_ptr<const Model> ModelHandle::model() const {
  if (!model_) throw Error(ErrorCode::kDisposed, "This model was disposed.");
  return model_;
}

Napi::Value ModelHandle::load(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    LoadOptions options;
    options.overrides = to_overrides(get_object(o, "config"));
    options.device = get_string(o, "device");
    options.dtype = get_string(o, "dtype");
    return addon_data(env).mailbox->submit(
        env,
        o,
        [path = get_string(o, "path"), options](const Call& call) -> Finish {
          auto model = Model::load(path, options, call);
          return [model =
                      std::move(model)](Napi::Env e) mutable -> Napi::Value {
            return addon_data(e).model.New(
                {Napi::External<std::shared_ptr<const Model>>::New(e, &model)});
          };
        });
  });
}

template <class Work>
Napi::Value ModelHandle::submit_tensor(const Napi::CallbackInfo& info,
                                       const Napi::Object& options,
                                       Work work) {
  return addon_data(info.Env())
      .mailbox->submit(info.Env(),
                       options,
                       [model = model(),
                        work = std::move(work)](const Call& call) -> Finish {
                         return [t = work(*model, call)](Napi::Env e) {
                           return TensorHandle::wrap(e, t);
                         };
                       });
}

Napi::Value ModelHandle::encode_text(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(info,
                         o,
                         [tokens = TensorHandle::from(o.Get("tokens")),
                          normalize = get_bool(o, "normalize")](
                             const Model& m, const Call& call) {
                           return m.encode_text(tokens, normalize, call);
                         });
  });
}

Napi::Value ModelHandle::encode_words(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(info,
                         o,
                         [tokens = TensorHandle::from(o.Get("tokens")),
                          templates = get_integer(o, "templates")](
                             const Model& m, const Call& call) {
                           return m.encode_words(tokens, templates, call);
                         });
  });
}

Napi::Value ModelHandle::encode_image(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(info,
                         o,
                         [image = TensorHandle::from(o.Get("image")),
                          normalize = get_bool(o, "normalize"),
                          scale_factor = scale_factor_positions(o)](
                             const Model& m, const Call& call) {
                           return m.encode_image(
                               image, normalize, scale_factor, call);
                         });
  });
}

Napi::Value ModelHandle::encode_dense(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(info,
                         o,
                         [image = TensorHandle::from(o.Get("image")),
                          dense = to_dense(o),
                          normalize = get_bool(o, "normalize")](
                             const Model& m, const Call& call) {
                           return m.encode_dense(image, dense, normalize, call);
                         });
  });
}

Napi::Value ModelHandle::encode_boxes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(
        info,
        o,
        [image = TensorHandle::from(o.Get("image")),
         boxes = TensorHandle::from(o.Get("boxes")),
         regions = to_regions(o)](const Model& m, const Call& call) {
          return m.encode_boxes(image, boxes, regions, call);
        });
  });
}

Napi::Value ModelHandle::encode_masks(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto o = options_of(info);
    return submit_tensor(
        info,
        o,
        [image = TensorHandle::from(o.Get("image")),
         masks = TensorHandle::from(o.Get("masks")),
         regions = to_regions(o)](const Model& m, const Call& call) {
          return m.encode_masks(image, masks, regions, call);
        });
  });
}

Napi::Value ModelHandle::encode(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        o,
        [model = model(),
         picture = to_picture(get_object(o, "picture")),
         options =
             to_encode(get_object(o, "pipeline"))](const Call& call) -> Finish {
          auto view = View::encode(*model, picture, options, call);
          return [view = std::move(view)](Napi::Env e) {
            return ViewHandle::wrap(e, view);
          };
        });
  });
}

Napi::Value ModelHandle::segment(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        o,
        [model = model(),
         picture = to_picture(get_object(o, "picture")),
         options = to_encode(get_object(o, "pipeline")),
         text = TensorHandle::from(o.Get("text")),
         words = get_integers(o, "wordClass"),
         post = to_post(get_object(o, "post"))](const Call& call) -> Finish {
          const auto start = std::chrono::steady_clock::now();
          const auto view = View::encode(*model, picture, options, call);
          const double encode_ms = elapsed_ms(start);
          const auto encoded = std::chrono::steady_clock::now();
          auto result = view->segment(text, words, post, call);
          return [result = std::move(result),
                  encode_ms,
                  pixels_ms = elapsed_ms(encoded)](Napi::Env e) -> Napi::Value {
            return to_js(e, result, encode_ms, pixels_ms);
          };
        });
  });
}

Napi::Value ModelHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
