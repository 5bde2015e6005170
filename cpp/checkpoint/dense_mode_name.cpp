#include "checkpoint/dense_mode_name.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include "declip/error.h"
#include "files/mapped_file.h"

namespace declip {
namespace {

constexpr std::array<std::string_view, 5> kModes{
    "qq", "kk", "vv", "csa", "all"};

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::optional<std::string> mode_of(std::string name) {
  // Cached repositories are folders called models--<owner>--<name>.
  if (name.starts_with("models--")) name = name.substr(name.rfind("--") + 2);
  for (const std::string_view extension : {".pt", ".bin", ".safetensors"}) {
    if (name.ends_with(extension)) {
      name.resize(name.size() - extension.size());
    }
  }
  std::vector<std::string> parts(1);
  for (const char c : name) {
    if (c == '_') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  constexpr size_t kModeAt = 3;
  if (parts.size() <= kModeAt || parts[0] != "declip") return std::nullopt;
  if (std::find(kModes.begin(), kModes.end(), parts[kModeAt]) == kModes.end()) {
    return std::nullopt;
  }
  return parts[kModeAt];
}

}  // namespace

std::optional<std::string> dense_mode_from_name(const std::string& path) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(utf8_path(path), error);
  if (error) absolute = utf8_path(path);
  // File, folder, and above them <repository>/snapshots/<revision>/.
  constexpr int kLevels = 4;
  auto level = absolute.lexically_normal();
  if (!level.has_filename()) level = level.parent_path();
  for (int i = 0; i < kLevels && level.has_filename(); ++i) {
    const auto name = level.filename().u8string();
    if (auto mode = mode_of(lower_case({name.begin(), name.end()}))) {
      return mode;
    }
    level = level.parent_path();
  }
  return std::nullopt;
}

std::string dense_mode_from_metadata(const std::string& mode,
                                     const std::string& path) {
  // CLIPSelf and region-text train MaskCLIP's, DeCLIP a pooling head its own.
  if (mode == "maskclip" || mode == "declip" ||
      std::find(kModes.begin(), kModes.end(), mode) != kModes.end()) {
    return mode;
  }
  throw Error(
      ErrorCode::kWeights,
      path +
          ": metadata \"dense_mode\" must be 'declip', 'maskclip', 'qq', "
          "'kk', 'vv', 'csa' or 'all', found '" +
          mode + "'.");
}

}  // namespace declip
