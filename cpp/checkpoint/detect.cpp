#include "checkpoint/detect.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/refused.h"
#include "declip/error.h"
#include "files/foreign_formats.h"
#include "files/text.h"

namespace declip {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

bool has_key(const Tensors& tensors, std::string_view pattern) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& named) {
    return match_key(pattern, named.first).has_value();
  });
}

/// The prefix behind which the file has what `signature` looks for.
std::optional<std::string> match(const Tensors& tensors,
                                 const Signature& signature) {
  constexpr std::array<std::string_view, 1> kNone{""};
  const std::span<const std::string_view> prefixes =
      signature.prefixes.empty() ? kNone : signature.prefixes;
  for (const std::string_view prefix : prefixes) {
    const auto behind = [&](std::string_view key) {
      return std::string(prefix).append(key);
    };
    if (has_key(tensors, behind(signature.key)) &&
        (signature.also.empty() || has_key(tensors, behind(signature.also))) &&
        (signature.without.empty() ||
         !has_key(tensors, behind(signature.without)))) {
      return std::string(prefix);
    }
  }
  return std::nullopt;
}

/// "OpenAI, EVA02-CLIP, DINO or SAM": those with texts as they are listed, then
/// vision foundation models by name.
std::string titles(Families families) {
  std::vector<const FamilySpec*> sorted(families.begin(), families.end());
  const auto rank = [](const FamilySpec* family) {
    return family->text != nullptr ? std::string_view() : family->title;
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](auto* a, auto* b) {
    return rank(a) < rank(b);
  });
  std::string out;
  for (const FamilySpec* family : sorted) {
    if (!out.empty()) out += family == sorted.back() ? " or " : ", ";
    out += family->title;
  }
  return out;
}

/// What all names begin with, for a message; empty if they share nothing.
std::string shared_beginning(const std::map<std::string, at::Tensor>& tensors) {
  const std::string& first = tensors.begin()->first;
  const std::string& last = tensors.rbegin()->first;  // names are in order
  const auto end =
      std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const size_t dot = std::string(first.begin(), end).rfind('.');
  if (dot == std::string::npos || tensors.size() < 2) return "";
  return "; all begin with " + in_quotes(first.substr(0, dot + 1)) +
         ", and no name is known without that either";
}

}  // namespace

Refusals all_refusals(Families families) {
  std::vector<const Refusal*> out;
  const auto add_one = [&](const Refusal* refusal) {
    if (refusal != nullptr &&
        std::find(out.begin(), out.end(), refusal) == out.end()) {
      out.push_back(refusal);
    }
  };
  const auto add = [&](std::span<const Signature> signatures) {
    for (const Signature& signature : signatures) add_one(signature.refusal);
  };
  add(refused_before_families());
  for (const FamilySpec* family : families) add(family->signatures);
  add(refused_after_families());
  for (const Refusal* refusal : refused_by_contents()) add_one(refusal);
  return {out, foreign_formats()};
}

bool has_known_names(const Tensors& tensors, Families families) {
  const auto known = [&](const Signature& signature) {
    return match(tensors, signature).has_value();
  };
  const auto any = [&](std::span<const Signature> signatures) {
    return std::any_of(signatures.begin(), signatures.end(), known);
  };
  return any(refused_before_families()) || any(refused_after_families()) ||
         std::any_of(
             families.begin(), families.end(), [&](const FamilySpec* family) {
               return any(family->signatures);
             });
}

Detected detect(const Tensors& tensors,
                const std::string& path,
                Families families) {
  const auto refuse = [&](std::span<const Signature> signatures) {
    for (const Signature& signature : signatures) {
      if (match(tensors, signature)) reject(*signature.refusal, path);
    }
  };
  refuse(refused_before_families());
  for (const FamilySpec* family : families) {
    for (const Signature& signature : family->signatures) {
      const auto prefix = match(tensors, signature);
      if (!prefix) continue;
      if (signature.layout == nullptr) reject(*signature.refusal, path);
      return {family, signature.layout, *prefix};
    }
  }
  refuse(refused_after_families());
  throw Error(
      ErrorCode::kWeights,
      path + ": not a checkpoint this package runs: " +
          (tensors.empty()
               ? std::string("it holds no tensors")
               : "none of its " + std::to_string(tensors.size()) +
                     " tensors has a name of " + titles(families) +
                     " (the first is " + in_quotes(tensors.begin()->first) +
                     shared_beginning(tensors) + ")") +
          ".");
}

}  // namespace declip
