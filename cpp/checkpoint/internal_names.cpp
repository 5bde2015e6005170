#include "checkpoint/internal_names.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "files/finite.h"
#include "files/text.h"

namespace declip {
namespace {

[[noreturn]] void reject_key(const std::string& path,
                             const std::string& key,
                             const std::string& why) {
  throw Error(ErrorCode::kWeights,
              path + ": tensor " + in_quotes(key) + " " + why + ".");
}

// Which part of a fused tensor a transform gives, of how many; none if it does
// not.
struct Part {
  size_t index = 0;
  size_t count = 0;
  bool alike = true;  // all parts have the same number of rows
};

Part part_of(Transform transform) {
  switch (transform) {
    case Transform::kQuery:
      return {0, 3};
    case Transform::kKey:
      return {1, 3};
    case Transform::kValue:
      return {2, 3};
    case Transform::kGate:
      return {0, 2};
    case Transform::kUp:
      return {1, 2};
    case Transform::kQueryPart:
      return {0, 2, false};
    case Transform::kKeysAndValues:
      return {1, 2, false};
    default:
      return {};
  }
}

// The parts of one fused tensor, with their names in the file.
struct FusedParts {
  std::vector<at::Tensor> parts;
  std::vector<std::string> keys;
  bool alike = true;
};

/// Whether the parts can stand above each other.
bool fit(const at::Tensor& part, const at::Tensor& first, bool alike) {
  return part.dim() > 0 && part.dim() == first.dim() &&
         part.scalar_type() == first.scalar_type() &&
         part.sizes().slice(alike ? 0 : 1) ==
             first.sizes().slice(alike ? 0 : 1);
}

// The name in the file of the part that `rule` would have filled.
std::string part_key(const TowerTensors& out,
                     const std::string& internal,
                     size_t index) {
  for (const KeyRule& rule : out.key_map) {
    const Part part = part_of(rule.transform);
    if (part.count == 0 || part.index != index) continue;
    if (const auto parts = match_key(rule.internal, internal)) {
      return out.prefix + fill_key(rule.source, *parts);
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
                const TowerTensors& out,
                const std::string& internal) {
  const std::string& path = out.path;
  for (size_t i = 0; i < fused.parts.size(); ++i) {
    if (!fused.parts[i].defined()) {
      reject_key(path,
                 part_key(out, internal, i),
                 "is missing, though other parts of the same layer are there");
    }
    if (!fit(fused.parts[i], fused.parts[0], fused.alike)) {
      reject_key(path,
                 fused.keys[i],
                 std::string("must have the ") +
                     (fused.alike ? "shape" : "row length") + " and type of " +
                     in_quotes(fused.keys[0]) + ", " +
                     c10::str(fused.parts[0].sizes()) + " " +
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
  reject_key(path, prefix + source_key(key_map, internal), why);
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

std::function<void(const std::string&, const at::Tensor&)>
TowerTensors::finite_check() const {
  return [names = TowerTensors{path, key_map, prefix, {}, {}}](
             const std::string& name, const at::Tensor& tensor) {
    if (all_finite(tensor)) return;
    names.reject(name,
                 "holds NaN or infinite numbers: the training that wrote it "
                 "diverged, or the file is damaged. Use an earlier checkpoint, "
                 "or download it again");
  };
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
                         const std::string& path,
                         const std::string& prefix) {
  TowerTensors out{path, key_map, prefix, {}, {}};
  std::map<std::string, FusedParts> fused;
  for (const auto& [key, tensor] : tensors) {
    bool mapped = false;
    const bool inside = key.starts_with(prefix);
    const std::string_view name =
        std::string_view(key).substr(inside ? prefix.size() : 0);
    for (const KeyRule& rule : key_map) {
      if (!inside) break;
      const auto parts = match_key(rule.source, name);
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
        const Part part = part_of(rule.transform);
        FusedParts& target = fused[internal];
        target.parts.resize(part.count);
        target.keys.resize(part.count);
        target.parts[part.index] = tensor;
        target.keys[part.index] = key;
        target.alike = part.alike;
      }
      break;
    }
    if (!mapped) out.unused.emplace(key, tensor);
  }
  for (const auto& [internal, parts] : fused) {
    add(out, internal, fuse(parts, out, internal));
  }
  return out;
}

}  // namespace declip
