#include "checkpoint/sidecar.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "declip/error.h"
#include "files/json.h"
#include "files/mapped_file.h"
#include "files/text.h"

namespace declip {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension

// A JSON object and the file and field it came from, for messages.
class Fields {
 public:
  Fields(const Json* json, std::string where)
      : json_(json), where_(std::move(where)) {
    if (json_ != nullptr && json_->object() == nullptr && !json_->is_null()) {
      throw Error(ErrorCode::kWeights, where_ + " must be a JSON object.");
    }
  }

  // `newer`, where it has the field: the *_config_dict of older files.
  void override_with(const Json* newer) { newer_ = newer; }

  const Json* find(const std::string& name) const {
    for (const Json* json : {newer_, json_}) {
      const Json* found = json == nullptr ? nullptr : json->find(name);
      if (found != nullptr && !found->is_null()) return found;
    }
    return nullptr;
  }

  Fields inner(const std::string& name) const {
    return {find(name), where_ + ": \"" + name + "\""};
  }

  std::optional<int64_t> size(const std::string& name) const {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    const auto value = found->integer();
    if (!value || *value < 1 || *value > kMaxSize) {
      reject(name, "an integer of 1 to 16777216");
    }
    return value;
  }
  int64_t size(const std::string& name, int64_t missing) const {
    return size(name).value_or(missing);
  }

  std::optional<int64_t> integer(const std::string& name) const {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    const auto value = found->integer();
    if (!value) reject(name, "an integer");
    return value;
  }

  double epsilon(const std::string& name, double missing) const {
    const Json* found = find(name);
    if (found == nullptr) return missing;
    const auto value = found->number();
    if (!value || !(*value > 0) || *value > 1) reject(name, "0 to 1");
    return *value;
  }

  bool flag(const std::string& name) const {
    const Json* found = find(name);
    if (found == nullptr) return false;
    const auto value = found->boolean();
    if (!value) reject(name, "true or false");
    return *value;
  }

  Activation activation(const std::string& name) const {
    const Json* found = find(name);
    if (found == nullptr) return Activation::kQuickGelu;
    const std::string* value = found->string();
    if (value != nullptr && *value == "quick_gelu") {
      return Activation::kQuickGelu;
    }
    if (value != nullptr && *value == "gelu") return Activation::kGelu;
    reject(name,
           "\"quick_gelu\" or \"gelu\"" +
               (value == nullptr ? "" : ", found " + in_quotes(*value)));
  }

  std::optional<std::array<double, 3>> channels(const std::string& name) const {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    std::array<double, 3> out{};
    const Json::Array* items = found->array();
    if (items == nullptr || items->size() != out.size()) {
      reject(name, "three numbers");
    }
    for (size_t c = 0; c < out.size(); ++c) {
      const auto value = (*items)[c].number();
      if (!value) reject(name, "three numbers");
      out[c] = *value;
    }
    return out;
  }

  [[noreturn]] void reject(const std::string& name,
                           const std::string& expected) const {
    throw Error(ErrorCode::kWeights,
                where_ + ": \"" + name + "\" must be " + expected + ".");
  }

