#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "declip/call.h"
#include "declip/error.h"

namespace declip {

/// The ranks cannot go on together: another one has failed, is too slow or
/// somewhere else, or a connection is lost. The rank that failed has an error
/// of its own.
class GroupError : public Error {
 public:
  explicit GroupError(const std::string& message)
      : Error(ErrorCode::kPeer, message) {}
};

struct ProcessGroupOptions {
  int rank = 0;  // 0..world_size-1
  int world_size = 1;
  /// Where rank 0 listens, the same for all.
  std::string address = "127.0.0.1";
  uint16_t port = 29500;
  /// 'auto': NCCL for tensors on CUDA, where the build has it, and gloo for
  /// those on the CPU. 'gloo' for all: CUDA's are copied to the CPU.
  std::string backend = "auto";
  /// How long a rank waits for the others, to join or at a collective. A rank
  /// whose process ends is noticed at once, by its closed connections.
  std::chrono::milliseconds timeout{600'000};
  /// How long a rank that was cancelled goes on waiting at a collective, so
  /// that all can leave together; then it closes the group.
  std::chrono::milliseconds patience{500};
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
  /// that cannot be, Error(kAborted), GroupError.
  explicit ProcessGroup(const ProcessGroupOptions& options,
                        const Call& call = {});
  ~ProcessGroup();

  int rank() const;
  int size() const;

  // `what` completes "while it waited for ..." in the GroupError of a
  // collective that fails; the group is closed then. `call` can end the wait
  // for the others: Error(kAborted), and the group is closed as well.

  /// x becomes the sum over ranks, the same bits on every rank. Contiguous.
  void sum(const at::Tensor& x, const std::string& what, const Call& call = {});
  /// x becomes that of rank 0. Contiguous.
  void broadcast(const at::Tensor& x,
                 const std::string& what,
                 const Call& call = {});
  /// x of every rank, [size, ...]; x must have one shape everywhere.
  at::Tensor gather(const at::Tensor& x,
                    const std::string& what,
                    const Call& call = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace declip
