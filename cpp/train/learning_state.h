#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "train/adamw.h"
#include "train/random.h"
#include "train/state_file.h"

namespace declip {

/// What a trainer carries from one step to the next, and how that is kept in a
/// file. Not for several threads at a time.
struct LearningState {
  /// What a file holds: the leaves that learn, and what else steps change.
  std::map<std::string, at::Tensor> tensors;
  std::vector<Parameter> learning;  // of `tensors`
  AdamW optimizer{{}, {}};
  std::vector<at::Tensor> average;  // of `learning`, empty without
  int64_t step = 0;
  SplitMix random{0};

  /// Once `learning` stands. Without `ema_decay` there is no average.
  void begin(const AdamW::Options& options, double ema_decay);
  /// After an update: `done` steps were made.
  void advance(int64_t done, double ema_decay);

  std::vector<std::string> names() const;
  /// Of moments and average.
  int64_t bytes() const;
  /// Leaves without their gradients, those that learn as their average has them
  /// if `averaged`. Throws Error(kInvalidArg) where there is none.
  std::map<std::string, at::Tensor> values(bool averaged) const;

  /// One safetensors file, written whole or not at all; `constant` is what
  /// load() of another trainer must find equal.
  void save(const std::string& path,
            std::map<std::string, std::string> metadata,
            const std::map<std::string, at::Tensor>& constant = {}) const;
  /// Everything is looked at before anything changes; `check` may reject the
  /// file too. Throws Error(kWeights).
  void load(const std::string& path,
            const std::string& format,
            const std::function<void(const StateFile&)>& check);
};

}  // namespace declip
