/// The kernels and the whole pipeline on one device, without Node: JSON lines
/// on stdout. scripts/check-gpu.sh runs it.
///
///   declip_device kernels
///   declip_device pipeline <folder> <model>...
///
/// Further arguments: --device cpu|cuda (cuda), --threads N (all), --small.

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "declip/runtime.h"
#include "kernels/task.h"
#include "line.h"
#include "programs.h"

namespace declip::bench {

std::string plain_text(std::string message) {
  message = message.substr(0, message.find('\n'));
  for (char& c : message) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = '\'';
  }
  return message;
}

namespace {

struct Arguments {
  std::vector<std::string> words;
  std::string device = "cuda";
  int threads = 0;
  bool small = false;

  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      const auto value = [&]() -> std::string {
        if (++i == argc) throw std::runtime_error(word + " takes a value");
        return argv[i];
      };
      if (word == "--device") {
        device = value();
      } else if (word == "--threads") {
        threads = std::stoi(value());
      } else if (word == "--small") {
        small = true;
      } else {
        words.push_back(word);
      }
    }
  }
};

bool run(const Arguments& arguments) {
  const auto& words = arguments.words;
  const bool kernels = words == std::vector<std::string>{"kernels"};
  const bool pipeline = words.size() >= 3 && words[0] == "pipeline";
  if (!kernels && !pipeline) {
    throw std::runtime_error(
        "pass `kernels`, or `pipeline <folder> <model>...`");
  }
  if (arguments.threads > 0) at::set_num_threads(arguments.threads);
  device() = device_from(arguments.device);
  const c10::InferenceMode guard;
  const auto about = runtime();
  Line("engine")
      .text("libtorch", about.libtorch)
      .flag("cudaBuild", about.cuda_build)
      .integer("cudaDevices", about.cuda_devices)
      .text("cpu", about.cpu)
      .text("kernels", about.kernels)
      .integer("threads", at::get_num_threads());
  const auto ceilings = measure_ceilings(arguments.small);
  Line("ceilings")
      .text("device", arguments.device)
      .number("copyGbPerSecond", ceilings.copy / 1e9)
      .number("float32Tflops", ceilings.float32 / 1e12)
      .number("bfloat16Tflops", ceilings.bfloat16 / 1e12)
      .number("float16Tflops", ceilings.float16 / 1e12);
  if (kernels) return run_kernels(ceilings, arguments.small);
  bool ok = true;
  for (size_t i = 2; i < words.size(); ++i) {
    ok &= run_pipeline(words[i], words[1], ceilings, arguments.small);
  }
  return ok;
}

}  // namespace
}  // namespace declip::bench

int main(int argc, char** argv) {
  try {
    return declip::bench::run({argc, argv}) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "declip_device: %s\n",
                 declip::bench::plain_text(error.what()).c_str());
    return 2;
  }
}
