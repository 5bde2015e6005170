#include "tensor_calls.h"

#include "declip/features.h"
#include "queued.h"

namespace declip {

Napi::Value mix_text(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [names = get_tensor(o, "names"),
            auxiliary = get_tensor(o, "auxiliary"),
            index = get_integers(o, "index"),
            weight = get_number(o, "weight")](const Call&) {
      return mix_features(names, auxiliary, index, weight);
    };
  });
}

Napi::Value similarity(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [a = get_tensor(o, "a"), b = get_tensor(o, "b")](const Call&) {
      return feature_products(a, b);
    };
  });
}

}  // namespace declip
