#include <ATen/ATen.h>
#include <napi.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "addon_data.h"
#include "cancel_token.h"
#include "convert.h"
#include "declip/error.h"
#include "declip/resize.h"
#include "declip/runtime.h"
#include "declip/safetensors.h"
#include "model_handle.h"
#include "tensor_handle.h"
#include "trainer_handle.h"
#include "training_regions.h"
#include "view_handle.h"

namespace declip {
namespace {

Napi::Value runtime_info(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto r = runtime();
    auto o = Napi::Object::New(env);
    o.Set("libtorch", r.libtorch);
    o.Set("threads", inference_threads());
    o.Set("cpu", r.cpu);
    o.Set("onednn", r.onednn);
    o.Set("cudaBuild", r.cuda_build);
    o.Set("cudaDevices", static_cast<double>(r.cuda_devices));
    o.Set("kernels", r.kernels);
    auto layers = Napi::Object::New(env);
    layers.Set("float32", r.float32);
    layers.Set("bfloat16", r.bfloat16);
    layers.Set("int8", r.int8);
    o.Set("layers", layers);
    return o;
  });
}

Napi::Value set_threads(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const int threads = info.Length() > 0 ? info[0].ToNumber().Int32Value() : 0;
    if (threads < 1 || threads > 1024) {
      throw Error(ErrorCode::kInvalidArg, "threads must be 1..1024.");
    }
    set_inference_threads(threads);
    return env.Undefined();
  });
}

Napi::Value inspect(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        o,
        [path = get_string(o, "path"),
         overrides =
             to_overrides(get_object(o, "config"))](const Call&) -> Finish {
          return
              [description = describe(load_checkpoint(path, overrides))](
                  Napi::Env e) -> Napi::Value { return to_js(e, description); };
        });
  });
}

Fit fit_from(const std::string& name) {
  if (name == "crop") return Fit::kCrop;
  if (name == "squash") return Fit::kSquash;
  if (name == "pad") return Fit::kPad;
  throw Error(ErrorCode::kInvalidArg, "fit must be 'crop', 'squash' or 'pad'.");
}

Napi::Value preprocess_image(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    const Size size{get_integer(o, "height"), get_integer(o, "width")};
    return addon_data(env).mailbox->submit(
        env,
        o,
        [pixels = copy_pixels(o, size.width, size.height),
         size,
         fit = fit_from(get_string(o, "fit")),
         side = get_integer(o, "size"),
         stats = to_overrides(o).pixels.value_or(PixelStats{})](
            const Call&) -> Finish {
          return [image = preprocess(
                      pixels.data(), size, fit, side, stats.mean, stats.std)](
                     Napi::Env e) { return TensorHandle::wrap(e, image); };
        });
  });
}

Napi::Value resize(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    const Size size{get_integer(o, "height"), get_integer(o, "width")};
    return addon_data(env).mailbox->submit(
        env,
        o,
        [pixels = copy_pixels(o, size.width, size.height),
         size,
         short_side = get_integer(o, "shortSide")](const Call&) -> Finish {
          return [resized = resize_linear_u8(
                      pixels.data(), size, keep_ratio_size(size, short_side))](
                     Napi::Env e) { return TensorHandle::wrap(e, resized); };
        });
  });
}

Napi::Value mix_text(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    const auto names = TensorHandle::from(o.Get("names"));
    const auto auxiliary = TensorHandle::from(o.Get("auxiliary"));
    const auto index = get_integers(o, "index");
    if (names.dim() != 2 || auxiliary.dim() != 2 ||
        names.size(1) != auxiliary.size(1) ||
        static_cast<int64_t>(index.size()) != names.size(0) ||
        std::any_of(index.begin(), index.end(), [&](int64_t i) {
          return i < -1 || i >= auxiliary.size(0);
        })) {
      throw Error(ErrorCode::kInvalidArg,
                  "names [Q, D], auxiliary [A, D] and index [Q] do not fit.");
    }
    return addon_data(env).mailbox->submit(
        env,
        o,
        [names, auxiliary, index, weight = get_number(o, "weight")](
            const Call&) -> Finish {
          auto mixed = names.clone();
          for (size_t q = 0; q < index.size(); ++q) {
            if (index[q] < 0) continue;
            const auto row = static_cast<int64_t>(q);
            mixed[row] =
                (1.0 - weight) * names[row] + weight * auxiliary[index[q]];
          }
          return [mixed](Napi::Env e) { return TensorHandle::wrap(e, mixed); };
        });
  });
}

Napi::Value similarity(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        o,
        [a = TensorHandle::from(o.Get("a")),
         b = TensorHandle::from(o.Get("b"))](const Call&) -> Finish {
          if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(1)) {
            throw Error(ErrorCode::kInvalidArg,
                        "similarity needs [M, D] and [K, D] features.");
          }
          return [product = at::matmul(a, b.t())](Napi::Env e) {
            return TensorHandle::wrap(e, product);
          };
        });
  });
}

