#include "files/safetensors.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/clone.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "files/atomic_file.h"
#include "files/json.h"
#include "files/tensor_bytes.h"
#include "files/text.h"

namespace declip {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = uint64_t{16} << 20;
constexpr size_t kMaxRank = 64;

struct DtypeName {
  std::string_view name;
  at::ScalarType dtype;
};
constexpr std::array<DtypeName, 15> kDtypes{{
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F64", at::kDouble},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
    {"U16", at::kUInt16},
    {"U32", at::kUInt32},
    {"U64", at::kUInt64},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
}};

// One tensor of the header. Offsets count from the first byte of the data.
struct Entry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

uint64_t little_endian_64(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

class HeaderReader {
 public:
  explicit HeaderReader(const MappedFile& file) : file_(file) {
    if (file.size() < kLengthBytes) {
      file.reject("not a safetensors file: expected at least 8 bytes, found " +
                  std::to_string(file.size()) + ".");
    }
    const uint64_t length = little_endian_64(file.data());
    if (length > kMaxHeader || length > file.size() - kLengthBytes) {
      file.reject(
          "safetensors header length must be at most " +
          std::to_string(std::min<uint64_t>(kMaxHeader, file.size() - 8)) +
          " bytes, found " + std::to_string(length) +
          "; the file is truncated or not safetensors.");
    }
    data_begin_ = kLengthBytes + length;
    data_size_ = file.size() - data_begin_;
    header_ = parse_json(file.view(kLengthBytes, length),
                         file.path() + ": safetensors header");
    if (header_.object() == nullptr) {
      file.reject("safetensors header must be a JSON object.");
    }
  }

  size_t data_begin() const { return data_begin_; }

  std::map<std::string, std::string> metadata() const {
    std::map<std::string, std::string> out;
    const Json* found = header_.find("__metadata__");
    if (found == nullptr || found->is_null()) return out;
    if (found->object() == nullptr) {
      file_.reject("\"__metadata__\" must be an object of strings.");
    }
    for (const auto& [key, value] : *found->object()) {
      if (value.string() == nullptr) {
        file_.reject("\"__metadata__\" entry " + in_quotes(key) +
                     " must be a string.");
      }
      out.emplace(key, *value.string());
    }
    return out;
  }

  // Every tensor, by offset; the data is covered without gap or overlap.
  std::vector<Entry> entries() const {
    std::vector<Entry> out;
    for (const auto& [name, value] : *header_.object()) {
      if (name != "__metadata__") out.push_back(entry(name, value));
    }
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    uint64_t covered = 0;
    for (const Entry& e : out) {
      if (e.begin != covered) {
        reject(e.name,
               "data must begin at byte " + std::to_string(covered) +
                   " (where the tensor before it ends), found " +
                   std::to_string(e.begin));
      }
      covered = e.end;
    }
    if (covered != data_size_) {
      file_.reject("the header describes " + std::to_string(covered) +
                   " bytes of data, the file holds " +
                   std::to_string(data_size_) + ".");
    }
    return out;
  }

 private:
  [[noreturn]] void reject(const std::string& name,
                           const std::string& why) const {
    file_.reject("tensor " + in_quotes(name) + ": " + why + ".");
  }

  static std::optional<uint64_t> natural(const Json& json) {
    const auto value = json.integer();
    if (!value || *value < 0) return std::nullopt;
    return static_cast<uint64_t>(*value);
  }

  at::ScalarType dtype(const std::string& name, const Json& value) const {
    const Json* found = value.find("dtype");
    if (found == nullptr || found->string() == nullptr) {
      reject(name, "\"dtype\" must be a string");
    }
    for (const DtypeName& known : kDtypes) {
      if (known.name == *found->string()) return known.dtype;
    }
    reject(name,
           "unknown dtype " + in_quotes(*found->string()) +
               ", expected F16, BF16, F32 or another of safetensors'");
  }

  std::vector<int64_t> shape(const std::string& name, const Json& value) const {
    const Json* found = value.find("shape");
    if (found == nullptr || found->array() == nullptr ||
        found->array()->size() > kMaxRank) {
      reject(name, "\"shape\" must be an array of at most 64 sizes");
    }
    std::vector<int64_t> out;
    for (const Json& item : *found->array()) {
      const auto size = natural(item);
      if (!size) reject(name, "\"shape\" must hold integers of 0 or more");
      out.push_back(static_cast<int64_t>(*size));
    }
    return out;
  }

  Entry entry(const std::string& name, const Json& value) const {
    if (value.object() == nullptr) reject(name, "entry must be an object");
    Entry out;
    out.name = name;
    out.dtype = dtype(name, value);
    out.shape = shape(name, value);

    const Json* offsets = value.find("data_offsets");
    std::optional<uint64_t> begin, end;
    if (offsets != nullptr && offsets->array() != nullptr &&
        offsets->array()->size() == 2) {
      begin = natural((*offsets->array())[0]);
      end = natural((*offsets->array())[1]);
    }
    if (!begin || !end || *begin > *end || *end > data_size_) {
      reject(name,
             "\"data_offsets\" must be two ascending integers within 0.." +
                 std::to_string(data_size_) + "; the file may be truncated");
    }
    out.begin = *begin;
    out.end = *end;

    const auto numel = checked_numel(out.shape);
    const uint64_t element = c10::elementSize(out.dtype);
    if (!numel || static_cast<uint64_t>(*numel) > data_size_ ||
        static_cast<uint64_t>(*numel) * element != out.end - out.begin) {
      reject(
          name,
          "shape " + c10::str(at::IntArrayRef(out.shape)) + " of " +
              std::to_string(element) + "-byte elements does not match the " +
              std::to_string(out.end - out.begin) + " bytes its offsets span");
    }
    return out;
  }

  const MappedFile& file_;
  Json header_;
  size_t data_begin_ = 0;
  uint64_t data_size_ = 0;
};

std::string_view dtype_name(const std::string& key, at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes) {
    if (known.dtype == dtype) return known.name;
  }
  throw Error(ErrorCode::kInvalidArg,
              "Tensor " + in_quotes(key) + " has element type " +
                  c10::toString(dtype) + ", which safetensors does not have.");
}

using Named = std::pair<const std::string, at::Tensor>;

std::string header_text(const std::vector<const Named*>& order,
                        const std::map<std::string, std::string>& metadata) {
  std::string out = "{";
  if (!metadata.empty()) {
    out += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      out += json_string(key) + ":" + json_string(value) + ",";
    }
    out.back() = '}';
    out += ",";
  }
  size_t offset = 0;
  for (const Named* named : order) {
    const auto& [key, tensor] = *named;
    out += json_string(key) + ":{\"dtype\":\"";
    out += dtype_name(key, tensor.scalar_type());
    out += "\",\"shape\":[";
    for (int64_t d = 0; d < tensor.dim(); ++d) {
      out += (d > 0 ? "," : "") + std::to_string(tensor.size(d));
    }
    const size_t end = offset + tensor.nbytes();
    out += "],\"data_offsets\":[" + std::to_string(offset) + "," +
           std::to_string(end) + "]},";
    offset = end;
  }
  if (out.back() == ',') out.pop_back();
  out += "}";
  out.resize((out.size() + 7) / 8 * 8, ' ');  // data begins 8-byte aligned
  return out;
}

}  // namespace

