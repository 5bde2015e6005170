#include "model_handle.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "addon_data.h"
#include "bank_handle.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "declip/mask_decoder.h"
#include "declip/mask_generator.h"
#include "declip/resize.h"
#include "detector_view_handle.h"
#include "mask_generator_options.h"
#include "mask_view_handle.h"
#include "model_options.h"
#include "queued.h"
#include "view_handle.h"
#include "wrap.h"

namespace declip {
namespace {

constexpr napi_type_tag kModelTag{0x83e1d6a25c094bf7, 0xa94c02be71fd3586};

/// What V8 is told a model weighs: parameters at their run-time size.
int64_t model_bytes(const Model& model) {
  return model.info().parameters * model.weight_bytes();
}

/// Of a picture [H, W, C] or a batch [B, 3, H, W].
Size size_of(const at::Tensor& image) {
  if (image.dim() == 3) return {image.size(0), image.size(1)};
  return image.dim() == 4 ? Size{image.size(2), image.size(3)} : Size{};
}

Size size_of(const Picture& picture) {
  if (picture.normalised.defined()) return size_of(picture.normalised);
  return picture.size.value_or(size_of(picture.pixels));
}

JobSize size_of_pass(const Model& model, const at::Tensor& batch) {
  return size_of_pass(
      model, batch.dim() == 4 ? batch.size(0) : 1, size_of(batch));
}

/// The same through the model that makes the features of 'proxyclip', too.
JobSize size_of_pass(const Model& model,
                     const at::Tensor& batch,
                     const DenseOptions& dense) {
  const auto own = size_of_pass(model, batch);
  return dense.proxy_model ? own + size_of_pass(*dense.proxy_model, batch)
                           : own;
}

JobSize size_of_encoding(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options) {
  return size_of_encoding(
      model, size_of(picture), !picture.normalised.defined(), options);
}

bool is_set(const char* variable, const char* value) {
  const char* set = std::getenv(variable);
  return set != nullptr && std::strcmp(set, value) == 0;
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
  return DefineClass(
      env,
      "NativeModel",
      {InstanceMethod("encodeText", &ModelHandle::encode_text),
       InstanceMethod("encodeWords", &ModelHandle::encode_words),
       InstanceMethod("preprocess", &ModelHandle::preprocess),
       InstanceMethod("encodeImage", &ModelHandle::encode_image),
       InstanceMethod("encodeDense", &ModelHandle::encode_dense),
       InstanceMethod("encodeRegionMap", &ModelHandle::encode_region_map),
       InstanceMethod("encodeCrops", &ModelHandle::encode_crops),
       InstanceMethod("encode", &ModelHandle::encode),
       InstanceMethod("segment", &ModelHandle::segment),
       InstanceMethod("generateMasks", &ModelHandle::generate_masks),
       InstanceMethod("encodeForMasks", &ModelHandle::encode_for_masks),
       InstanceMethod("encodeForDetection", &ModelHandle::encode_for_detection),
       InstanceMethod("detectorWords", &ModelHandle::detector_words),
       InstanceMethod("pictureRows", &ModelHandle::picture_rows),
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

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const Model>& model) {
  auto held = model;
  return addon_data(env).model.New(
      {Napi::External<std::shared_ptr<const Model>>::New(env, &held)});
}

Napi::Value ModelHandle::load(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    LoadOptions options;
    options.overrides = to_overrides(get_object(o, "config"));
    options.device = get_string(o, "device");
    options.dtype = get_string(o, "dtype");
    options.eager = is_set("DECLIP_ENGINE", "eager");
    options.cuda_graphs = is_set("DECLIP_CUDA_GRAPHS", "1");
    return [path = get_string(o, "path"), options](const Call& call) {
      return Model::load(path, options, call);
    };
  });
}

Napi::Value ModelHandle::encode_text(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto tokens = get_tensor(o, "tokens");
    return Sized{size_of_texts(*model(), tokens.dim() > 0 ? tokens.size(0) : 0),
                 [model = model(),
                  tokens,
                  normalize = get_bool(o, "normalize")](const Call& call) {
                   return model->encode_text(tokens, normalize, call);
                 }};
  });
}

Napi::Value ModelHandle::encode_words(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto tokens = get_tensor(o, "tokens");
    return Sized{size_of_texts(*model(), tokens.dim() > 0 ? tokens.size(0) : 0),
                 [model = model(),
                  tokens,
                  templates = get_integer(o, "templates")](const Call& call) {
                   return model->encode_words(tokens, templates, call);
                 }};
  });
}

Napi::Value ModelHandle::preprocess(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    return Sized{size_of_resizing(pixels),
                 [model = model(), pixels](const Call&) {
                   const auto rgb = rgb_pixels(pixels);
                   const auto& config = model->info().config;
                   return declip::preprocess(rgb.const_data_ptr<uint8_t>(),
                                             {rgb.size(0), rgb.size(1)},
                                             config.preprocess,
                                             config.vision.image_size,
                                             config.pixels);
                 }};
  });
}

