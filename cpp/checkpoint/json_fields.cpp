#include "checkpoint/json_fields.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <sstream>
#include <utility>

#include "declip/error.h"
#include "files/mapped_file.h"
#include "files/text.h"

namespace declip {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension

void append_text(std::string& out, const Json& value) {
  constexpr size_t kEnough = 60;
  if (out.size() > kEnough) return;
  if (const Json::Object* object = value.object()) {
    out += '{';
    for (const auto& [name, member] : *object) {
      if (out.back() != '{') out += ',';
      out += in_quotes(name) + ':';
      append_text(out, member);
    }
    out += '}';
  } else if (const Json::Array* array = value.array()) {
    out += '[';
    for (const Json& item : *array) {
      if (out.back() != '[') out += ',';
      append_text(out, item);
    }
    out += ']';
  } else if (const std::string* text = value.string()) {
    out += in_quotes(*text);
  } else if (const auto flag = value.boolean()) {
    out += *flag ? "true" : "false";
  } else if (const auto integer = value.integer()) {
    out += std::to_string(*integer);
  } else if (const auto number = value.number()) {
    std::ostringstream digits;
    digits << *number;
    out += digits.str();
  } else {
    out += "null";
  }
}

bool is_among(std::string_view value, std::string_view values) {
  for (size_t at = values.find(value); at != std::string_view::npos;
       at = values.find(value, at + 1)) {
    const size_t end = at + value.size();
    if ((at == 0 || values[at - 1] == ' ') &&
        (end == values.size() || values[end] == ' ')) {
      return true;
    }
  }
  return false;
}

std::string listed(std::string_view values) {
  std::string out;
  for (const char c : values) {
    out += c == ' ' ? std::string(" or ") : std::string(1, c);
  }
  return out;
}

bool says_nothing(const Json& value) {
  if (const auto flag = value.boolean()) return !*flag;
  if (const auto number = value.number()) return *number == 0;
  if (const std::string* text = value.string()) return text->empty();
  if (const Json::Array* array = value.array()) return array->empty();
  if (const Json::Object* object = value.object()) return object->empty();
  return true;
}

}  // namespace

std::optional<JsonFile> read_json_if_there(const std::string& folder,
                                           std::string_view name) {
  const std::filesystem::path path = utf8_path(folder) / name;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  const auto u8 = path.u8string();
  const std::string text(u8.begin(), u8.end());
  const auto file = MappedFile::open(text);
  JsonFile read{parse_json(file->view(0, file->size()), text), text};
  file->check();
  return read;
}

std::string json_text(const Json& value) {
  std::string out;
  append_text(out, value);
  return out;
}

Fields::Fields(const Json* json, std::string where)
    : json_(json), where_(std::move(where)) {
  if (json_ != nullptr && json_->object() == nullptr && !json_->is_null()) {
    throw Error(ErrorCode::kWeights, where_ + " must be a JSON object.");
  }
}

const Json* Fields::find(const std::string& name) const {
  for (const Json* json : {newer_, json_}) {
    const Json* found = json == nullptr ? nullptr : json->find(name);
    if (found != nullptr && !found->is_null()) return found;
  }
  return nullptr;
}

bool Fields::has_null(const std::string& name) const {
  const Json* found = json_ == nullptr ? nullptr : json_->find(name);
  return found != nullptr && found->is_null();
}

Fields Fields::inner(const std::string& name) const {
  return {find(name), where_ + ": \"" + name + "\""};
}

std::optional<int64_t> Fields::size(const std::string& name) const {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  const auto value = found->integer();
  if (!value || *value < 1 || *value > kMaxSize) {
    reject(name, "an integer of 1 to 16777216");
  }
  return value;
}

std::optional<int64_t> Fields::integer(const std::string& name) const {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  const auto value = found->integer();
  if (!value) reject(name, "an integer");
  return value;
}

std::optional<double> Fields::number(const std::string& name) const {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  const auto value = found->number();
  if (!value) reject(name, "a number");
  return value;
}

