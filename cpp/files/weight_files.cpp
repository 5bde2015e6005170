#include "files/weight_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "files/json.h"
#include "files/mapped_file.h"
#include "files/safetensors.h"
#include "files/text.h"
#include "files/torch_archive.h"

namespace declip {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxKey = 512;
constexpr std::string_view kIndexSuffix = ".index.json";

// Looked for in a folder, in this order; then any single file of weights.
constexpr std::array<std::string_view, 6> kFolderNames{
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin"};
constexpr std::array<std::string_view, 5> kExtensions{
    ".safetensors", ".pt", ".pth", ".bin", ".ckpt"};

// First bytes of files that are often given by mistake.
struct KnownStart {
  std::string_view bytes;
  std::string_view what;
};
constexpr std::array<KnownStart, 5> kKnownStarts{{
    {{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14},
     "a file in torch.save's legacy format (before PyTorch 1.6); load it with "
     "PyTorch and torch.save() it again"},
    {"\x80", "a bare pickle; load it with PyTorch and torch.save() it again"},
    {"version https://git-lfs",
     "a Git LFS pointer, not the weights; run `git lfs pull` or download the "
     "file itself"},
    {"<", "a web page; download the file itself"},
    {"\x89HDF", "an HDF5 file"},
}};

std::string to_utf8(const fs::path& path) {
  const auto text = path.u8string();
  return {text.begin(), text.end()};
}

void read_one(const std::string& path, WeightFiles& out) {
  const auto file = MappedFile::open(path);
  if (is_zip(*file)) {
    TorchArchive archive = read_torch_archive(file);
    out.tensors.merge(archive.tensors);
    out.torchscript = archive.torchscript;
    out.trainer = archive.trainer;
    out.epoch = archive.epoch;
    return;
  }
  // A safetensors header begins right after its length, which is any bytes.
  const bool json_follows = file->size() > 8 && file->data()[8] == '{';
  for (const KnownStart& start : kKnownStarts) {
    if (!json_follows &&
        file->view(0, std::min(file->size(), start.bytes.size())) ==
            start.bytes) {
      file->reject("expected safetensors or a torch.save file, found " +
                   std::string(start.what) + ".");
    }
  }
  Safetensors read = read_safetensors(file);
  out.tensors.merge(read.tensors);
  const auto entry = [&](const char* key) -> std::optional<std::string> {
    const auto it = read.metadata.find(key);
    if (it == read.metadata.end()) return {};
    return it->second;
  };
  out.license = entry("license");
  out.dense_mode = entry("dense_mode");
}

// {"weight_map": {key: file name}}; every file is read once.
void read_sharded(const std::string& index_path, WeightFiles& out) {
  const auto index_file = MappedFile::open(index_path);
  const Json index =
      parse_json(index_file->view(0, index_file->size()), index_path);
  const Json* map = index.find("weight_map");
  if (map == nullptr || map->object() == nullptr) {
    index_file->reject("\"weight_map\" must be an object of key: file name.");
  }
  std::set<std::string> shards;
  for (const auto& [key, value] : *map->object()) {
    const std::string* shard = value.string();
    // A plain name: the index must not lead out of its folder.
    if (shard == nullptr || shard->empty() ||
        shard->find_first_of("/\\:") != std::string::npos || *shard == "..") {
      index_file->reject("\"weight_map\" entry " + in_quotes(key) +
                         " must be the name of a file in the same folder.");
    }
    shards.insert(*shard);
  }
  for (const std::string& shard : shards) {
    read_one(to_utf8(utf8_path(out.folder) / utf8_path(shard)), out);
  }
  for (const auto& [key, value] : *map->object()) {
    if (!out.tensors.contains(key)) {
      index_file->reject("tensor " + in_quotes(key) +
                         " is listed in the index and missing from " +
                         in_quotes(*value.string()) + ".");
    }
  }
}

std::string find_in_folder(const std::string& folder) {
  std::error_code error;
  for (const std::string_view name : kFolderNames) {
    const fs::path candidate = utf8_path(folder) / name;
    if (fs::is_regular_file(candidate, error)) return to_utf8(candidate);
  }
  std::vector<std::string> found;
  for (fs::directory_iterator it(utf8_path(folder), error), end;
       !error && it != end;
       it.increment(error)) {
    const std::string extension = to_utf8(it->path().extension());
    if (std::find(kExtensions.begin(), kExtensions.end(), extension) !=
            kExtensions.end() &&
        fs::is_regular_file(it->path())) {
      found.push_back(to_utf8(it->path()));
    }
  }
  if (error) {
    throw Error(ErrorCode::kIo,
                "Cannot read folder " + folder + ": " + error.message() + ".");
  }
  if (found.size() == 1) return found.front();
  std::sort(found.begin(), found.end());
  std::string names;
  for (const std::string& path : found) {
    names += (names.empty() ? "" : ", ") + to_utf8(utf8_path(path).filename());
  }
  throw Error(
      ErrorCode::kWeights,
      folder +
          ": expected one file of weights (model.safetensors, "
          "pytorch_model.bin, *.safetensors, *.pt), found " +
          (found.empty() ? "none" : names + "; give the path of the file") +
          ".");
}

// Data-parallel training prefixes every key.
void strip_module_prefix(std::map<std::string, at::Tensor>& tensors) {
  constexpr std::string_view kPrefix = "module.";
  const bool wrapped =
      !tensors.empty() &&
      std::all_of(tensors.begin(), tensors.end(), [&](const auto& named) {
        return named.first.starts_with(kPrefix);
      });
  if (!wrapped) return;
  std::map<std::string, at::Tensor> stripped;
  for (auto& [key, tensor] : tensors) {
    stripped.emplace(key.substr(kPrefix.size()), std::move(tensor));
  }
  tensors = std::move(stripped);
}

}  // namespace

WeightFiles read_weight_files(const std::string& path) {
  WeightFiles out;
  std::error_code error;
  out.path =
      fs::is_directory(utf8_path(path), error) ? find_in_folder(path) : path;
  out.folder = to_utf8(utf8_path(out.path).parent_path());
  if (out.path.ends_with(kIndexSuffix)) {
    read_sharded(out.path, out);
  } else {
    read_one(out.path, out);
  }
  for (const auto& [key, tensor] : out.tensors) {
    if (key.size() > kMaxKey) {
      throw Error(ErrorCode::kWeights,
                  out.path + ": a tensor's name must be at most " +
                      std::to_string(kMaxKey) + " bytes, found " +
                      std::to_string(key.size()) + " (" + in_quotes(key) +
                      ").");
    }
  }
  strip_module_prefix(out.tensors);
  return out;
}

}  // namespace declip
