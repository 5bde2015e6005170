#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "files/json.h"

namespace declip::bench {

/// What the runner asks for: one JSON object.
class Request {
 public:
  explicit Request(Json json) : json_(std::move(json)) {}

  int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<int64_t> integers(const std::string& key) const;
  bool has(const std::string& key) const { return json_.find(key) != nullptr; }
  /// The tensor of a raw float32 file.
  at::Tensor file(const std::string& key, const std::string& shape_key) const;
  /// 'dtype', float32 if it is left out.
  at::ScalarType dtype() const;

 private:
  const Json& member(const std::string& key) const;
  Json json_;
};

/// Something to run over and over.
struct Task {
  std::function<at::Tensor()> run;  // the answer, or an undefined tensor
  double flops = 0;  // of one run, a multiplication and an addition as two
  double moved = 0;  // bytes that one run has to read and write at least
  double scale = 1;  // of the measured time: work that is counted, not run
  /// What a small run is off by against plain loops, and what it may be.
  double error = 0;
  double tolerance = 0;
};

using MakeTask = Task (*)(const Request&);

/// Null for a name that there is no task for.
MakeTask find_pixel_task(const std::string& name);
MakeTask find_layer_task(const std::string& name);
MakeTask find_region_task(const std::string& name);
MakeTask find_ceiling_task(const std::string& name);
MakeTask find_detector_task(const std::string& name);

/// Where the kernels run: the CPU, unless a program sets another.
at::Device& device();

/// float32 on device(), normally distributed, the same in every process.
at::Tensor random(at::IntArrayRef shape);

/// float32 on device(), to be written.
at::Tensor unwritten(at::IntArrayRef shape);

/// Largest difference of two tensors, NaN if either has one.
double largest_difference(const at::Tensor& a, const at::Tensor& b);

/// The same as a share of the largest expected value.
double relative_difference(const at::Tensor& got, const at::Tensor& expected);

}  // namespace declip::bench
