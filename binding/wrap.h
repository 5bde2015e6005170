#pragma once

#include <napi.h>

namespace declip {

/// The native object behind `value` if it carries `tag`, else null. Checking
/// the tag first is what makes a wrong receiver an error instead of a crash.
template <class T>
T* unwrap_tagged(const Napi::Value& value, const napi_type_tag& tag) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  return object.CheckTypeTag(&tag) ? Napi::ObjectWrap<T>::Unwrap(object)
                                   : nullptr;
}

}  // namespace declip
