#include "train/learning_state.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "declip/error.h"
#include "declip/safetensors.h"
#include "train/update.h"

namespace declip {

void LearningState::begin(const AdamW::Options& options, double ema_decay) {
  const c10::NoGradGuard guard;
  optimizer = AdamW(learning, options);
  average.clear();
  if (ema_decay == 0) return;
  for (const auto& value : values_of(learning)) {
    average.push_back(value.clone());
  }
}

void LearningState::advance(int64_t done, double ema_decay) {
  const c10::NoGradGuard guard;
  random.next();
  step = done;
  if (!average.empty()) {
    at::_foreach_lerp_(average, values_of(learning), 1 - ema_decay);
  }
}

std::vector<std::string> LearningState::names() const {
  std::vector<std::string> out;
  for (const auto& parameter : learning) out.push_back(parameter.name);
  return out;
}

int64_t LearningState::bytes() const {
  const size_t kept = average.empty() ? 2 : 3;
  size_t bytes = 0;
  for (const auto& parameter : learning) {
    bytes += kept * parameter.value.nbytes();
  }
  return static_cast<int64_t>(bytes);
}

std::map<std::string, at::Tensor> LearningState::values(bool averaged) const {
  if (averaged && average.empty()) {
    throw Error(ErrorCode::kInvalidArg,
                "There is no average to export: train with emaDecay above 0.");
  }
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : tensors) out.emplace(name, tensor.detach());
  for (size_t i = 0; averaged && i < average.size(); ++i) {
    out[learning[i].name] = average[i];
  }
  return out;
}

void LearningState::save(
    const std::string& path,
    std::map<std::string, std::string> metadata,
    const std::map<std::string, at::Tensor>& constant) const {
  auto out = optimizer.state();
  for (const auto& [name, tensor] : tensors) {
    out.emplace("parameters." + name, tensor.detach());
  }
  for (size_t i = 0; i < average.size(); ++i) {
    out.emplace("average." + learning[i].name, average[i]);
  }
  out.insert(constant.begin(), constant.end());
  metadata.emplace("step", std::to_string(step));
  metadata.emplace("random", std::to_string(random.state()));
  write_safetensors(path, out, metadata);
}

void LearningState::load(const std::string& path,
                         const std::string& format,
                         const std::function<void(const StateFile&)>& check) {
  const c10::NoGradGuard guard;
  const StateFile file(path, format);
  check(file);
  const auto done = static_cast<int64_t>(file.number("step"));
  const uint64_t drawn = file.number("random");
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, tensor] : tensors) {
    copies.emplace_back(tensor, file.find("parameters." + name, tensor));
  }
  for (size_t i = 0; i < average.size(); ++i) {
    copies.emplace_back(average[i],
                        file.find("average." + learning[i].name, average[i]));
  }
  optimizer.check_state(file.tensors(), path);
  file.check();

  optimizer.restore(file.tensors());
  for (const auto& [to, from] : copies) to.copy_(from);
  step = done;
  random = SplitMix(drawn);
}

}  // namespace declip
