#include "files/atomic_file.h"

#ifndef _WIN32
#include <unistd.h>
#endif

#include <cerrno>
#include <cstdint>
#include <random>
#include <system_error>

#include "declip/error.h"
#include "files/mapped_file.h"

namespace declip {
namespace {

std::FILE* create_exclusively(const std::filesystem::path& path) {
#ifdef _WIN32
  return ::_wfopen(path.c_str(), L"wbx");
#else
  return std::fopen(path.c_str(), "wbx");
#endif
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(path), temporary_(utf8_path(path)) {
  std::random_device random;
  temporary_ += "." + std::to_string(random()) + ".tmp";
  file_.reset(create_exclusively(temporary_));
  if (!file_) fail("create", errno);
}

AtomicFile::~AtomicFile() {
  if (temporary_.empty()) return;  // committed
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::fail(const std::string& action, int code) const {
  throw Error(ErrorCode::kIo,
              "Cannot " + action + " " + path_ + ": " +
                  std::generic_category().message(code) + ".");
}

void AtomicFile::write(const void* data, size_t bytes) {
  if (bytes != 0 && std::fwrite(data, 1, bytes, file_.get()) != bytes) {
    fail("write", errno);
  }
}

void AtomicFile::commit() {
  if (std::fflush(file_.get()) != 0) fail("write", errno);
#ifndef _WIN32
  if (::fsync(::fileno(file_.get())) != 0) fail("write", errno);
#endif
  if (std::fclose(file_.release()) != 0) fail("write", errno);
  std::error_code error;
  std::filesystem::rename(temporary_, utf8_path(path_), error);
  if (error) fail("replace", error.value());
  temporary_.clear();
}

}  // namespace declip
