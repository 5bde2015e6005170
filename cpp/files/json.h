#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace declip {

/// One JSON value. Integers that fit 64 bits stay integers.
struct Json {
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;
  std::
      variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object>
          value = nullptr;

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  const Object* object() const { return std::get_if<Object>(&value); }
  const Array* array() const { return std::get_if<Array>(&value); }
  const std::string* string() const { return std::get_if<std::string>(&value); }
  std::optional<bool> boolean() const;
  std::optional<int64_t> integer() const;
  std::optional<double> number() const;  // integers too

  /// Member `key` of an object; null if this is no object or has no such key.
  const Json* find(const std::string& key) const;
};

/// Parses one JSON text (RFC 8259) and nothing after it but white space.
/// Stricter than the RFC where files may be hostile: keys are unique, strings
/// are UTF-8, at most 64 levels and 2^20 values.
/// Throws Error(kWeights) that begins with `where` and gives the byte offset.
Json parse_json(std::string_view text, const std::string& where);

/// `text` as a JSON string, its quotes around it.
/// Throws Error(kInvalidArg) unless it is UTF-8.
std::string json_string(std::string_view text);

}  // namespace declip
