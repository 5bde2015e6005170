// Damaged checkpoints: whatever happens to a file, loading it gives a
// checkpoint whose tensors can be read, or an Error. Run under
// AddressSanitizer and UndefinedBehaviorSanitizer this is a small fuzzer.

#include <ATen/ATen.h>

#include <algorithm>
#include <random>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "tap.h"

using declip::ErrorCode;

namespace {

const std::vector<std::string> kFixtures{"clip-formats/open_clip.safetensors",
                                         "clip-formats/openclip-wrapped.pt",
                                         "clip-formats/openai-jit.pt",
                                         "eva-tiny/eva-mini.pt",
                                         "vfm/dinov2.safetensors",
                                         "vfm/sam.safetensors"};

// Loads and reads every element; false if the file was refused.
bool loads(const std::string& path) {
  try {
    const auto checkpoint = declip::load_checkpoint(path);
    for (const auto& [name, tensor] : checkpoint.tensors) {
      (void)tensor.to(at::kFloat).sum().item<float>();
    }
    return true;
  } catch (const declip::Error& error) {
    CHECK(error.code() == ErrorCode::kWeights ||
          error.code() == ErrorCode::kIo);
    CHECK(std::string(error.what()).find(path) != std::string::npos);
    return false;
  }
}

// Where the structure is: headers, pickle and zip directory, not the numbers.
std::vector<std::pair<size_t, size_t>> structure(const std::string& bytes) {
  if (bytes.starts_with("PK")) {
    const size_t pickle = bytes.find("data.pkl");
    const size_t directory = bytes.find("PK\x01\x02");
    return {{pickle - 40, std::min(pickle + 9000, bytes.size())},
            {directory, bytes.size()}};
  }
  return {{0, bytes.find("}}") + 2}};
}

}  // namespace

TEST(damaged_files_truncated) {
  const files::TempFolder temp;
  for (const std::string& name : kFixtures) {
    const std::string bytes = files::read(files::fixture(name));
    std::vector<size_t> lengths{bytes.size() - 1, bytes.size() - 22};
    for (size_t length = 0; length < 64; ++length) lengths.push_back(length);
    for (size_t i = 1; i < 20; ++i) lengths.push_back(bytes.size() * i / 20);
    for (const size_t length : lengths) {
      CHECK(!loads(temp.write("truncated", bytes.substr(0, length))));
    }
  }
}

TEST(damaged_files_changed_bytes) {
  const files::TempFolder temp;
  std::mt19937 random(20250711);
  constexpr int kMutations = 250;
  for (const std::string& name : kFixtures) {
    const std::string bytes = files::read(files::fixture(name));
    const auto ranges = structure(bytes);
    int refused = 0;
    for (int i = 0; i < kMutations; ++i) {
      std::string damaged = bytes;
      for (uint32_t k = random() % 4 + 1; k > 0; --k) {
        const auto& [begin, end] = ranges[random() % ranges.size()];
        const size_t at = i % 8 == 0 ? random() % damaged.size()
                                     : begin + random() % (end - begin);
        switch (random() % 3) {
          case 0:
            damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
            break;
          case 1:
            damaged[at] = static_cast<char>(random());
            break;
          default:  // the largest number a field can hold
            damaged.replace(at, 4, "\xff\xff\xff\xff");
            break;
        }
      }
      if (!loads(temp.write("changed", damaged))) ++refused;
    }
    // Most of what describes the tensors is checked against something else.
    CHECK(refused > kMutations / 4);
  }
}

TEST(damaged_files_moved_blocks) {
  const files::TempFolder temp;
  std::mt19937 random(7);
  for (const std::string& name : kFixtures) {
    const std::string bytes = files::read(files::fixture(name));
    const auto ranges = structure(bytes);
    for (int i = 0; i < 60; ++i) {
      std::string damaged = bytes;
      const auto& [begin, end] = ranges[random() % ranges.size()];
      const size_t length = random() % 64 + 1;
      const size_t from = begin + random() % (end - begin);
      const size_t to = begin + random() % (end - begin);
      if (i % 2 == 0) {
        damaged.insert(to, bytes.substr(from, length));
      } else {
        damaged.erase(to, length);
      }
      loads(temp.write("moved", damaged));
    }
  }
}
