#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/view.h"

namespace declip {

// Options objects to core structs. ts/ has checked values; what is checked here
// is what memory safety needs: types, lengths, receivers.

const char* dtype_name(at::ScalarType type);
at::ScalarType dtype_from(const std::string& name);

std::string get_string(const Napi::Object& o, const char* key);
double get_number(const Napi::Object& o, const char* key);
std::optional<double> find_number(const Napi::Object& o, const char* key);
int64_t get_integer(const Napi::Object& o, const char* key);
bool get_bool(const Napi::Object& o, const char* key);
std::optional<bool> find_bool(const Napi::Object& o, const char* key);
std::vector<int64_t> get_integers(const Napi::Object& o, const char* key);
Napi::Object get_object(const Napi::Object& o, const char* key);

/// First argument of a call, which must be an options object.
Napi::Object options_of(const Napi::CallbackInfo& info);

ConfigOverrides to_overrides(const Napi::Object& config);
DenseOptions to_dense(const Napi::Object& o);
RegionOptions to_regions(const Napi::Object& o);
EncodeOptions to_encode(const Napi::Object& pipeline);
PostOptions to_post(const Napi::Object& post);
Picture to_picture(const Napi::Object& picture);
/// Copies width x height x 3 bytes out of `pixels`: JS may change or detach the
/// buffer while the job runs.
std::vector<uint8_t> copy_pixels(const Napi::Object& o,
                                 int64_t width,
                                 int64_t height);

Napi::Object to_js(Napi::Env env, const CheckpointInfo& info);
Napi::Object to_js(Napi::Env env,
                   const Segmentation& result,
                   double encode_ms,
                   double pixels_ms);

}  // namespace declip