std::vector<at::Tensor> get_tensors(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsArray()) {
    throw Error(ErrorCode::kInvalidArg,
                std::string(key) + " must be an array of tensors.");
  }
  const auto array = value.As<Napi::Array>();
  std::vector<at::Tensor> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    out.push_back(TensorHandle::from(array.Get(i)));
  }
  return out;
}

Napi::Value concatenate(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env, o, [tensors = get_tensors(o, "tensors")](const Call&) -> Finish {
          return [joined = at::cat(tensors)](Napi::Env e) {
            return TensorHandle::wrap(e, joined);
          };
        });
  });
}

Napi::Value resize_batch(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env,
        o,
        [images = TensorHandle::from(o.Get("images")),
         size = get_integer(o, "size")](const Call&) -> Finish {
          return [resized = at::upsample_bilinear2d(
                      images, {size, size}, /*align_corners=*/false)](
                     Napi::Env e) { return TensorHandle::wrap(e, resized); };
        });
  });
}

Napi::Value read_file(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    return addon_data(env).mailbox->submit(
        env, o, [path = get_string(o, "path")](const Call&) -> Finish {
          return [file = read_safetensors(path)](Napi::Env e) -> Napi::Value {
            auto tensors = Napi::Object::New(e);
            for (const auto& [name, tensor] : file.tensors) {
              tensors.Set(name, TensorHandle::wrap(e, tensor));
            }
            auto metadata = Napi::Object::New(e);
            for (const auto& [name, text] : file.metadata) {
              metadata.Set(name, text);
            }
            auto result = Napi::Object::New(e);
            result.Set("tensors", tensors);
            result.Set("metadata", metadata);
            return result;
          };
        });
  });
}

Napi::Value write_file(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto o = options_of(info);
    std::map<std::string, at::Tensor> tensors;
    const auto tensors_js = get_object(o, "tensors");
    const auto tensor_names = tensors_js.GetPropertyNames();
    for (uint32_t i = 0; i < tensor_names.Length(); ++i) {
      const std::string name = tensor_names.Get(i).ToString();
      tensors[name] = TensorHandle::from(tensors_js.Get(name));
    }
    std::map<std::string, std::string> metadata;
    const auto metadata_js = get_object(o, "metadata");
    const auto metadata_names = metadata_js.GetPropertyNames();
    for (uint32_t i = 0; i < metadata_names.Length(); ++i) {
      const std::string name = metadata_names.Get(i).ToString();
      metadata[name] = metadata_js.Get(name).ToString();
    }
    return addon_data(env).mailbox->submit(
        env,
        o,
        [path = get_string(o, "path"), tensors, metadata](
            const Call&) -> Finish {
          write_safetensors(path, tensors, metadata);
          return nullptr;
        });
  });
}

/// process.exit() and uncaught exceptions end a process without cleaning up its
/// environment; LibTorch's static destructors must not run under a running job.
void close_at_exit(Napi::Env env, const std::shared_ptr<Mailbox>& mailbox) {
  env.AddCleanupHook([mailbox] { mailbox->close(); });
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto close = [mailbox](const Napi::CallbackInfo&) { mailbox->close(); };
  process.Get("once").As<Napi::Function>().Call(
      process,
      {Napi::String::New(env, "exit"),
       Napi::Function::New(env, close, "declipExit")});
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  if (!kernels_run_here()) {
    throw Napi::Error::New(
        env,
        "This processor lacks what the addon's kernels need: AVX2 and FMA on "
        "x86-64, or what the machine has on which it was built for that one "
        "alone (`npm run build` makes it again for this one).");
  }
  auto data = std::make_unique<AddonData>();
  data->mailbox = std::make_shared<Mailbox>(env);
  data->tensor = Napi::Persistent(TensorHandle::define(env));
  data->model = Napi::Persistent(ModelHandle::define(env));
  data->view = Napi::Persistent(ViewHandle::define(env));
  data->trainer = Napi::Persistent(TrainerHandle::define(env));
  close_at_exit(env, data->mailbox);
  env.SetInstanceData(
      data.release());  // Node-API deletes it with the environment

  exports.Set("CancelToken", CancelToken::define(env));
  const auto function = [&](const char* name,
                            Napi::Value (*call)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, call, name));
  };
  function("runtime", runtime_info);
  function("setThreads", set_threads);
  function("tensor", TensorHandle::create);
  function("inspect", inspect);
  function("loadModel", ModelHandle::load);
  function("createTrainer", TrainerHandle::create);
  function("createCheckpoint", TrainerHandle::create_checkpoint);
  function("trainingRegions", training_regions);
  function("preprocess", preprocess_image);
  function("resize", resize);
  function("mixText", mix_text);
  function("similarity", similarity);
  function("concatenate", concatenate);
  function("resizeBatch", resize_batch);
  function("readSafetensors", read_file);
  function("writeSafetensors", write_file);
  return exports;
}

}  // namespace
}  // namespace declip

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return declip::init(env, exports);
}
NODE_API_MODULE(declip_native, Init)
