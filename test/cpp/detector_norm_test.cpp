// Batch norms of a detector in training, alone and over ranks.

#include "train/detector_norm.h"

#include <ATen/ATen.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "random_planes.h"
#include "tap.h"

namespace {

using Tensors = std::map<std::string, at::Tensor>;

Tensors norm_of(Random& random, int64_t channels) {
  return {{"n.weight", random.tensor({channels})},
          {"n.bias", random.tensor({channels})},
          {"n.running_mean", random.tensor({channels})},
          {"n.running_var", random.tensor({channels}).abs() + 0.5},
          {"n.num_batches_tracked", at::full({}, 7, at::kLong)}};
}

/// Rows of several threads, each of which waits for the others.
class Exchange {
 public:
  explicit Exchange(size_t size) : rows_(size) {}

  at::Tensor gather(size_t rank, const at::Tensor& row) {
    std::unique_lock lock(mutex_);
    rows_[rank] = row.clone();
    const auto round = round_;
    if (++come_ == rows_.size()) {
      all_ = at::stack(rows_);
      come_ = 0;
      ++round_;
      ready_.notify_all();
    }
    ready_.wait(lock, [&] { return round_ != round; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<at::Tensor> rows_;
  at::Tensor all_;
  size_t come_ = 0;
  int round_ = 0;
};

}  // namespace

TEST(a_batch_norm_that_learns_is_its_formula) {
  Random random;
  for (int i = 0; i < 10; ++i) {
    const int64_t n = random.integer(1, 3), c = random.integer(1, 5),
                  h = random.integer(1, 4), w = random.integer(2, 5);
    const auto tensors = norm_of(random, c);
    const auto x = random.tensor({n, c, h, w}) * 3 + 1;
    declip::BatchNorms norms(tensors, 0.3);
    const auto got = norms("n", x).to(at::kDouble);
    const auto d = x.to(at::kDouble);
    const auto rows = d.transpose(0, 1).flatten(1);
    const auto mean = rows.mean(1), variance = rows.var(1, false);
    const auto plane = [](const at::Tensor& v) {
      return v.to(at::kDouble).view({1, -1, 1, 1});
    };
    const auto expected = (d - plane(mean)) / (plane(variance) + 1e-5).sqrt() *
                              plane(tensors.at("n.weight")) +
                          plane(tensors.at("n.bias"));
    CHECK_CLOSE((got - expected).abs().max().item<double>(), 0, 2e-5);
    const auto& running = norms.running();
    const auto near = [&](const char* name, const at::Tensor& now) {
      const auto wanted = 0.7 * tensors.at(name).to(at::kDouble) + 0.3 * now;
      CHECK_CLOSE(
          (running.at(name) - wanted).abs().max().item<double>(), 0, 1e-5);
    };
    near("n.running_mean", mean);
    near("n.running_var", rows.var(1, true));
    CHECK(running.at("n.num_batches_tracked").item<int64_t>() == 8);
    CHECK(tensors.at("n.num_batches_tracked").item<int64_t>() == 7);
  }
}

TEST(one_value_moves_the_mean_alone) {
  Random random;
  const auto tensors = norm_of(random, 3);
  declip::BatchNorms norms(tensors, 0.1);
  const auto y = norms("n", random.tensor({1, 3, 1, 1}));
  CHECK(at::allclose(y.flatten(), tensors.at("n.bias"), 0, 1e-4));
  const auto& running = norms.running();
  CHECK(at::equal(running.at("n.running_var"), tensors.at("n.running_var")));
  CHECK(!at::equal(running.at("n.running_mean"), tensors.at("n.running_mean")));
}

/// Ranks with batches of other sizes, one of them empty, against the one
/// process that has them all.
TEST(batch_norms_of_ranks_are_those_of_one_process) {
  Random random;
  const std::vector<int64_t> counts{3, 0, 1};
  const int64_t channels = 4;
  const auto make = [&] {
    auto tensors = norm_of(random, channels);
    return tensors;
  };
  const auto base = make();
  const auto leaves = [&] {
    Tensors out;
    for (const auto& [name, tensor] : base) {
      out[name] = tensor.clone();
      if (name == "n.weight" || name == "n.bias") out[name].requires_grad_();
    }
    return out;
  };
  std::vector<at::Tensor> parts, pulls;
  for (const int64_t count : counts) {
    parts.push_back(random.tensor({count, channels, 2, 3}) * 2 - 1);
    pulls.push_back(random.tensor({count, channels, 2, 3}));
  }
  auto whole = leaves();
  const auto x = at::cat(parts).requires_grad_();
  declip::BatchNorms one(whole, 0.1);
  const auto y = one("n", x);
  (y * at::cat(pulls)).sum().backward();

  Exchange exchange(counts.size());
  std::vector<Tensors> own(counts.size());
  std::vector<Tensors> running(counts.size());
  std::vector<at::Tensor> inputs(counts.size()), outputs(counts.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < counts.size(); ++rank) own[rank] = leaves();
  for (size_t rank = 0; rank < counts.size(); ++rank) {
    threads.emplace_back([&, rank] {
      inputs[rank] = parts[rank].clone().requires_grad_();
      declip::BatchNorms norms(own[rank], 0.1, [&](const at::Tensor& row) {
        return exchange.gather(rank, row);
      });
      outputs[rank] = norms("n", inputs[rank]);
      (outputs[rank] * pulls[rank]).sum().backward();
      running[rank] = norms.running();
    });
  }
  for (auto& thread : threads) thread.join();
  const auto close = [](const at::Tensor& a, const at::Tensor& b) {
    CHECK_CLOSE((a - b).abs().max().item<double>(), 0, 2e-5);
  };
  close(at::cat(outputs), y);
  std::vector<at::Tensor> gradients;
  for (const auto& input : inputs) gradients.push_back(input.grad());
  close(at::cat(gradients), x.grad());
  for (const char* name : {"n.weight", "n.bias"}) {
    at::Tensor sum;
    for (const auto& tensors : own) {
      const auto& gradient = tensors.at(name).grad();
      sum = sum.defined() ? sum + gradient : gradient;
    }
    close(sum, whole.at(name).grad());
  }
  for (const auto& [name, tensor] : one.running()) {
    for (const auto& others : running) {
      close(others.at(name).to(at::kFloat), tensor.to(at::kFloat));
    }
  }
}
