/// The core's side of the benches: one task, named by a JSON object in the last
/// argument, done once for every line "run". bench/program.mjs has the
/// protocol.

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "declip/memory.h"
#include "task.h"

namespace declip::bench {
namespace {

/// Bytes of VmRSS or VmHWM; 0 where the system does not tell.
long long memory(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key, 0) == 0) {
      return 1024 * std::stoll(line.substr(line.find(':') + 1));
    }
  }
  return 0;
}

MakeTask find(const std::string& name) {
  for (const auto find : {find_pixel_task,
                          find_layer_task,
                          find_region_task,
                          find_detector_task,
                          find_ceiling_task}) {
    if (const auto make = find(name)) return make;
  }
  throw std::runtime_error("there is no task '" + name + "'");
}

void announce(const Task& task) {
  std::printf("{\"ready\":true,\"rss\":%lld,\"peak\":%lld",
              memory("VmRSS"),
              memory("VmHWM"));
  std::ofstream("/proc/self/clear_refs") << 5;
  if (task.flops > 0) std::printf(",\"flops\":%.17g", task.scale * task.flops);
  if (task.moved > 0) std::printf(",\"moved\":%.17g", task.moved);
  if (task.tolerance > 0) {
    std::printf(
        ",\"error\":%.17g,\"tolerance\":%.17g", task.error, task.tolerance);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

void serve(const Request& request) {
  // As binding/queue.cpp runs its jobs.
  at::set_num_threads(static_cast<int>(request.integer("threads")));
  const c10::InferenceMode guard;
  const MemoryScope scope;
  const Task task = find(request.text("task"))(request);
  announce(task);
  at::Tensor answer;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "run") {
      answer = at::Tensor();  // what is measured has no other answer beside it
      const auto start = std::chrono::steady_clock::now();
      answer = task.run();
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      std::printf("{\"ms\":%.6f,\"peak\":%lld,\"bytes\":%zu}\n",
                  task.scale * took.count(),
                  memory("VmHWM"),
                  answer.defined() ? answer.nbytes() : 0);
    } else {
      std::ofstream out(line.substr(line.find(' ') + 1), std::ios::binary);
      out.write(static_cast<const char*>(answer.const_data_ptr()),
                static_cast<std::streamsize>(answer.nbytes()));
      std::printf("{\"written\":true}\n");
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace declip::bench

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("pass one JSON object");
    declip::bench::serve(
        declip::bench::Request(declip::parse_json(argv[1], "the task")));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "declip_bench: %s\n", error.what());
    return 1;
  }
}
