#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "declip/process_group.h"
#include "train/adamw.h"

namespace declip {

/// Where a rank is. All must be at the same place when they meet.
struct Place {
  int64_t step = 0;
  int64_t random = 0;    // state of the random choices
  int64_t parts = 0;     // of the step
  int64_t part = 0;      // done
  int64_t pictures = 0;  // whose features are gathered
};

/// What the ranks of a training run do together; with no group, the one rank
/// there is. A rank that fails at its own work says so at the next meeting, so
/// that all leave a step together and can go on. Where a rank waits for others
/// its call can be cancelled (ProcessGroup).
class Ranks {
 public:
  explicit Ranks(std::shared_ptr<ProcessGroup> group = nullptr)
      : group_(std::move(group)) {}

  int rank() const { return group_ ? group_->rank() : 0; }
  int size() const { return group_ ? group_->size() : 1; }

  /// Throws GroupError if a rank has failed or is at another place.
  void meet(const Place& place, const Call& call) const {
    meet(place, nullptr, call);
  }
  /// Meets the others as the one that has failed. Does not throw.
  void fail(const Place& place,
            const std::exception& error,
            const Call& call) const noexcept;
  /// Whether any rank says so.
  bool any(bool flag, const Call& call) const;

  /// Rank 0's values in `tensors`, which must have the same names and shapes
  /// everywhere; `kind` has to be equal too.
  void share(const std::string& kind,
             const std::map<std::string, at::Tensor>& tensors,
             const Call& call) const;

  /// The rows of all ranks, rank 0's first, each rank having as many: x [B, E]
  /// to [size * B, E]. Afterwards all ranks must compute the same loss: the
  /// gradient of x is then the sum over the ranks' losses, as in open_clip
  /// with gather_with_grad and without local_loss.
  at::Tensor gather_rows(const at::Tensor& x, const Call& call) const;

  /// Sum over ranks of numbers by name, of which a rank may lack some of
  /// `names`. Summed in the order of ranks.
  void sum(std::map<std::string, double>& values,
           at::ArrayRef<const char*> names,
           const Call& call) const;

  /// Sum over ranks of the gradients, in flat buffers. A rank without a
  /// gradient that another has counts as zero.
  void sum_gradients(const std::vector<Parameter>& parameters,
                     const Call& call) const;

 private:
  void meet(const Place& place,
            const std::exception* error,
            const Call& call) const;

  std::shared_ptr<ProcessGroup> group_;
};

}  // namespace declip
