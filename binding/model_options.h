#pragma once

#include <napi.h>

#include "declip/checkpoint.h"
#include "declip/dense.h"
#include "declip/encoded_image.h"
#include "declip/model.h"

namespace declip {

// Options objects to what the core takes.

ConfigOverrides to_overrides(const Napi::Object& config);
/// `positions`, 'scale-factor' or 'size'; empty where it is missing.
std::optional<Positions> find_positions(const Napi::Object& o);
DenseOptions to_dense(const Napi::Object& o);
/// What decides where a picture's windows lie; the rest has its defaults.
EncodeOptions to_windows(const Napi::Object& pipeline);
EncodeOptions to_encode(const Napi::Object& pipeline);
/// Features of words, [Q, E]; with `bankText` those of a bank's second encoder
/// beside them.
at::Tensor to_words(const Napi::Object& words);
PostOptions to_post(const Napi::Object& post);
Picture to_picture(const Napi::Object& picture);

}  // namespace declip
