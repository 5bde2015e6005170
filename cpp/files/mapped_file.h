#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace declip {

/// A path given as UTF-8, as Node gives it, on every platform.
std::filesystem::path utf8_path(const std::string& path);

/// A whole regular file in memory: mapped where the platform has mmap, read
/// elsewhere. Pages are private, so a write through a tensor that aliases them
/// changes this process's copy and never the file. A file that another process
/// shortens in place while it is mapped is beyond protection (SIGBUS): replace
/// weight files by renaming, as write_safetensors() does.
class MappedFile {
 public:
  /// Throws Error(kIo) if the file cannot be opened, is not a regular file or
  /// is empty.
  static std::shared_ptr<const MappedFile> open(const std::string& path);

  /// Lets go of the memory that holds what was read of all mapped files; it is
  /// read again when it is needed. Loses what was written to it.
  static void drop_pages();

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view(size_t offset, size_t length) const {
    return {reinterpret_cast<const char*>(data_) + offset, length};
  }

  /// Throws Error(kWeights): the file's path, then `why`.
  [[noreturn]] void reject(const std::string& why) const;

 private:
  MappedFile() = default;

  std::string path_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::unique_ptr<uint8_t[]> read_;  // set where the file was read, not mapped
};

}  // namespace declip
