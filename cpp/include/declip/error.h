#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace declip {

/// Every failure the core reports. `code_name` gives the spelling that
/// JavaScript callers branch on (declared once more in ts/errors.ts).
enum class ErrorCode {
  kInvalidArg,
  kDisposed,
  kWeights,
  kDevice,
  kOutOfMemory,
  kIo,
  kPeer,
  kDiverged,
  kAborted,
  kInternal,
};

inline const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArg:
      return "ERR_DECLIP_INVALID_ARG";
    case ErrorCode::kDisposed:
      return "ERR_DECLIP_DISPOSED";
    case ErrorCode::kWeights:
      return "ERR_DECLIP_WEIGHTS";
    case ErrorCode::kDevice:
      return "ERR_DECLIP_DEVICE";
    case ErrorCode::kOutOfMemory:
      return "ERR_DECLIP_OUT_OF_MEMORY";
    case ErrorCode::kIo:
      return "ERR_DECLIP_IO";
    case ErrorCode::kPeer:
      return "ERR_DECLIP_PEER";
    case ErrorCode::kDiverged:
      return "ERR_DECLIP_DIVERGED";
    case ErrorCode::kAborted:
      return "ERR_DECLIP_ABORTED";
    case ErrorCode::kInternal:
      break;
  }
  return "ERR_DECLIP_INTERNAL";
}

/// The only exception type the core throws on purpose. The message says what
/// was expected, what came and what to do next.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace declip
