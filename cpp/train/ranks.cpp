#include "train/ranks.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <sstream>
#include <type_traits>

namespace declip {
namespace {

/// Of a flat buffer: PyTorch's DistributedDataParallel has the same.
constexpr int64_t kBucketBytes = 25 << 20;

/// What ranks tell each other when they meet.
struct Message {
  Place place;
  int64_t failed = 0;
  char text[512] = {};
};
static_assert(std::is_trivially_copyable_v<Message>);

std::string name(int rank) { return "Rank " + std::to_string(rank); }

std::string describe(const Place& place) {
  std::ostringstream out;
  out << "before step " << place.step + 1 << ", part " << place.part << " of "
      << place.parts << ", with " << place.pictures
      << " pictures to gather and random state "
      << static_cast<uint64_t>(place.random);
  return out.str();
}

bool same(const Place& a, const Place& b) {
  return a.step == b.step && a.random == b.random && a.parts == b.parts &&
         a.part == b.part && a.pictures == b.pictures;
}

void write(Message& message, const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  message.failed = 1;
  std::string text = torch ? torch->what_without_backtrace() : error.what();
  text.resize(std::min(text.size(), sizeof message.text - 1));
  std::copy(text.begin(), text.end(), message.text);
}

/// Calls use(flat) for about kBucketBytes of the tensors at a time and copies
/// back what it has made of them.
void in_buckets(const std::vector<at::Tensor>& tensors,
                const std::function<void(const at::Tensor&)>& use) {
  for (size_t begin = 0; begin < tensors.size();) {
    std::vector<at::Tensor> rows;
    size_t end = begin;
    for (int64_t bytes = 0; end < tensors.size() && bytes < kBucketBytes;
         ++end) {
      rows.push_back(tensors[end].reshape(-1));
      bytes += static_cast<int64_t>(tensors[end].nbytes());
    }
    const auto flat = at::cat(rows);
    use(flat);
    int64_t offset = 0;
    for (; begin < end; ++begin) {
      const auto& tensor = tensors[begin];
      tensor.copy_(flat.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
      offset += tensor.numel();
    }
  }
}

}  // namespace

void Ranks::meet(const Place& place,
                 const std::exception* error,
                 const Call& call) const {
  if (!group_) return;
  Message own;
  own.place = place;
  if (error) write(own, *error);
  const auto sent = at::empty({sizeof own}, at::kByte);
  std::memcpy(sent.mutable_data_ptr(), &own, sizeof own);
  const auto all =
      group_->gather(sent, "the others to get to the same place", call);
  std::vector<Message> messages(static_cast<size_t>(size()));
  std::memcpy(messages.data(), all.const_data_ptr(), all.nbytes());
  for (int rank = 0; rank < size(); ++rank) {
    const auto& message = messages[static_cast<size_t>(rank)];
    if (!message.failed) continue;
    throw GroupError(name(rank) + " has failed, so no rank makes step " +
                     std::to_string(place.step + 1) + ": " +
                     std::string(message.text));
  }
  for (int rank = 1; rank < size(); ++rank) {
    const auto& other = messages[static_cast<size_t>(rank)].place;
    if (same(other, messages[0].place)) continue;
    throw GroupError(
        "The ranks do not agree: rank 0 is " + describe(messages[0].place) +
        "; rank " + std::to_string(rank) + " " + describe(other) +
        ". All must load the same state and be given as many batches, "
        "and for contrastive training as many pictures, as the others.");
  }
}

void Ranks::fail(const Place& place,
                 const std::exception& error,
                 const Call& call) const noexcept {
  try {
    meet(place, &error, call);
  } catch (...) {
    // This rank's own error is the one to report.
  }
}

bool Ranks::any(bool flag, const Call& call) const {
  if (!group_) return flag;
  const auto count = at::full({1}, flag ? 1 : 0, at::kInt);
  group_->sum(count, "the others to say whether they go on", call);
  return count.item<int>() > 0;
}

void Ranks::share(const std::string& kind,
                  const std::map<std::string, at::Tensor>& tensors,
                  const Call& call) const {
  if (!group_) return;
  std::string list = kind;
  std::vector<at::Tensor> values;
  for (const auto& [name, tensor] : tensors) {
    list += "\n" + name + c10::str(tensor.sizes());
    values.push_back(tensor.detach());
  }
  const auto hash = static_cast<int64_t>(std::hash<std::string>{}(list));
  const auto hashes = group_->gather(
      at::full({1}, hash, at::kLong), "the others' models", call);
  if (!hashes.eq(hash).all().item<bool>()) {
    throw GroupError(
        "The ranks do not have the same model and objective: "
        "start them with the same checkpoint and options.");
  }
  in_buckets(values, [&](const at::Tensor& flat) {
    group_->broadcast(flat, "rank 0's parameters", call);
  });
}

at::Tensor Ranks::gather_rows(const at::Tensor& x, const Call& call) const {
  if (!group_) return x;
  const auto all = group_->gather(x.detach(), "the others' features", call);
  std::vector<at::Tensor> rows = all.unbind(0);
  // Every rank has the same loss, so the sum of its gradients over the ranks
  // is `size` times one's own; sum_gradients() takes the mean of all.
  auto own = x.view_as(x);
  if (own.requires_grad()) {
    own.register_hook(
        [count = size()](const at::Tensor& gradient) -> at::Tensor {
          return gradient * count;
        });
  }
  rows[static_cast<size_t>(rank())] = own;
  return at::cat(rows);
}

void Ranks::sum(std::map<std::string, double>& values,
                at::ArrayRef<const char*> names,
                const Call& call) const {
  if (!group_) return;
  const auto own =
      at::zeros({2, static_cast<int64_t>(names.size())}, at::kDouble);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto it = values.find(names[i]);
    if (it == values.end()) continue;
    own[0][static_cast<int64_t>(i)] = it->second;
    own[1][static_cast<int64_t>(i)] = 1;
  }
  const auto all = group_->gather(own, "the others' losses", call);
  for (size_t i = 0; i < names.size(); ++i) {
    double sum = 0, present = 0;
    for (int64_t rank = 0; rank < size(); ++rank) {
      const auto column = static_cast<int64_t>(i);
      sum += all[rank][0][column].item<double>();
      present += all[rank][1][column].item<double>();
    }
    if (present > 0) values[names[i]] = sum;
  }
}

void Ranks::sum_gradients(const std::vector<Parameter>& parameters,
                          const Call& call) const {
  if (!group_ || parameters.empty()) return;
  const auto count = static_cast<int64_t>(parameters.size());
  const auto present = at::zeros({count}, at::kInt);
  int* flags = present.mutable_data_ptr<int>();
  for (size_t i = 0; i < parameters.size(); ++i) {
    flags[i] = parameters[i].value.grad().defined() ? 1 : 0;
  }
  group_->sum(present, "the names of the others' gradients", call);
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (flags[i] == 0) continue;
    const auto& value = parameters[i].value;
    auto& gradient = value.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(value.detach());
    gradients.push_back(gradient);
  }
  in_buckets(gradients, [&](const at::Tensor& flat) {
    group_->sum(flat, "the others' gradients", call);
  });
}

}  // namespace declip
