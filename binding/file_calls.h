#pragma once

#include <napi.h>

namespace declip {

/// inspect(options): what a checkpoint is.
Napi::Value inspect(const Napi::CallbackInfo& info);
/// readEmbeddings(options): text embeddings of a torch.save or safetensors
/// file.
Napi::Value read_embedding_file(const Napi::CallbackInfo& info);
Napi::Value read_file(const Napi::CallbackInfo& info);
Napi::Value write_file(const Napi::CallbackInfo& info);

}  // namespace declip
