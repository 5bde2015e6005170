#include "model/graphs.h"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <mutex>

namespace declip {
namespace {

/// Graphs kept per model: each holds the activations of its pass.
constexpr size_t kMostGraphs = 16;

struct Recording {
  at::Tensor input, output;  // what the recorded kernels read and write
  at::cuda::CUDAGraph graph;
};

using Work = std::function<at::Tensor(const at::Tensor&)>;

class CudaGraphs final : public Graphs {
 public:
  at::Tensor run(const std::string& key,
                 const at::Tensor& input,
                 const Work& work) override {
    const std::lock_guard lock(mutex_);
    const c10::cuda::CUDAGuard guard(input.device());
    const auto found = recordings_.find(key);
    if (found == recordings_.end()) {
      // Libraries set themselves up in the first pass, which no graph can hold.
      if (recordings_.size() < kMostGraphs) recordings_.emplace(key, nullptr);
      return work(input);
    }
    auto& recording = found->second;
    if (!recording) recording = record(input, work);
    recording->input.copy_(input);
    recording->graph.replay();
    return recording->output.clone();
  }

 private:
  static std::unique_ptr<Recording> record(const at::Tensor& input,
                                           const Work& work) {
    auto recording = std::make_unique<Recording>();
    recording->input = input.clone();
    // The default stream cannot be recorded.
    const c10::cuda::CUDAStreamGuard aside(c10::cuda::getStreamFromPool(
        /*isHighPriority=*/false, input.device().index()));
    // Other threads may use the device meanwhile.
    recording->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      recording->output = work(recording->input);
    } catch (...) {
      // The error that ended the pass says more than the one that follows it.
      try {
        recording->graph.capture_end();
      } catch (...) {
      }
      throw;
    }
    recording->graph.capture_end();
    return recording;
  }

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Recording>> recordings_;
};

}  // namespace

std::unique_ptr<Graphs> make_graphs() { return std::make_unique<CudaGraphs>(); }

}  // namespace declip
