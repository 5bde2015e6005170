#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// Builders of small checkpoint files, byte by byte, for tests of the readers.
namespace files {

inline std::string fixture(const std::string& name) {
  return std::string(DECLIP_FIXTURES) + "/" + name;
}

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("no such file: " + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A folder that is removed with everything in it.
class TempFolder {
 public:
  TempFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("declip-test-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(path_);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string file(const std::string& name) const {
    return (path_ / name).string();
  }
  /// Writes `bytes` and returns the path.
  std::string write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return file(name);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// `value` as little-endian bytes.
inline std::string le(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i);
  return out;
}

inline std::string safetensors(const std::string& header,
                               const std::string& data = "") {
  return le(header.size(), 8) + header + data;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

/// A zip of stored entries; `method` is what the directory claims.
inline std::string zip(const Entries& entries, uint64_t method = 0) {
  std::string out, directory;
  for (const auto& [name, data] : entries) {
    const std::string sizes = le(0, 4) + le(data.size(), 4) +
                              le(data.size(), 4) + le(name.size(), 2) +
                              le(0, 2);
    const std::string head = le(0, 2) + le(method, 2) + le(0, 4) + sizes;
    directory += "PK\x01\x02" + le(0, 2) + le(0, 2) + head + le(0, 2) +
                 le(0, 2) + le(0, 2) + le(0, 4) + le(out.size(), 4) + name;
    out += "PK\x03\x04" + le(0, 2) + head + name + data;
  }
  const std::string count = le(entries.size(), 2);
  return out + directory + "PK\x05\x06" + le(0, 4) + count + count +
         le(directory.size(), 4) + le(out.size(), 4) + le(0, 2);
}

/// A torch.save file with this pickle and these storages.
inline std::string torch_file(const std::string& pickle,
                              const Entries& storages = {}) {
  Entries entries{{"archive/data.pkl", pickle}};
  for (const auto& [name, data] : storages) {
    entries.emplace_back("archive/data/" + name, data);
  }
  return zip(entries);
}

// Pickle pieces (protocol 2).
inline const std::string kProto = "\x80\x02";
inline const std::string kOrderedDict = "ccollections\nOrderedDict\n)R";

inline std::string text(const std::string& value) {
  return "X" + le(value.size(), 4) + value;
}
inline std::string integer(int32_t value) {
  return "J" + le(static_cast<uint32_t>(value), 4);
}
inline std::string tuple(const std::vector<int32_t>& values) {
  std::string out = "(";
  for (const int32_t value : values) out += integer(value);
  return out + "t";
}
/// A call of _rebuild_tensor_v2 over storage `name` of `numel` elements.
inline std::string tensor(const std::string& name,
                          int32_t numel,
                          const std::vector<int32_t>& sizes,
                          const std::vector<int32_t>& strides,
                          int32_t offset = 0,
                          const std::string& type = "FloatStorage") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
         "ctorch\n" + type + "\n" + text(name) + text("cpu") + integer(numel) +
         "tQ" + integer(offset) + tuple(sizes) + tuple(strides) + "\x89" +
         kOrderedDict + "tR";
}
/// {key: value} with values already pickled.
inline std::string dict(const Entries& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out + "u";
}

}  // namespace files
