#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace declip {

/// What the engine runs on, for `declip doctor`.
struct Runtime {
  std::string libtorch;  // version
  std::string cpu;       // instruction set LibTorch chose, e.g. "AVX2"
  bool onednn = false;
  bool cuda_build = false;  // has CUDA kernels
  int64_t cuda_devices = 0;
  std::string kernels;  // instruction set of our kernels, e.g. "AVX-512", and
                        // whether the build has no other
  std::string float32;  // what linear layers of each type run on here
  std::string bfloat16;
  std::string int8;
  bool bfloat16_units = false;  // products of bfloat16 are not emulated
};

Runtime runtime();
/// Whether this build holds kernels that this processor can run; nothing else
/// may be called where it does not.
bool kernels_run_here();

/// 'cpu', 'cuda' or 'cuda:N'. Throws Error(kInvalidArg) or Error(kDevice).
c10::Device device_from(const std::string& name);

}  // namespace declip
