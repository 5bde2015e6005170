#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace declip {

/// A file that appears under its name only when complete. Bytes go to a
/// temporary name in the same folder; commit() renames it over the target;
/// without commit(), or when writing fails, the temporary is removed and what
/// was under the name before is untouched.
class AtomicFile {
 public:
  /// Throws Error(kIo) if the folder cannot be written to.
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Both throw Error(kIo), for example on a full disk.
  void write(const void* data, size_t bytes);
  void commit();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[noreturn]] void fail(const std::string& action, int code) const;

  std::string path_;
  std::filesystem::path temporary_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace declip