Napi::Value ModelHandle::encode_image(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    ImageOptions options;
    options.normalize = get_bool(o, "normalize");
    options.positions = find_positions(o).value_or(options.positions);
    const auto image = get_tensor(o, "image");
    return Sized{size_of_pass(*model(), image),
                 [model = model(), image, options](const Call& call) {
                   return model->encode_image(image, options, call);
                 }};
  });
}

Napi::Value ModelHandle::encode_dense(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto image = get_tensor(o, "image");
    const auto dense = to_dense(o);
    return Sized{
        size_of_pass(*model(), image, dense),
        [model = model(), image, dense, normalize = get_bool(o, "normalize")](
            const Call& call) {
          return model->encode_dense(image, dense, normalize, call);
        }};
  });
}

Napi::Value ModelHandle::encode_region_map(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto image = get_tensor(o, "image");
    const auto dense = to_dense(o);
    return Sized{
        size_of_pass(*model(), image, dense),
        [model = model(),
         image,
         dense,
         unit = find_bool(o, "normalizeBeforePooling")](const Call& call) {
          return model->encode_region_map(image, dense, unit, call);
        }};
  });
}

Napi::Value ModelHandle::encode_crops(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    auto boxes = get_boxes(o, "boxes");
    CropOptions options;
    options.scale = get_number(o, "cropScale");
    options.normalize = get_bool(o, "normalize");
    return Sized{
        size_of_crops(*model(), pixels, static_cast<int64_t>(boxes.size())),
        [model = model(), pixels, boxes = std::move(boxes), options](
            const Call& call) {
          return model->encode_crops(rgb_pixels(pixels), boxes, options, call);
        }};
  });
}

Napi::Value ModelHandle::encode(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto picture = to_picture(get_object(o, "picture"));
    const auto options = to_encode(get_object(o, "pipeline"));
    return Sized{size_of_encoding(*model(), picture, options),
                 [model = model(), picture, options](const Call& call) {
                   return EncodedImage::encode(*model, picture, options, call);
                 }};
  });
}

Napi::Value ModelHandle::segment(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto picture = to_picture(get_object(o, "picture"));
    const auto options = to_encode(get_object(o, "pipeline"));
    const auto words = get_integers(o, "wordClass");
    const auto post = to_post(get_object(o, "post"));
    const auto planes = static_cast<int64_t>(words.size());
    return Sized{
        size_of_encoding(*model(), picture, options) +
            size_of_asking(*model(), options, planes) +
            size_of_labels(size_of(picture), planes, post),
        [model = model(), picture, options, text = to_words(o), words, post](
            const Call& call) {
          TimedSegmentation out;
          const auto start = std::chrono::steady_clock::now();
          const auto view =
              EncodedImage::encode(*model, picture, options, call);
          out.encode_ms = elapsed_ms(start);
          const auto encoded = std::chrono::steady_clock::now();
          out.result = view->segment(text, words, post, call);
          out.pixels_ms = elapsed_ms(encoded);
          return out;
        }};
  });
}

Napi::Value ModelHandle::generate_masks(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    const auto options = to_mask_generator(o);
    return Sized{size_of_generating(*model(), size_of(pixels), options),
                 [model = model(), pixels, options](const Call& call) {
                   return declip::generate_masks(*model, pixels, options, call);
                 }};
  });
}

Napi::Value ModelHandle::encode_for_masks(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    const int64_t side = model()->info().config.vision.image_size;
    return Sized{
        size_of_pass(*model(), 1, Size{side, side}) + size_of_resizing(pixels),
        [model = model(), pixels](const Call& call) {
          return std::shared_ptr<const MaskView>(
              std::make_shared<const MaskView>(MaskView{
                  model, declip::encode_for_masks(*model, pixels, call)}));
        }};
  });
}

Napi::Value ModelHandle::encode_for_detection(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto pixels = get_pixels(o);
    const auto input = to_detector_input(o);
    return Sized{
        size_of_seeing(*model(), pixels, input),
        [model = model(), pixels, input](const Call& call) {
          const auto& detector = model->detector(call);
          return std::shared_ptr<const SeenPicture>(
              std::make_shared<const SeenPicture>(SeenPicture{
                  model, detector.encode(*model, pixels, input, call)}));
        }};
  });
}

Napi::Value ModelHandle::detector_words(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object&) {
    return Sized{JobSize{}, [model = model()](const Call& call) {
                   return StoredWords{model->detector(call).words()};
                 }};
  });
}

Napi::Value ModelHandle::picture_rows(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto picture = to_picture(get_object(o, "picture"));
    const auto options = to_encode(get_object(o, "pipeline"));
    std::shared_ptr<const Model> keys;
    if (!o.Get("keyModel").IsUndefined()) {
      keys = ModelHandle::from(o.Get("keyModel"));
    }
    auto size = size_of_encoding(*model(), picture, options);
    if (keys) size = size + size_of_pass(*keys, 1, size_of(picture));
    return Sized{size,
                 [model = model(), picture, options, keys](const Call& call) {
                   return declip::picture_rows(
                       *model, picture, options, keys.get(), call);
                 }};
  });
}

Napi::Value ModelHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