double Fields::epsilon(const std::string& name, double missing) const {
  const double value = number(name).value_or(missing);
  if (!(value > 0) || value > 1) reject(name, "0 to 1");
  return value;
}

bool Fields::flag(const std::string& name, bool missing) const {
  const Json* found = find(name);
  if (found == nullptr) return missing;
  const auto value = found->boolean();
  if (!value) reject(name, "true or false");
  return *value;
}

const std::string* Fields::text(const std::string& name) const {
  const Json* found = find(name);
  if (found == nullptr) return nullptr;
  const std::string* value = found->string();
  if (value == nullptr) reject(name, "text");
  return value;
}

Activation Fields::activation(const std::string& name,
                              Activation missing) const {
  struct Named {
    std::string_view name;
    Activation activation;
  };
  constexpr std::array kNames{
      Named{"quick_gelu", Activation::kQuickGelu},
      Named{"gelu", Activation::kGelu},
      Named{"gelu_pytorch_tanh", Activation::kGeluTanh},
      Named{"gelu_new", Activation::kGeluTanh},
      Named{"relu", Activation::kRelu},
  };
  const Json* found = find(name);
  if (found == nullptr) return missing;
  const std::string* value = found->string();
  std::string names;
  for (const Named& known : kNames) {
    if (value != nullptr && *value == known.name) return known.activation;
    names += (names.empty() ? "\"" : ", \"") + std::string(known.name) + "\"";
  }
  reject(name,
         "one of " + names +
             (value == nullptr ? "" : ", found " + in_quotes(*value)));
}

std::optional<std::array<double, 3>> Fields::channels(
    const std::string& name) const {
  const Json* found = find(name);
  if (found == nullptr) return std::nullopt;
  std::array<double, 3> out{};
  if (const auto all = found->number()) {
    out.fill(*all);
    return out;
  }
  const Json::Array* items = found->array();
  if (items == nullptr || items->size() != out.size()) {
    reject(name, "three numbers");
  }
  for (size_t c = 0; c < out.size(); ++c) {
    const auto value = (*items)[c].number();
    if (!value) reject(name, "three numbers");
    out[c] = *value;
  }
  return out;
}

void Fields::check(std::span<const KnownField> known) const {
  for (const KnownField& field : known) {
    const Json* found = find(std::string(field.name));
    if (field.only.empty() || found == nullptr) continue;
    if (is_among(json_text(*found), field.only)) continue;
    refuse(std::string(field.name),
           "which changes what the model computes; this package runs it with " +
               listed(field.only) + " only");
  }
}

std::vector<std::string> Fields::unknown(
    std::span<const KnownField> known) const {
  std::set<std::string> names;
  for (const Json* json : {newer_, json_}) {
    const auto* object = json == nullptr ? nullptr : json->object();
    if (object == nullptr) continue;
    for (const auto& [name, value] : *object) {
      const bool is_known =
          std::any_of(known.begin(), known.end(), [&](const KnownField& field) {
            return field.name == name;
          });
      if (!is_known && !says_nothing(value)) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

void Fields::reject(const std::string& name,
                    const std::string& expected) const {
  throw Error(ErrorCode::kWeights,
              where_ + ": \"" + name + "\" must be " + expected + ".");
}

void Fields::refuse(const std::string& name,
                    const std::string& why,
                    const std::string& value) const {
  const Json* found = find(name);
  throw Error(ErrorCode::kWeights,
              where_ + ": " + in_quotes(name) + " is " +
                  (found == nullptr ? value : json_text(*found)) + ", " + why +
                  ".");
}

std::optional<PixelStats> pixel_stats(const Fields& fields,
                                      const std::string& mean_name,
                                      const std::string& std_name) {
  const auto mean = fields.channels(mean_name);
  const auto std = fields.channels(std_name);
  if (!mean && !std) return std::nullopt;
  PixelStats out;
  out.mean = mean.value_or(out.mean);
  out.std = std.value_or(out.std);
  if (!std::all_of(
          out.std.begin(), out.std.end(), [](double s) { return s > 0; })) {
    fields.reject(std_name, "three numbers above 0");
  }
  return out;
}

}  // namespace declip
