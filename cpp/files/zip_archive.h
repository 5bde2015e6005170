#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "files/mapped_file.h"

namespace declip {

/// The central directory of a zip file, for archives as torch.save writes them:
/// stored (uncompressed) entries, zip64 where sizes need it, one disk.
class ZipArchive {
 public:
  struct Entry {
    size_t offset = 0;  // of the first data byte in the file
    size_t size = 0;
  };

  /// Throws Error(kWeights) if the directory is damaged or names a file twice.
  explicit ZipArchive(std::shared_ptr<const MappedFile> file);

  const std::shared_ptr<const MappedFile>& file() const { return file_; }
  bool contains(const std::string& name) const {
    return directory_.contains(name);
  }
  /// Whether any entry lies under `folder` (ends in '/').
  bool contains_folder(const std::string& folder) const;
  std::vector<std::string> names() const;
  /// The folder, with its '/', of the one entry called `name` that lies exactly
  /// one folder deep. Throws Error(kWeights) if there is not exactly one.
  std::string folder_of(const std::string& name) const;

  /// Where a stored entry's bytes lie. Throws Error(kWeights) if it is missing,
  /// compressed, encrypted or out of bounds.
  Entry locate(const std::string& name) const;

 private:
  struct Record {
    uint64_t header_offset = 0;
    uint64_t size = 0;
    uint64_t compressed_size = 0;
    uint16_t method = 0;
    uint16_t flags = 0;
  };

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Record> directory_;
  uint64_t directory_offset_ = 0;  // entries' data ends before it
};

}  // namespace declip
