#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace declip {

/// Matches `key` against `pattern`, where '#' stands for one or more digits and
/// '*' for any text, and returns what they stood for; nothing on a mismatch.
std::optional<std::vector<std::string>> match_key(std::string_view pattern,
                                                  std::string_view key);

/// `pattern` with its '#' and '*' replaced by `parts`, in order.
std::string fill_key(std::string_view pattern,
                     std::span<const std::string> parts);

/// What a tensor goes through on its way to the internal naming.
enum class Transform {
  kNone,
  kTranspose,      // [E,D] weight of a linear layer -> [D,E] right factor
  kQuery,          // rows 0..D of a fused in_proj
  kKey,            // rows D..2D
  kValue,          // rows 2D..3D
  kQueryPart,      // rows 0..D of a fused in_proj whose rest is one tensor,
  kKeysAndValues,  // rows D..3D
  kGate,           // first half of the rows of a fused SwiGLU
  kUp,             // second half
  kDrop,           // recomputed or not needed
};

/// `source` becomes `internal`; both have the same '#' and '*'.
struct KeyRule {
  std::string_view source;
  std::string_view internal;
  Transform transform = Transform::kNone;
};

/// Rules of one layout; the first that matches a key applies.
using KeyMap = std::span<const KeyRule>;

/// The rules of several parts as one map.
template <size_t... Sizes>
constexpr auto joined(const std::array<KeyRule, Sizes>&... parts) {
  std::array<KeyRule, (Sizes + ...)> all{};
  size_t next = 0;
  const auto append = [&](const auto& part) {
    for (const KeyRule& rule : part) all[next++] = rule;
  };
  (append(parts), ...);
  return all;
}

/// `kRules` for files in which `kPrefix` is in front of every name.
template <const auto& kRules, const auto& kPrefix>
struct Prefixed {
 private:
  static constexpr size_t kLength = [] {
    size_t length = 0;
    for (const KeyRule& rule : kRules) {
      length += kPrefix.size() + rule.source.size();
    }
    return length;
  }();
  static constexpr auto kText = [] {
    std::array<char, kLength> text{};
    size_t at = 0;
    for (const KeyRule& rule : kRules) {
      for (const char c : kPrefix) text[at++] = c;
      for (const char c : rule.source) text[at++] = c;
    }
    return text;
  }();

 public:
  static constexpr auto kNames = [] {
    auto rules = kRules;
    size_t at = 0;
    for (KeyRule& rule : rules) {
      const size_t length = kPrefix.size() + rule.source.size();
      rule.source = std::string_view(kText.data() + at, length);
      at += length;
    }
    return rules;
  }();
};

/// What no rule before it takes is unknown in the image tower, and must not
/// pass silently.
inline constexpr std::array kRestOfTower{KeyRule{"*", "visual.*"}};

/// The name that `internal` would have in a file of this layout, for messages;
/// `internal` itself if no rule yields it.
std::string source_key(KeyMap map, std::string_view internal);

}  // namespace declip
