#include "train/cat_seg_names.h"

#include <ATen/ATen.h>

#include "checkpoint/family.h"
#include "checkpoint/key_map.h"
#include "declip/error.h"

namespace declip {
namespace {

constexpr std::array kParts{"q", "k", "v"};

std::string clip_name(const FamilySpec& family, const std::string& internal) {
  return std::string(kCatSegPrefix) + "clip_model." +
         source_key(family.training->exported_names, internal);
}

}  // namespace

std::string cat_seg_name(const std::string& name) {
  return (name.starts_with("transformer.") ? kCatSegPrefix : "") + name;
}

std::map<std::string, at::Tensor> CatSegTowerTensors::internal() const {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, file] : whole) out.emplace(name, tensors.at(file));
  for (const auto& [name, parts] : joined) {
    out.emplace(name,
                at::cat({tensors.at(parts[0]),
                         tensors.at(parts[1]),
                         tensors.at(parts[2])}));
  }
  return out;
}

CatSegTowerTensors cat_seg_tower_tensors(const Checkpoint& student) {
  const auto& family = *student.config.family;
  const bool plain = !family.has_swiglu(student.config);
  CatSegTowerTensors out;
  for (const auto& [name, tensor] : student.tensors) {
    if (name == "visual.proj_bias" || name == "text.text_projection_bias") {
      throw Error(ErrorCode::kInvalidArg,
                  student.path +
                      " cannot be trained as a CAT-Seg: its projection has a "
                      "bias, which the layout that models are saved in has no "
                      "name for. Take a model with open_clip's own towers.");
    }
    const auto file = clip_name(family, name);
    constexpr std::string_view kJoined = ".attn.in_proj_weight";
    if (!plain || !name.ends_with(kJoined)) {
      out.whole.emplace(name, file);
      out.tensors.emplace(file, tensor);
      continue;
    }
    auto& parts = out.joined[name];
    const auto rows = tensor.chunk(3);
    const auto stem =
        file.substr(0, file.size() - std::string_view("in_proj_weight").size());
    for (size_t i = 0; i < parts.size(); ++i) {
      parts[i] = stem + kParts[i] + "_proj_weight";
      out.tensors.emplace(parts[i], rows[i]);
    }
  }
  return out;
}

bool learns_attention(const std::string& name) {
  for (const char* end : {".attn.q_proj_weight",
                          ".attn.v_proj_weight",
                          ".attn.q_proj.weight",
                          ".attn.v_proj.weight",
                          ".attn.in_proj_weight"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

bool is_cat_seg_norm(const std::string& name) {
  for (const char* part : {"guidance_norm.",
                           ".norm1.",
                           ".norm2.",
                           ".double_conv.1.",
                           ".double_conv.4."}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace declip
