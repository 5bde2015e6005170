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

// ts/hub/select-files.ts has the twins of these lists and of choose(), for what
// is downloaded; test/fixtures/hub-folders.json holds both to the same answers.
constexpr std::array<std::string_view, 4> kTransformersNames{
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json"};
constexpr std::array<std::string_view, 4> kOpenClipNames{
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth"};
// The preferred first, where a folder has one model in several containers.
constexpr std::array<std::string_view, 5> kExtensions{
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt"};
// What training programs leave beside a model.
constexpr std::array<std::string_view, 6> kLeftovers{"training_args",
                                                     "optimizer",
                                                     "scheduler",
                                                     "scaler",
                                                     "rng_state",
                                                     "random_states"};
constexpr std::array<std::string_view, 6> kVariants{
    ".fp16", ".bf16", ".fp32", ".float16", ".bfloat16", ".float32"};

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
    out.class_names = std::move(archive.class_names);
    if (!archive.note.empty()) out.notes.push_back(archive.note);
    return;
  }
  // A safetensors header begins right after its length, which is any bytes.
  const bool json_follows = file->size() > 8 && file->data()[8] == '{';
  if (!json_follows) reject_foreign(*file, foreign_format(*file));
  Safetensors read = read_safetensors(file);
  out.tensors.merge(read.tensors);
  // One of several files says it: a detector's heads lie beside the model.
  const auto take = [&](const char* key, std::optional<std::string>& said) {
    const auto it = read.metadata.find(key);
    if (it != read.metadata.end()) said = it->second;
  };
  take("license", out.license);
  take("dense_mode", out.dense_mode);
  take("declip.detector", out.detector);
  take("declip.catSeg", out.cat_seg);
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
  std::error_code error;
  for (const std::string& shard : shards) {
    if (fs::exists(utf8_path(out.folder) / utf8_path(shard), error)) continue;
    throw Error(ErrorCode::kIo,
                index_path + ": the index lists " + in_quotes(shard) +
                    " among " + std::to_string(shards.size()) +
                    " files, and it is not in the folder; download it too.");
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

// Weights whose name says nothing, by their stem: a model in several containers
// or number formats is one model.
std::map<std::string, std::string> unnamed_weights(
    const std::set<std::string>& names) {
  std::map<std::string, std::string> by_stem;
  for (const std::string_view extension : kExtensions) {
    for (const std::string& name : names) {
      if (!name.ends_with(extension)) continue;
      const std::string stem = name.substr(0, name.size() - extension.size());
      const bool leftover = std::any_of(
          kLeftovers.begin(), kLeftovers.end(), [&](std::string_view begin) {
            return stem.starts_with(begin);
          });
      if (!leftover) by_stem.emplace(stem, name);
    }
  }
  for (const std::string_view variant : kVariants) {
    std::erase_if(by_stem, [&](const auto& named) {
      const std::string& stem = named.first;
      return stem.ends_with(variant) &&
             by_stem.contains(stem.substr(0, stem.size() - variant.size()));
    });
  }
  return by_stem;
}

// What of a folder's files is the model: one name, or why there is none.
// `transformers`: config.json is there and has a model_type.
std::vector<std::string> choose(const std::set<std::string>& names,
                                bool transformers) {
  const auto first_of = [&](const auto& known) {
    return std::find_if(known.begin(), known.end(), [&](std::string_view name) {
      return names.contains(std::string(name));
    });
  };
  const auto* const plain = first_of(kTransformersNames);
  const auto* const open_clip = first_of(kOpenClipNames);
  const bool has_plain = plain != kTransformersNames.end();
  // model.safetensors beside these two is timm's image tower alone.
  const bool is_tower =
      names.contains("open_clip_config.json") && !transformers;
  if (open_clip != kOpenClipNames.end() && (is_tower || !has_plain)) {
    return {std::string(*open_clip)};
  }
  if (has_plain) return {std::string(*plain)};
  std::vector<std::string> found;
  for (const auto& [stem, name] : unnamed_weights(names)) found.push_back(name);
  return found;
}

// config.json is transformers', which always says what kind of model it is.
bool has_model_type(const std::string& folder) {
  const std::string path = to_utf8(utf8_path(folder) / "config.json");
  const auto file = MappedFile::open(path);
  return parse_json(file->view(0, file->size()), path).find("model_type") !=
         nullptr;
}

}  // namespace

std::string weights_in_folder(const std::string& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(utf8_path(folder), error), end;
       !error && it != end;
       it.increment(error)) {
    std::error_code unknown;
    if (fs::is_regular_file(it->path(), unknown)) {
      names.insert(to_utf8(it->path().filename()));
    }
  }
  if (error) {
    throw Error(ErrorCode::kIo,
                "Cannot read folder " + folder + ": " + error.message() + ".");
  }
  const bool transformers = names.contains("open_clip_config.json") &&
                            names.contains("config.json") &&
                            has_model_type(folder);
  const std::vector<std::string> found = choose(names, transformers);
  if (found.size() == 1)
    return to_utf8(utf8_path(folder) / utf8_path(found[0]));
  std::string list;
  for (const std::string& name : found) {
    list += (list.empty() ? "" : ", ") + name;
  }
  throw Error(ErrorCode::kWeights,
              folder +
                  ": expected one file of weights (model.safetensors, "
                  "pytorch_model.bin, open_clip_model.safetensors, or one "
                  "*.safetensors, *.bin, *.pt, *.pth, *.ckpt), found " +
                  (found.empty() ? std::string("none") + others_in(folder)
                                 : list + "; give the path of the file") +
                  ".");
}

WeightFiles read_weight_files(const std::string& path) {
  WeightFiles out;
  std::error_code error;
  out.path =
      fs::is_directory(utf8_path(path), error) ? weights_in_folder(path) : path;
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
