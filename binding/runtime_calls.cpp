#include "runtime_calls.h"

#include <algorithm>

#include "declip/error.h"
#include "declip/memory.h"
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
    o.Set("threads", Workers::of(Lane::kInference).threads());
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

Napi::Value queue_stats(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto all = Workers::of(Lane::kInference).stats();
    const auto beside = Workers::of(Lane::kPreparation).stats();
    auto waiting = Napi::Array::New(env, kPriorities);
    auto running = Napi::Array::New(env, kPriorities);
    for (uint32_t i = 0; i < kPriorities; ++i) {
      const auto sum = [](int64_t a, int64_t b) {
        return static_cast<double>(a + b);
      };
      waiting.Set(i, sum(all.waiting[i], beside.waiting[i]));
      running.Set(i, sum(all.running[i], beside.running[i]));
    }
    const auto pool = pool_bytes();
    auto o = Napi::Object::New(env);
    const auto set = [&](const char* key, auto value) {
      o.Set(key, static_cast<double>(value));
    };
    set("threads", Workers::of(Lane::kInference).threads());
    o.Set("waiting", waiting);
    o.Set("running", running);
    set("done", all.done + beside.done);
    set("failed", all.failed + beside.failed);
    set("cancelled", all.cancelled + beside.cancelled);
    set("waitMs", all.wait + beside.wait);
    set("longestWaitMs", std::max(all.longest_wait, beside.longest_wait));
    set("runMs", all.run + beside.run);
    set("longestRunMs", std::max(all.longest_run, beside.longest_run));
    set("poolUsed", pool.used);
    set("poolFree", pool.free);
    return o;
  });
}

Napi::Value ticket(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(next_ticket()));
}

Napi::Value set_threads(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const int threads = info.Length() > 0 ? info[0].ToNumber().Int32Value() : 0;
    if (threads < 1 || threads > 1024) {
      throw Error(ErrorCode::kInvalidArg, "threads must be 1..1024.");
    }
    Workers::of(Lane::kInference).set_threads(threads);
    return env.Undefined();
  });
}

}  // namespace declip
