#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "declip/error.h"
#include "declip/regions.h"

namespace declip {

// Fields of options objects. ts/ has checked values; what is checked here is
// what memory safety needs: types, lengths, receivers. `get_` throws
// Error(kInvalidArg) for a field that is missing, `find_` does not.

Error wrong(const char* key, const char* expected);

/// First argument of a call, which must be an options object.
Napi::Object options_of(const Napi::CallbackInfo& info);

std::string get_string(const Napi::Object& o, const char* key);
std::optional<std::string> find_string(const Napi::Object& o, const char* key);
double get_number(const Napi::Object& o, const char* key);
std::optional<double> find_number(const Napi::Object& o, const char* key);
int64_t get_integer(const Napi::Object& o, const char* key);
std::optional<int64_t> find_integer(const Napi::Object& o, const char* key);
bool get_bool(const Napi::Object& o, const char* key);
std::optional<bool> find_bool(const Napi::Object& o, const char* key);
std::array<double, 3> get_triple(const Napi::Object& o, const char* key);
/// Empty where the field is missing.
std::vector<int64_t> get_integers(const Napi::Object& o, const char* key);
std::vector<std::string> get_texts(const Napi::Object& o, const char* key);
/// A Float64Array of x1, y1, x2, y2 in pixels, box after box.
std::vector<PixelBox> get_boxes(const Napi::Object& o, const char* key);
Napi::Object get_object(const Napi::Object& o, const char* key);
at::Tensor get_tensor(const Napi::Object& o, const char* key);
/// Undefined where the field is missing.
at::Tensor find_tensor(const Napi::Object& o, const char* key);

/// `pixels`, 8-bit [height, width, channels] with 1, 3 or 4 channels: a tensor,
/// or a Uint8Array with `width` and `height` beside it. The array is not copied
/// but read where it lies: the call holds it, and nobody may write to it or
/// transfer it until the call has ended.
at::Tensor get_pixels(const Napi::Object& o);

}  // namespace declip
