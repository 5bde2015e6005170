#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "declip/error.h"

namespace declip {

/// The ranks could not go on together: a connection is lost or too slow, or
/// another rank has failed. Every rank gets one.
class GroupError : public Error {
 public:
  using Error::Error;
};

struct ProcessGroupOptions {
  int rank = 0;  // 0..world_size-1
  int world_size = 1;
  /// Where rank 0 listens, the same for all.
  std::string address = "127.0.0.1";
  uint16_t port = 29500;
  /// 'gloo', or 'nccl' for tensors on CUDA. Tensors on the CPU always go by
  /// gloo; under 'gloo' those on CUDA are copied to the CPU.
  std::string backend = "gloo";
  /// How long a rank waits for the others, to join or at a collective. A rank
  /// whose process ends is noticed at once, by its closed connections.
  std::chrono::milliseconds timeout{600'000};
};

/// Ranks of one training run, each with one of these: LibTorch's own process
/// groups (c10d), found through a store at rank 0. Every rank must make the
/// same calls in the same order. Not for several threads at a time.
///
/// Gloo listens on the loopback if `address` is one, else on the address that
/// reaches it; the environment variable GLOO_SOCKET_IFNAME names interfaces,
/// separated by commas, to take instead. A connection is neither encrypted nor
/// authenticated, like PyTorch's: use a private network.
class ProcessGroup {
 public:
  /// Joins, which waits for all ranks. Throws Error(kInvalidArg) for options
  /// that cannot be or a backend that this build has not; GroupError.
  explicit ProcessGroup(const ProcessGroupOptions& options);
  ~ProcessGroup();

  int rank() const;
  int size() const;

  // `what` completes "while it waited for ..." in the GroupError of a
  // collective that fails; the group is closed then.

  /// x becomes the sum over ranks, the same bits on every rank. Contiguous.
  void sum(const at::Tensor& x, const std::string& what);
  /// x becomes that of rank 0. Contiguous.
  void broadcast(const at::Tensor& x, const std::string& what);
  /// x of every rank, [size, ...]; x must have one shape everywhere.
  at::Tensor gather(const at::Tensor& x, const std::string& what);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace declip
