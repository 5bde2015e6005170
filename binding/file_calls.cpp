#include "file_calls.h"

#include <map>
#include <string>

#include "declip/checkpoint.h"
#include "declip/embeddings.h"
#include "declip/job_size.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "model_options.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

/// Calls `take` with every own key of an object and its value.
template <class Take>
void each_field(const Napi::Object& o, Take take) {
  const auto names = o.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    take(name, o.Get(name));
  }
}

}  // namespace

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return Sized{
        JobSize{},  // only headers are read
        [path = get_string(o, "path"),
         overrides = to_overrides(get_object(o, "config"))](const Call&) {
          return describe(load_checkpoint(path, overrides));
        }};
  });
}

Napi::Value read_embedding_file(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [path = get_string(o, "path")](const Call&) {
      return read_embeddings(path);
    };
  });
}

Napi::Value read_file(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [path = get_string(o, "path")](const Call&) {
      return read_safetensors(path);
    };
  });
}

Napi::Value write_file(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    std::map<std::string, at::Tensor> tensors;
    each_field(get_object(o, "tensors"), [&](const auto& name, Napi::Value v) {
      tensors[name] = TensorHandle::from(v);
    });
    std::map<std::string, std::string> metadata;
    each_field(get_object(o, "metadata"), [&](const auto& name, Napi::Value v) {
      metadata[name] = v.ToString();
    });
    return [path = get_string(o, "path"), tensors, metadata](const Call&) {
      write_safetensors(path, tensors, metadata);
    };
  });
}

}  // namespace declip
