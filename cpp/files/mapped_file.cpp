#include "files/mapped_file.h"

#ifdef _WIN32
#include <fstream>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

#include <map>
#include <mutex>
#include <system_error>

#include "declip/error.h"

namespace declip {

std::filesystem::path utf8_path(const std::string& path) {
  return {std::u8string(path.begin(), path.end())};
}

void MappedFile::reject(const std::string& why) const {
  throw Error(ErrorCode::kWeights, path_ + ": " + why);
}

#ifdef _WIN32

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  std::error_code error;
  const auto file_path = utf8_path(path);
  const auto size = std::filesystem::file_size(file_path, error);
  std::ifstream in(file_path, std::ios::binary);
  if (error || !in) {
    throw Error(ErrorCode::kIo,
                "Cannot open " + path + ": expected a readable file.");
  }
  if (size == 0) throw Error(ErrorCode::kIo, path + " is empty.");
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = size;
  file->read_ = std::make_unique_for_overwrite<uint8_t[]>(size);
  file->data_ = file->read_.get();
  if (!in.read(reinterpret_cast<char*>(file->data_), size)) {
    throw Error(ErrorCode::kIo, "Cannot read " + path + ".");
  }
  return file;
}

MappedFile::~MappedFile() = default;

void MappedFile::check() const {}

void MappedFile::drop_pages() {}

#else

namespace {

/// The mappings of this process.
struct Mappings {
  std::mutex mutex;
  std::map<void*, size_t> sizes;
};

Mappings& mappings() {
  static auto* const instance = new Mappings();  // files may outlive statics
  return *instance;
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void cannot_open(const std::string& path, int code) {
  throw Error(ErrorCode::kIo,
              "Cannot open " + path + ": " +
                  std::generic_category().message(code) + ".");
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const Descriptor file_handle{
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file_handle.fd < 0) cannot_open(path, errno);
  struct stat status{};
  if (::fstat(file_handle.fd, &status) != 0) cannot_open(path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kIo,
                "Cannot open " + path + ": expected a regular file.");
  }
  if (status.st_size == 0) throw Error(ErrorCode::kIo, path + " is empty.");

  const auto size = static_cast<size_t>(status.st_size);
  int flags = MAP_PRIVATE;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void* data =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, file_handle.fd, 0);
  if (data == MAP_FAILED) cannot_open(path, errno);
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->data_ = static_cast<uint8_t*>(data);
  file->size_ = size;
  file->guard_ = std::make_unique<MappingGuard>(data, size);
  const std::lock_guard lock(mappings().mutex);
  mappings().sizes[data] = size;
  return file;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(mappings().mutex);
  mappings().sizes.erase(data_);
  guard_.reset();
  ::munmap(data_, size_);
}

void MappedFile::check() const {
  if (!guard_ || !guard_->lost()) return;
  throw Error(ErrorCode::kIo,
              path_ +
                  ": the file could not be read to its end: another program "
                  "made it shorter while it was in use, or its disk failed. "
                  "Load it again; write a new file and rename it rather than "
                  "writing into one that is in use.");
}

void MappedFile::drop_pages() {
  const std::lock_guard lock(mappings().mutex);
  for (const auto& [data, size] : mappings().sizes) {
    ::madvise(data, size, MADV_DONTNEED);
  }
}

#endif

void check_files(const std::vector<std::weak_ptr<const MappedFile>>& files) {
  for (const auto& held : files) {
    if (const auto file = held.lock()) file->check();
  }
}

}  // namespace declip
