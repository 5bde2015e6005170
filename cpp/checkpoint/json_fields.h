#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "declip/config.h"
#include "files/json.h"

namespace declip {

/// A JSON file beside the weights.
struct JsonFile {
  Json json;
  std::string path;
};

/// `name` in `folder`; nothing if there is no such file.
/// Throws Error(kWeights) if it is no JSON, Error(kIo) if it cannot be read.
std::optional<JsonFile> read_json_if_there(const std::string& folder,
                                           std::string_view name);

/// A value as compact JSON, cut after some 60 bytes, for messages.
std::string json_text(const Json& value);

/// A field that a configuration may have.
struct KnownField {
  std::string_view name;
  /// The values, as json_text() writes them and with blanks between them, for
  /// which a model computes what this package does; empty: the field is read
  /// elsewhere or changes no result.
  std::string_view only = "";
};

/// A JSON object and the file and field that it came from, for messages. A
/// field that is null counts as missing. All but find(), has_null(), inner()
/// and unknown() throw Error(kWeights) that names file, field, what was
/// expected and found.
class Fields {
 public:
  Fields(const Json* json, std::string where);
  explicit Fields(const JsonFile& file) : Fields(&file.json, file.path) {}

  /// `newer`, where it has the field: the *_config_dict of older files.
  void override_with(const Json* newer) { newer_ = newer; }

  const Json* find(const std::string& name) const;
  /// The field is there and null.
  bool has_null(const std::string& name) const;
  Fields inner(const std::string& name) const;

  /// 1 to 2^24.
  std::optional<int64_t> size(const std::string& name) const;
  int64_t size(const std::string& name, int64_t missing) const {
    return size(name).value_or(missing);
  }
  std::optional<int64_t> integer(const std::string& name) const;
  std::optional<double> number(const std::string& name) const;
  /// Above 0 and at most 1.
  double epsilon(const std::string& name, double missing) const;
  bool flag(const std::string& name, bool missing = false) const;
  const std::string* text(const std::string& name) const;
  /// By its name in transformers.
  Activation activation(const std::string& name,
                        Activation missing = Activation::kQuickGelu) const;
  /// Three numbers, or one for all channels.
  std::optional<std::array<double, 3>> channels(const std::string& name) const;

  /// Refuses a field of `known` whose value is none that it may have.
  void check(std::span<const KnownField> known) const;
  /// Fields that are not among `known` and say something: not null, false, 0 or
  /// empty.
  std::vector<std::string> unknown(std::span<const KnownField> known) const;

  [[noreturn]] void reject(const std::string& name,
                           const std::string& expected) const;
  /// The field's value is what this package does not do: `why` follows it.
  /// `value`: what the field counts as where it is missing.
  [[noreturn]] void refuse(const std::string& name,
                           const std::string& why,
                           const std::string& value = "") const;

 private:
  const Json* json_;
  const Json* newer_ = nullptr;
  std::string where_;
};

/// Mean and standard deviation per channel; nothing if the file has neither.
std::optional<PixelStats> pixel_stats(const Fields& fields,
                                      const std::string& mean_name,
                                      const std::string& std_name);

}  // namespace declip
