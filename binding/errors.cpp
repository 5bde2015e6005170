#include "errors.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "declip/error.h"

namespace declip {
namespace {

Failure out_of_memory(const std::string& what) {
  return {
      code_name(ErrorCode::kOutOfMemory),
      "Out of memory: " + what +
          " Use a smaller picture (shortSide), fewer pictures or texts at a "
          "time, or a smaller model."};
}

}  // namespace

Failure current_error() noexcept {
  try {
    try {
      throw;
    } catch (const Error& e) {
      return {code_name(e.code()), e.what()};
    } catch (const c10::OutOfMemoryError& e) {
      return out_of_memory(e.what_without_backtrace());
    } catch (const c10::Error& e) {
      const std::string what = e.what_without_backtrace();
      // LibTorch's CPU allocator reports exhaustion as a plain c10::Error
      if (what.find("not enough memory") != std::string::npos ||
          what.find("can't allocate memory") != std::string::npos) {
        return out_of_memory(what);
      }
      return {code_name(ErrorCode::kInternal), what};
    } catch (const std::bad_alloc&) {
      return out_of_memory("an allocation failed.");
    } catch (const std::exception& e) {
      return {code_name(ErrorCode::kInternal), e.what()};
    } catch (...) {
      return {code_name(ErrorCode::kInternal), "An unknown error was thrown."};
    }
  } catch (...) {  // describing it ran out of memory itself
    return {};
  }
}

Napi::Value to_js(Napi::Env env, const Failure& failure) {
  auto error = Napi::Error::New(env, failure.message).Value();
  error.Set("code", Napi::String::New(env, failure.code));
  return error;
}

}  // namespace declip