Safetensors read_safetensors(const std::shared_ptr<const MappedFile>& file) {
  const HeaderReader header(*file);
  Safetensors out;
  out.metadata = header.metadata();
  for (const Entry& e : header.entries()) {
    out.tensors.emplace(e.name,
                        tensor_over_file(file,
                                         header.data_begin() + e.begin,
                                         e.shape,
                                         contiguous_strides(e.shape),
                                         e.dtype));
  }
  return out;
}

Safetensors read_safetensors(const std::string& path) {
  const auto file = MappedFile::open(path);
  Safetensors out = read_safetensors(file);
  for (auto& [name, tensor] : out.tensors) tensor = tensor.clone();
  file->check();
  return out;
}

void write_safetensors(const std::string& path,
                       const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const Named*> order;
  for (const Named& named : tensors) order.push_back(&named);
  std::stable_sort(
      order.begin(), order.end(), [](const Named* a, const Named* b) {
        return a->second.element_size() > b->second.element_size();
      });
  const std::string header = header_text(order, metadata);
  std::array<uint8_t, kLengthBytes> length{};
  for (size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<uint8_t>(header.size() >> 8 * i);
  }

  AtomicFile file(path);
  file.write(length.data(), length.size());
  file.write(header.data(), header.size());
  for (const Named* named : order) {
    const at::Tensor data = named->second.cpu().contiguous();
    file.write(data.data_ptr(), data.nbytes());
  }
  file.commit();
}

}  // namespace declip
