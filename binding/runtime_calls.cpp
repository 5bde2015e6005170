#include "runtime_calls.h"

#include "declip/error.h"
#include "declip/runtime.h"
#include "errors.h"
#include "queue.h"

namespace declip {

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
    o.Set("bfloat16Units", r.bfloat16_units);
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

}  // namespace declip
