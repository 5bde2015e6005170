#include "files/mapping_guard.h"

#ifndef _WIN32

#include <ATen/ATen.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "files/mapped_file.h"
#include "files/safetensors.h"
#include "tap.h"

using declip::ErrorCode;
using declip::MappedFile;
using files::contains;

namespace {

int64_t sum_of_bytes(const MappedFile& file) {
  int64_t total = 0;
  for (size_t i = 0; i < file.size(); ++i) total += file.data()[i];
  return total;
}

}  // namespace

TEST(mapping_guard_a_file_that_is_made_shorter) {
  const files::TempFolder temp;
  constexpr size_t kSize = 100'000, kLeft = 10'000;
  const std::string path = temp.write("file", std::string(kSize, '\1'));
  const std::string other = temp.write("other", std::string(kSize, '\2'));
  const auto file = MappedFile::open(path);
  const auto whole = MappedFile::open(other);
  file->check();
  std::filesystem::resize_file(path, kLeft);
  // The page of the new end is still there, with zeros behind it.
  CHECK(sum_of_bytes(*file) == static_cast<int64_t>(kLeft));
  const std::string why = CHECK_THROWS_CODE(file->check(), ErrorCode::kIo);
  CHECK(contains(why, path) && contains(why, "shorter"));
  CHECK(sum_of_bytes(*whole) == 2 * static_cast<int64_t>(kSize));
  whole->check();

  // Read again, it is what it is now; the slot of the lost one is clean.
  const auto again = MappedFile::open(path);
  CHECK(sum_of_bytes(*again) == static_cast<int64_t>(kLeft));
  again->check();
}

TEST(mapping_guard_threads_read_at_once) {
  const files::TempFolder temp;
  constexpr size_t kSize = 4'000'000;
  const std::string path = temp.write("file", std::string(kSize, '\1'));
  const auto file = MappedFile::open(path);
  std::filesystem::resize_file(path, 0);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { total += sum_of_bytes(*file); });
  }
  for (auto& thread : threads) thread.join();
  CHECK(total == 0);
  CHECK_THROWS_CODE(file->check(), ErrorCode::kIo);
}

TEST(mapping_guard_leaves_other_signals_to_their_handlers) {
  const files::TempFolder temp;
  const std::string path = temp.write("file", std::string(50'000, '\1'));
  MappedFile::open(path);
  const pid_t child = ::fork();
  if (child == 0) {
    ::raise(SIGBUS);  // no mapping's fault: the default is to end
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

TEST(mapping_guard_a_model_whose_file_is_made_shorter) {
  const files::TempFolder temp;
  const std::string bytes =
      files::read(files::fixture("clip-formats/open_clip.safetensors"));
  const std::string path = temp.write("model.safetensors", bytes);
  const auto model = declip::Model::load(path, {}, {});
  const auto tokens = at::zeros({1, 77}, at::kLong);
  std::filesystem::resize_file(path, 9000);
  MappedFile::drop_pages();
  // The text tower is read at its first use: whenever it is asked.
  for (int i = 0; i < 2; ++i) {
    CHECK_THROWS_CODE(model->encode_text(tokens, true, {}), ErrorCode::kIo);
  }
  temp.write("model.safetensors", bytes);
  const auto again = declip::Model::load(path, {}, {});
  CHECK(again->encode_text(tokens, true, {}).isfinite().all().item<bool>());
}

TEST(mapping_guard_tensors_of_read_safetensors_are_copies) {
  const files::TempFolder temp;
  const std::string path = temp.file("x.safetensors");
  declip::write_safetensors(path, {{"x", at::ones({50'000})}});
  const auto x = declip::read_safetensors(path).tensors.at("x");
  std::filesystem::resize_file(path, 0);
  CHECK(x.sum().item<float>() == 50'000);
}

#endif
