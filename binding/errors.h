#pragma once

#include <napi.h>

#include <string>

namespace declip {

/// An exception in a form that can cross threads.
struct Failure {
  std::string code;
  std::string message;
};

/// Describes the exception being handled; call inside `catch (...)`.
Failure current_error() noexcept;

/// A JavaScript Error with its `code`.
Napi::Value to_js(Napi::Env env, const Failure& failure);

/// Runs `work` and turns whatever it throws into a JavaScript exception that
/// keeps its code. Node-API's own exceptions pass through.
template <class Work>
auto guarded(Napi::Env env, Work&& work) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error(env, to_js(env, current_error()));
  }
}

}  // namespace declip
