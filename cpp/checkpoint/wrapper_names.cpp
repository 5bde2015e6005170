#include "checkpoint/wrapper_names.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "declip/error.h"
#include "files/text.h"

namespace declip {
namespace {

using NamedTensors = std::map<std::string, at::Tensor>;
using IsKnown = std::function<bool(const NamedTensors&)>;

// No layout begins with these.
constexpr std::array<std::string_view, 9> kWrapperNames{"module.",
                                                        "_orig_mod.",
                                                        "model.",
                                                        "net.",
                                                        "network.",
                                                        "state_dict.",
                                                        "_forward_module.",
                                                        "_fsdp_wrapped_module.",
                                                        "clip_model."};
constexpr int kMaxWrapperDepth = 8;
constexpr size_t kMaxParts = 32;  // side by side

// "a." of "a.b.c"; empty where a name has no dot.
std::string first_part(const std::string& name) {
  const size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot + 1);
}

bool all_begin_with(const NamedTensors& tensors, std::string_view part) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const auto& named) {
    return named.first.starts_with(part) && named.first.size() > part.size();
  });
}

NamedTensors below(const NamedTensors& tensors, const std::string& part) {
  NamedTensors out;
  for (auto it = tensors.lower_bound(part);
       it != tensors.end() && it->first.starts_with(part);
       ++it) {
    if (it->first.size() > part.size()) {
      out.emplace(it->first.substr(part.size()), it->second);
    }
  }
  return out;
}

struct Unwrapped {
  std::string part;  // all that was taken off
  NamedTensors tensors;
};

bool is_average(const std::string& part) {
  return part.find("ema") != std::string::npos ||
         part.find("average") != std::string::npos;
}

// The names that `known` knows, below whatever leads to them.
std::optional<Unwrapped> unwrapped(NamedTensors tensors,
                                   const IsKnown& known,
                                   const std::string& path,
                                   int depth) {
  if (tensors.empty() || depth > kMaxWrapperDepth) return {};
  for (const std::string_view wrapper : kWrapperNames) {
    if (!all_begin_with(tensors, wrapper)) continue;
    auto inner =
        unwrapped(below(tensors, std::string(wrapper)), known, path, depth + 1);
    if (!inner) break;
    inner->part.insert(0, wrapper);
    return inner;
  }
  if (known(tensors)) return Unwrapped{"", std::move(tensors)};

  std::vector<std::string> parts;
  for (auto it = tensors.begin(); it != tensors.end();) {
    const std::string part = first_part(it->first);
    if (part.empty()) {
      ++it;
      continue;
    }
    parts.push_back(part);
    if (parts.size() > kMaxParts) return {};
    while (it != tensors.end() && it->first.starts_with(part)) ++it;
  }
  std::vector<Unwrapped> found;
  for (const std::string& part : parts) {
    auto inner = unwrapped(below(tensors, part), known, path, depth + 1);
    if (!inner) continue;
    inner->part.insert(0, part);
    found.push_back(std::move(*inner));
  }
  if (found.size() > 1) {
    const auto averages = std::stable_partition(
        found.begin(), found.end(), [](const Unwrapped& model) {
          return !is_average(model.part);
        });
    if (averages != found.begin()) found.erase(averages, found.end());
  }
  if (found.size() > 1) {
    std::string names;
    for (const Unwrapped& model : found) {
      names += (names.empty() ? "" : ", ") + in_quotes(model.part);
    }
    throw Error(ErrorCode::kWeights,
                path +
                    ": not a checkpoint this package runs: it holds several "
                    "models, whose names begin with " +
                    names + "; save one of them alone.");
  }
  if (found.empty()) return {};
  return std::move(found.front());
}

}  // namespace

void strip_wrapper_names(NamedTensors& tensors,
                         const IsKnown& known,
                         const std::string& path,
                         std::vector<std::string>& notes) {
  auto found = unwrapped(tensors, known, path, 0);
  if (!found || found->part.empty()) return;
  const size_t left = tensors.size() - found->tensors.size();
  std::string note = "took the tensors whose names begin with " +
                     in_quotes(found->part) + ", without that";
  if (left > 0) {
    const auto other =
        std::find_if(tensors.begin(), tensors.end(), [&](const auto& named) {
          return !named.first.starts_with(found->part);
        });
    note += "; left " + std::to_string(left) + " others (" +
            (other == tensors.end() ? "" : other->first + ", ") + "...)";
  }
  notes.push_back(note);
  tensors = std::move(found->tensors);
}

}  // namespace declip