 private:
  const Json* json_;
  const Json* newer_ = nullptr;
  std::string where_;
};

struct SidecarFile {
  Json json;
  std::string path;
};

std::optional<SidecarFile> read_if_there(const std::string& folder,
                                         std::string_view name) {
  const std::filesystem::path path = utf8_path(folder) / name;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  const auto u8 = path.u8string();
  const std::string text(u8.begin(), u8.end());
  const auto file = MappedFile::open(text);
  return SidecarFile{parse_json(file->view(0, file->size()), text), text};
}

std::optional<PixelStats> pixel_stats(const Fields& fields,
                                      const std::string& mean_name,
                                      const std::string& std_name) {
  const auto mean = fields.channels(mean_name);
  const auto std = fields.channels(std_name);
  if (!mean && !std) return std::nullopt;
  PixelStats out;
  out.mean = mean.value_or(out.mean);
  out.std = std.value_or(out.std);
  if (!std::all_of(
          out.std.begin(), out.std.end(), [](double s) { return s > 0; })) {
    fields.reject(std_name, "three numbers above 0");
  }
  return out;
}

int64_t heads(const Fields& fields, int64_t width, int64_t missing) {
  const int64_t count = fields.size("num_attention_heads", missing);
  if (width % count != 0) {
    fields.reject("num_attention_heads",
                  "a divisor of hidden_size " + std::to_string(width) +
                      ", found " + std::to_string(count));
  }
  return count;
}

// Missing fields have the defaults of transformers' CLIPVisionConfig and
// CLIPTextConfig, which published files rely on.
VisionConfig vision_config(const Fields& f, int64_t embed_dim) {
  VisionConfig v;
  v.image_size = f.size("image_size", 224);
  v.patch = f.size("patch_size", 32);
  v.grid = v.image_size / v.patch;
  v.width = f.size("hidden_size", 768);
  v.layers = f.size("num_hidden_layers", 12);
  v.heads = heads(f, v.width, 12);
  v.mlp_hidden = f.size("intermediate_size", 3072);
  v.embed_dim = embed_dim;
  v.activation = f.activation("hidden_act");
  v.layer_norm_eps = f.epsilon("layer_norm_eps", 1e-5);
  if (v.grid < 1) {
    f.reject("patch_size",
             "at most image_size " + std::to_string(v.image_size) + ", found " +
                 std::to_string(v.patch));
  }
  return v;
}

TextConfig text_config(const Fields& f, int64_t embed_dim) {
  // transformers pools the largest id for this value, which older configs
  // carry though it is not CLIP's end token.
  constexpr int64_t kLegacyEos = 2;
  TextConfig t;
  t.width = f.size("hidden_size", 512);
  t.layers = f.size("num_hidden_layers", 12);
  t.heads = heads(f, t.width, 8);
  t.context = f.size("max_position_embeddings", 77);
  t.vocab = f.size("vocab_size", 49408);
  t.embed_dim = embed_dim;
  t.activation = f.activation("hidden_act");
  t.layer_norm_eps = f.epsilon("layer_norm_eps", 1e-5);
  const auto eos = f.integer("eos_token_id");
  if (eos && *eos != kLegacyEos) {
    if (*eos < 0 || *eos >= t.vocab) {
      f.reject("eos_token_id",
               "0 to vocab_size-1 = " + std::to_string(t.vocab - 1) +
                   ", found " + std::to_string(*eos));
    }
    t.eot_token = *eos;
  }
  return t;
}

Sidecar::HuggingFace hugging_face_config(const SidecarFile& file) {
  const Fields top(&file.json, file.path);
  const int64_t embed_dim = top.size("projection_dim", 512);
  Fields vision = top.inner("vision_config");
  Fields text = top.inner("text_config");
  const Json* type = top.find("model_type");
  if (type != nullptr && type->string() != nullptr &&
      *type->string() == "clip_vision_model") {
    return {vision_config(top, embed_dim), std::nullopt};
  }
  vision.override_with(top.find("vision_config_dict"));
  text.override_with(top.find("text_config_dict"));
  return {vision_config(vision, embed_dim), text_config(text, embed_dim)};
}

// Missing fields have the defaults of transformers' ViTConfig, Dinov2Config and
// SamVisionConfig. Sizes follow from the tensors.
Sidecar::Foundation foundation_config(const SidecarFile& file, Family family) {
  const Fields top(&file.json, file.path);
  const bool whole_sam =
      family == Family::kSam && top.find("vision_config") != nullptr;
  const Fields f = whole_sam ? top.inner("vision_config") : top;
  Sidecar::Foundation out;
  out.heads = f.size("num_attention_heads", out.heads);
  out.layer_norm_eps =
      f.epsilon("layer_norm_eps", family == Family::kDino ? 1e-12 : 1e-6);
  const Json* activation = f.find("hidden_act");
  if (activation != nullptr &&
      f.activation("hidden_act") != Activation::kGelu) {
    f.reject("hidden_act", "\"gelu\"");
  }
  if (family != Family::kSam) return out;
  out.window = f.size("window_size", 14);
  const Json* blocks = f.find("global_attn_indexes");
  if (blocks == nullptr) {
    out.global_blocks = {2, 5, 8, 11};
    return out;
  }
  if (blocks->array() == nullptr) {
    f.reject("global_attn_indexes", "a list of block numbers");
  }
  for (const Json& item : *blocks->array()) {
    const auto block = item.integer();
    if (!block || *block < 0 || *block > kMaxSize) {
      f.reject("global_attn_indexes", "a list of block numbers");
    }
    out.global_blocks.push_back(*block);
  }
  return out;
}

std::optional<PixelStats> processor_pixels(const std::string& folder) {
  const auto file = read_if_there(folder, "preprocessor_config.json");
  if (!file) return std::nullopt;
  return pixel_stats(
      Fields(&file->json, file->path), "image_mean", "image_std");
}

}  // namespace

Sidecar read_hugging_face_sidecar(const std::string& folder) {
  Sidecar out;
  if (const auto file = read_if_there(folder, "config.json")) {
    out.hugging_face = hugging_face_config(*file);
  }
  out.pixels = processor_pixels(folder);
  return out;
}

Sidecar read_foundation_sidecar(const std::string& folder, Family family) {
  Sidecar out;
  if (const auto file = read_if_there(folder, "config.json")) {
    out.foundation = foundation_config(*file, family);
  }
  out.pixels = processor_pixels(folder);
  return out;
}

Sidecar read_open_clip_sidecar(const std::string& folder) {
  Sidecar out;
  const auto file = read_if_there(folder, "open_clip_config.json");
  if (!file) return out;
  const Fields top(&file->json, file->path);
  const Fields model = top.inner("model_cfg");
  Sidecar::OpenClip config;
  config.activation =
      model.flag("quick_gelu") ? Activation::kQuickGelu : Activation::kGelu;
  config.head_width = model.inner("vision_cfg").size("head_width");
  config.text_heads = model.inner("text_cfg").size("heads");
  out.open_clip = config;
  out.pixels = pixel_stats(top.inner("preprocess_cfg"), "mean", "std");
  return out;
}

}  // namespace declip
