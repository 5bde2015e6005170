#include "talk2dino_calls.h"

#include <vector>

#include "declip/job_size.h"
#include "declip/model.h"
#include "declip/talk2dino.h"
#include "model_handle.h"
#include "queued.h"
#include "read_options.h"
#include "tensor_handle.h"

namespace declip {
namespace {

/// The tensors of an array.
std::vector<at::Tensor> tensors_of(const Napi::Object& o, const char* key) {
  const auto value = o.Get(key);
  if (!value.IsArray()) throw wrong(key, "a list of tensors");
  const auto list = value.As<Napi::Array>();
  std::vector<at::Tensor> out;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    out.push_back(TensorHandle::from(list.Get(i)));
  }
  return out;
}

}  // namespace

/// { weights, biases }, layer after layer.
static Napi::Value to_js(Napi::Env env, const TextProjection& projection) {
  const auto list = [&](const std::vector<at::Tensor>& tensors) {
    auto array = Napi::Array::New(env, tensors.size());
    for (uint32_t i = 0; i < tensors.size(); ++i) {
      array.Set(i, to_js(env, tensors[i]));
    }
    return array;
  };
  auto out = Napi::Object::New(env);
  out.Set("weights", list(projection.weights));
  out.Set("biases", list(projection.biases));
  return out;
}

Napi::Value read_projection_file(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [path = get_string(o, "path")](const Call&) {
      return read_text_projection(path);
    };
  });
}

Napi::Value project_word_features(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto model = ModelHandle::from(o.Get("model"));
    const auto tokens = get_tensor(o, "tokens");
    const TextProjection projection{tensors_of(o, "weights"),
                                    tensors_of(o, "biases")};
    return Sized{
        size_of_texts(*model, tokens.dim() > 0 ? tokens.size(0) : 0),
        [model, tokens, projection, templates = get_integer(o, "templates")](
            const Call& call) {
          return project_words(*model, tokens, templates, projection, call);
        }};
  });
}

}  // namespace declip
