#include "files/weight_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "declip/error.h"
#include "files/foreign_formats.h"
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
// As WEIGHTS_FILE of ts/hub/select-files.ts has them.
constexpr std::array<std::string_view, 5> kExtensions{
    ".safetensors", ".pt", ".pth", ".bin", ".ckpt"};

std::string to_utf8(const fs::path& path) {
  const auto text = path.u8string();
  return {text.begin(), text.end()};
}

void read_one(const std::string& path, WeightFiles& out) {
  const auto file = MappedFile::open(path);
  out.files.push_back(file);
  if (is_zip(*file)) {
    TorchArchive archive = read_torch_archive(file);
    out.tensors.merge(archive.tensors);
    out.torchscript = archive.torchscript;
    out.trainer = archive.trainer;
    out.epoch = archive.epoch;
    if (!archive.note.empty()) out.notes.push_back(archive.note);
    return;
  }
  // A safetensors header begins right after its length, which is any bytes.
  const bool json_follows = file->size() > 8 && file->data()[8] == '{';
  const std::string foreign = json_follows ? "" : foreign_format(*file);
  if (!foreign.empty()) {
    file->reject("expected safetensors or a torch.save file, found " + foreign +
                 ".");
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

// Weights for other programs, which are often all that a folder holds.
std::string others_in(const std::string& folder) {
  constexpr std::array<std::string_view, 6> kOthers{
      ".h5", ".msgpack", ".onnx", ".gguf", ".pb", ".tflite"};
  std::error_code error;
  for (fs::directory_iterator it(utf8_path(folder), error), end;
       !error && it != end;
       it.increment(error)) {
    const std::string extension = to_utf8(it->path().extension());
    if (std::find(kOthers.begin(), kOthers.end(), extension) != kOthers.end()) {
      return " but " + to_utf8(it->path().filename()) +
             ", which is for other programs";
    }
  }
  return "";
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
          "pytorch_model.bin, or one *.safetensors, *.pt, *.pth, *.bin, "
          "*.ckpt), found " +
          (found.empty() ? std::string("none") + others_in(folder)
                         : names + "; give the path of the file") +
          ".");
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
  return out;
}

}  // namespace declip
