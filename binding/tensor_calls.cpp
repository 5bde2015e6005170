#include "tensor_calls.h"

#include "declip/features.h"
#include "declip/job_size.h"
#include "queued.h"

namespace declip {

Napi::Value mix_text(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto names = get_tensor(o, "names");
    return Sized{size_of_conversion(names),
                 [names,
                  auxiliary = get_tensor(o, "auxiliary"),
                  index = get_integers(o, "index"),
                  weight = get_number(o, "weight")](const Call&) {
                   return mix_features(names, auxiliary, index, weight);
                 }};
  });
}

Napi::Value similarity(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto a = get_tensor(o, "a"), b = get_tensor(o, "b");
    const double rows = b.dim() > 0 ? static_cast<double>(b.size(0)) : 0;
    return Sized{
        JobSize{2 * rows * static_cast<double>(a.numel()),
                static_cast<double>(a.nbytes() + b.nbytes())},
        [a, b, unit = find_bool(o, "unit").value_or(false)](const Call&) {
          return unit ? cosines(a, b) : feature_products(a, b);
        }};
  });
}

}  // namespace declip
