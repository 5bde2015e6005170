#include "checkpoint/key_map.h"

#include <algorithm>
#include <cstddef>

namespace declip {
namespace {

bool match_from(std::string_view pattern,
                std::string_view key,
                std::vector<std::string>& parts) {
  const size_t literal = pattern.find_first_of("#*");
  if (literal == std::string_view::npos) return pattern == key;
  if (key.substr(0, literal) != pattern.substr(0, literal)) return false;
  const bool digits = pattern[literal] == '#';
  pattern.remove_prefix(literal + 1);
  key.remove_prefix(literal);

  const bool last = pattern.find_first_of("#*") == std::string_view::npos;
  size_t shortest = 0, longest = key.size();
  if (digits) {  // a number is taken whole
    shortest = std::min(key.find_first_not_of("0123456789"), key.size());
    longest = shortest;
    if (longest == 0) return false;
  } else if (last) {  // what follows is the end of the key
    if (!key.ends_with(pattern)) return false;
    shortest = longest = key.size() - pattern.size();
  }
  for (size_t length = shortest; length <= longest; ++length) {
    parts.emplace_back(key.substr(0, length));
    if (match_from(pattern, key.substr(length), parts)) return true;
    parts.pop_back();
  }
  return false;
}

}  // namespace

std::optional<std::vector<std::string>> match_key(std::string_view pattern,
                                                  std::string_view key) {
  std::vector<std::string> parts;
  if (!match_from(pattern, key, parts)) return std::nullopt;
  return parts;
}

std::string fill_key(std::string_view pattern,
                     std::span<const std::string> parts) {
  std::string out;
  size_t next = 0;
  for (const char c : pattern) {
    if (c == '#' || c == '*') {
      out += parts[next++];
    } else {
      out += c;
    }
  }
  return out;
}

std::string source_key(KeyMap map, std::string_view internal) {
  for (const KeyRule& rule : map) {
    if (rule.transform == Transform::kDrop) continue;
    if (const auto parts = match_key(rule.internal, internal)) {
      return fill_key(rule.source, *parts);
    }
  }
  return std::string(internal);
}

}  // namespace declip
