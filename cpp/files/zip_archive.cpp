#include "files/zip_archive.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "files/foreign_formats.h"
#include "files/text.h"

namespace declip {
namespace {

// Signatures and record sizes: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16.
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kCentralSize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64Size = 56;
constexpr size_t kLocator64Size = 20;
constexpr uint16_t kZip64Field = 0x0001;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // the true value is in a zip64 record

// Little-endian reads that stay inside the file.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file) {}

  bool fits(uint64_t offset, uint64_t length) const {
    return offset <= file_.size() && length <= file_.size() - offset;
  }
  uint16_t u16(uint64_t at) const { return static_cast<uint16_t>(read(at, 2)); }
  uint32_t u32(uint64_t at) const { return static_cast<uint32_t>(read(at, 4)); }
  uint64_t u64(uint64_t at) const { return read(at, 8); }

 private:
  uint64_t read(uint64_t at, unsigned bytes) const {
    if (!fits(at, bytes)) file_.reject("zip record lies outside the file.");
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
      value = value << 8 | file_.data()[at + i];
    return value;
  }

  const MappedFile& file_;
};

struct Directory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t entries = 0;
};

Directory find_directory(const MappedFile& file) {
  const Reader in(file);
  // The end record is the last thing but a comment of up to 65535 bytes.
  const size_t size = file.size();
  std::optional<uint64_t> end;
  if (size >= kEndSize) {
    const size_t last = size - kEndSize;
    const size_t first = last > 0xFFFF ? last - 0xFFFF : 0;
    for (size_t at = last + 1; at-- > first && !end;) {
      if (in.u32(at) == kEndSignature &&
          at + kEndSize + in.u16(at + 20) == size) {
        end = at;
      }
    }
  }
  if (!end) {
    file.reject(
        "zip directory not found at the end of the file; the file is "
        "truncated, download it again.");
  }
  Directory directory{in.u32(*end + 16), in.u32(*end + 12), in.u16(*end + 10)};
  if (*end >= kLocator64Size &&
      in.u32(*end - kLocator64Size) == kLocator64Signature) {
    const uint64_t end64 = in.u64(*end - kLocator64Size + 8);
    if (!in.fits(end64, kEnd64Size) || in.u32(end64) != kEnd64Signature) {
      file.reject("zip64 end record expected where its locator points.");
    }
    directory = {in.u64(end64 + 48), in.u64(end64 + 40), in.u64(end64 + 32)};
  }
  if (!in.fits(directory.offset, directory.size) ||
      directory.entries > directory.size / kCentralSize) {
    file.reject("zip directory must lie inside the file, found " +
                std::to_string(directory.entries) + " entries in " +
                std::to_string(directory.size) + " bytes at " +
                std::to_string(directory.offset) + ".");
  }
  return directory;
}

}  // namespace

ZipArchive::ZipArchive(std::shared_ptr<const MappedFile> file)
    : file_(std::move(file)) {
  const Reader in(*file_);
  const Directory directory = find_directory(*file_);
  directory_offset_ = directory.offset;
  const uint64_t directory_end = directory.offset + directory.size;

  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    if (directory_end - at < kCentralSize || in.u32(at) != kCentralSignature) {
      file_->reject("zip directory entry " + std::to_string(i) +
                    " is damaged.");
    }
    Record record;
    record.flags = in.u16(at + 8);
    record.method = in.u16(at + 10);
    record.compressed_size = in.u32(at + 20);
    record.size = in.u32(at + 24);
    record.header_offset = in.u32(at + 42);
    const uint64_t name_length = in.u16(at + 28);
    const uint64_t extra_length = in.u16(at + 30);
    const uint64_t comment_length = in.u16(at + 32);
    const uint64_t length =
        kCentralSize + name_length + extra_length + comment_length;
    if (directory_end - at < length) {
      file_->reject("zip directory entry " + std::to_string(i) +
                    " runs past the directory.");
    }
    const std::string name(file_->view(at + kCentralSize, name_length));

    // The zip64 field holds, in this order, those of the three that are kIn64.
    uint64_t field = at + kCentralSize + name_length;
    const uint64_t extra_end = field + extra_length;
    while (extra_end - field >= 4) {
      const uint64_t field_end = field + 4 + in.u16(field + 2);
      if (field_end > extra_end) break;
      if (in.u16(field) == kZip64Field) {
        uint64_t value = field + 4;
        for (uint64_t* wide :
             {&record.size, &record.compressed_size, &record.header_offset}) {
          if (*wide == kIn64 && field_end - value >= 8) {
            *wide = in.u64(value);
            value += 8;
          }
        }
      }
      field = field_end;
    }
    if (!directory_.emplace(name, record).second) {
      file_->reject("zip entry " + in_quotes(name) + " appears twice.");
    }
    at += length;
  }
}

bool ZipArchive::contains_folder(const std::string& folder) const {
  const auto it = directory_.lower_bound(folder);
  return it != directory_.end() && it->first.starts_with(folder);
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> out;
  for (const auto& [name, record] : directory_) out.push_back(name);
  return out;
}

std::string ZipArchive::folder_of(const std::string& name) const {
  std::string folder;
  int found = 0;
  for (const auto& [entry, record] : directory_) {
    const size_t slash = entry.find('/');
    if (slash == std::string::npos || entry.substr(slash + 1) != name) continue;
    folder = entry.substr(0, slash + 1);
    ++found;
  }
  if (found == 0) {
    reject_foreign(*file_, foreign_zip(names()));
  }
  if (found != 1) {
    file_->reject("expected a zip file from torch.save with one */" + name +
                  ", found " + std::to_string(found) + ".");
  }
  return folder;
}

ZipArchive::Entry ZipArchive::locate(const std::string& name) const {
  const auto it = directory_.find(name);
  if (it == directory_.end()) {
    file_->reject("zip entry " + in_quotes(name) + " is missing.");
  }
  const Record& record = it->second;
  constexpr uint16_t kEncrypted = 1;
  if (record.method != 0 || (record.flags & kEncrypted) != 0 ||
      record.size != record.compressed_size) {
    file_->reject("zip entry " + in_quotes(name) +
                  " must be stored uncompressed as torch.save does, found "
                  "compression method " +
                  std::to_string(record.method) +
                  "; load the file with PyTorch and save it again.");
  }
  const Reader in(*file_);
  const uint64_t header = record.header_offset;
  if (!in.fits(header, kLocalSize) || in.u32(header) != kLocalSignature ||
      in.u16(header + 26) != name.size() ||
      !in.fits(header + kLocalSize, name.size()) ||
      file_->view(header + kLocalSize, name.size()) != name) {
    file_->reject("zip entry " + in_quotes(name) +
                  " does not begin where the directory says.");
  }
  const uint64_t offset =
      header + kLocalSize + name.size() + in.u16(header + 28);
  if (offset > directory_offset_ || record.size > directory_offset_ - offset) {
    file_->reject("zip entry " + in_quotes(name) + " of " +
                  std::to_string(record.size) +
                  " bytes runs past the end of the data.");
  }
  return {offset, record.size};
}

}  // namespace declip
