#include "io/convert.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "declip/error.h"
#include "io/text.h"

namespace declip {
namespace {

[[noreturn]] void reject_key(const std::string& path,
                             const std::string& key,
                             const std::string& why) {
  throw Error(ErrorCode::kWeights,
              path + ": tensor " + in_quotes(key) + " " + why + ".");
}

// The q, k and v parts of one fused tensor, with their names in the file.
struct FusedParts {
  std::array<at::Tensor, 3> parts;
  std::array<std::string, 3> keys;
};

size_t part_index(Transform transform) {
  return static_cast<size_t>(transform) -
         static_cast<size_t>(Transform::kQuery);
}

// The name in the file of the part that `rule` would have filled.
std::string part_key(KeyMap key_map,
                     const std::string& internal,
                     size_t index) {
  for (const KeyRule& rule : key_map) {
    if (rule.transform < Transform::kQuery ||
        rule.transform > Transform::kValue ||
        part_index(rule.transform) != index) {
      continue;
    }
    if (const auto parts = match_key(rule.internal, internal)) {
      return fill_key(rule.source, *parts);
    }
  }
  return internal;
}

void add(TowerTensors& out,
         const std::string& internal,
         const at::Tensor& tensor) {
  if (!out.tensors.emplace(internal, tensor).second) {
    out.reject(internal, "is in the file under two names");
  }
}

at::Tensor fuse(const FusedParts& fused,
                KeyMap key_map,
                const std::string& internal,
                const std::string& path) {
  for (size_t i = 0; i < fused.parts.size(); ++i) {
    if (!fused.parts[i].defined()) {
      reject_key(path,
                 part_key(key_map, internal, i),
                 "is missing, though other parts of the same attention layer "
                 "are there");
    }
    if (fused.parts[i].dim() == 0 ||
        fused.parts[i].sizes() != fused.parts[0].sizes() ||
        fused.parts[i].scalar_type() != fused.parts[0].scalar_type()) {
      reject_key(path,
                 fused.keys[i],
                 "must have the shape and type of " + in_quotes(fused.keys[0]) +
                     ", " + c10::str(fused.parts[0].sizes()) + " " +
                     c10::toString(fused.parts[0].scalar_type()) + ", found " +
                     c10::str(fused.parts[i].sizes()) + " " +
                     c10::toString(fused.parts[i].scalar_type()));
    }
  }
  return at::cat(fused.parts);
}

}  // namespace

void TowerTensors::reject(const std::string& internal,
                          const std::string& why) const {
  reject_key(path, source_key(key_map, internal), why);
}

const at::Tensor& TowerTensors::need(const std::string& internal,
                                     int64_t rank) const {
  const auto it = tensors.find(internal);
  if (it == tensors.end()) {
    reject(internal,
           "is missing; the file is incomplete or holds another kind of model");
  }
  if (it->second.dim() != rank) {
    reject(internal,
           "must have " + std::to_string(rank) + " dimensions, found shape " +
               c10::str(it->second.sizes()));
  }
  return it->second;
}

int64_t TowerTensors::count_blocks(const std::string& prefix) const {
  constexpr size_t kMaxDigits = 6;
  int64_t count = 0;
  for (auto it = tensors.lower_bound(prefix);
       it != tensors.end() && it->first.starts_with(prefix);
       ++it) {
    const auto parts = match_key(prefix + "#.*", it->first);
    if (!parts) continue;
    if (parts->front().size() > kMaxDigits) {
      reject(it->first, "has a block number above 999999");
    }
    count = std::max(count, 1 + int64_t{std::stoi(parts->front())});
  }
  return count;
}

TowerTensors to_internal(const std::map<std::string, at::Tensor>& tensors,
                         KeyMap key_map,
                         const std::string& path) {
  TowerTensors out{path, key_map, {}, {}};
  std::map<std::string, FusedParts> fused;
  for (const auto& [key, tensor] : tensors) {
    bool mapped = false;
    for (const KeyRule& rule : key_map) {
      const auto parts = match_key(rule.source, key);
      if (!parts) continue;
      mapped = true;
      if (rule.transform == Transform::kDrop) break;
      const std::string internal = fill_key(rule.internal, *parts);
      if (rule.transform == Transform::kNone) {
        add(out, internal, tensor);
      } else if (rule.transform == Transform::kTranspose) {
        if (tensor.dim() != 2) {
          reject_key(path,
                     key,
                     "must have 2 dimensions, found shape " +
                         c10::str(tensor.sizes()));
        }
        add(out, internal, tensor.t().contiguous());
      } else {
        FusedParts& target = fused[internal];
        target.parts[part_index(rule.transform)] = tensor;
        target.keys[part_index(rule.transform)] = key;
      }
      break;
    }
    if (!mapped) out.unused.push_back(key);
  }
  for (const auto& [internal, parts] : fused) {
    add(out, internal, fuse(parts, key_map, internal, path));
  }
  return out;
}

}  // namespace declip
