#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files/mapping_guard.h"

namespace declip {

/// A path given as UTF-8, as Node gives it, on every platform.
std::filesystem::path utf8_path(const std::string& path);

/// A whole regular file in memory: mapped where the platform has mmap, read
/// elsewhere. Pages are private, so a write through a tensor that aliases them
/// changes this process's copy and never the file. What another process cuts
/// off a mapped file reads as zeros: who has used the bytes calls check().
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

  /// Throws Error(kIo) if some of what was read was no longer in the file.
  void check() const;

  /// Throws Error(kWeights): the file's path, then `why`.
  [[noreturn]] void reject(const std::string& why) const;

 private:
  MappedFile() = default;

  std::string path_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::unique_ptr<uint8_t[]> read_;  // set where the file was read, not mapped
  std::unique_ptr<MappingGuard> guard_;  // set where it is mapped
};

/// Checks those of some files that are still mapped.
void check_files(const std::vector<std::weak_ptr<const MappedFile>>& files);

}  // namespace declip
