#include "train/export.h"

#include <filesystem>
#include <sstream>
#include <system_error>

#include "checkpoint/family.h"
#include "checkpoint/key_map.h"
#include "declip/error.h"
#include "declip/safetensors.h"
#include "files/atomic_file.h"
#include "files/mapped_file.h"

namespace declip {
namespace {

std::string json_numbers(const std::array<double, 3>& values) {
  std::ostringstream out;
  out.precision(17);
  out << "[" << values[0] << ", " << values[1] << ", " << values[2] << "]";
  return out.str();
}

// What open_clip takes for granted is left out.

std::string activation_text(Activation activation) {
  return activation == Activation::kGeluTanh
             ? R"(, "act_kwargs": {"approximate": "tanh"})"
             : "";
}

std::string image_text(const VisionConfig& v) {
  std::string out = activation_text(v.activation);
  if (!v.norm_before_blocks) out += R"(, "no_ln_pre": true)";
  if (v.mean_of_patches) out += R"(, "pool_type": "avg")";
  if (v.norm_after_mean) out += R"(, "final_ln_after_pool": true)";
  return out;
}

std::string text_text(const TextConfig& t, bool projection) {
  std::string out = activation_text(t.activation);
  if (!t.causal) out += R"(, "no_causal_mask": true)";
  if (t.pool == TextPool::kFirst) out += R"(, "pool_type": "first")";
  if (t.pool == TextPool::kLast) out += R"(, "pool_type": "last")";
  if (t.pool == TextPool::kEnd && t.eot_token >= 0) {
    out += R"(, "pool_type": "eos", "eos_id": )" + std::to_string(t.eot_token);
  }
  if (!projection) out += R"(, "proj_type": "none")";
  return out;
}

std::string norm_text(double eps) {
  if (eps == 1e-5) return "";
  std::ostringstream out;
  out.precision(17);
  out << ", \"norm_kwargs\": {\"eps\": " << eps << "}";
  return out.str();
}

std::string preprocess_text(const Preprocess& how) {
  std::ostringstream out;
  if (!how.bicubic) out << ", \"interpolation\": \"bilinear\"";
  if (how.resize == Preprocess::Resize::kSquash) {
    out << ", \"resize_mode\": \"squash\"";
  } else if (how.resize == Preprocess::Resize::kLongest) {
    out << ", \"resize_mode\": \"longest\", \"fill_color\": ["
        << int{how.fill[0]} << ", " << int{how.fill[1]} << ", "
        << int{how.fill[2]} << "]";
  }
  return out.str();
}

/// open_clip_config.json.
std::string config_text(const ModelConfig& config,
                        TokenizerKind tokenizer,
                        bool text_projection) {
  const auto& v = config.vision;
  const bool quick = !config.family->has_swiglu(config) &&
                     v.activation == Activation::kQuickGelu;
  std::ostringstream out;
  out.precision(17);
  out << "{\n  \"model_cfg\": {\n    \"embed_dim\": " << v.embed_dim
      << ",\n    \"quick_gelu\": " << (quick ? "true" : "false")
      << ",\n    \"vision_cfg\": {\"image_size\": " << v.image_size
      << ", \"layers\": " << v.layers << ", \"width\": " << v.width
      << ", \"head_width\": " << v.width / v.heads
      << ", \"patch_size\": " << v.patch << ", \"mlp_ratio\": "
      << static_cast<double>(v.mlp_hidden) / static_cast<double>(v.width)
      << norm_text(v.layer_norm_eps) << image_text(v) << "}";
  if (config.text) {
    const auto& t = *config.text;
    out << ",\n    \"text_cfg\": {\"context_length\": " << t.context
        << ", \"vocab_size\": " << t.vocab << ", \"width\": " << t.width
        << ", \"heads\": " << t.heads << ", \"layers\": " << t.layers
        << norm_text(t.layer_norm_eps) << text_text(t, text_projection)
        << (tokenizer == TokenizerKind::kXlmV
                ? R"(, "hf_tokenizer_name": "facebook/xlm-v-base")"
                : "")
        << "}";
  }
  out << "\n  },\n  \"preprocess_cfg\": {\"mean\": "
      << json_numbers(config.pixels.mean)
      << ", \"std\": " << json_numbers(config.pixels.std)
      << preprocess_text(config.preprocess) << "}\n}\n";
  return out.str();
}

}  // namespace

void write_model(const std::string& path,
                 const ModelConfig& config,
                 const std::map<std::string, at::Tensor>& tensors,
                 const std::map<std::string, std::string>& metadata,
                 TokenizerKind tokenizer,
                 bool text_projection) {
  const bool file = path.ends_with(".safetensors");
  if (!file) {
    std::error_code error;
    std::filesystem::create_directories(utf8_path(path), error);
    if (error) {
      throw Error(
          ErrorCode::kIo,
          "Cannot make the folder " + path + ": " + error.message() + ".");
    }
  }
  write_safetensors(
      file ? path : path + "/open_clip_model.safetensors", tensors, metadata);
  if (file) return;
  AtomicFile json(path + "/open_clip_config.json");
  const auto text = config_text(config, tokenizer, text_projection);
  json.write(text.data(), text.size());
  json.commit();
}

void export_open_clip(const std::string& path,
                      const ModelConfig& config,
                      const std::map<std::string, at::Tensor>& tensors,
                      TokenizerKind tokenizer,
                      std::optional<DenseMode> mode) {
  const auto names = config.family->training->exported_names;
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : tensors) {
    out.emplace(source_key(names, name), tensor);
  }
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  if (mode) metadata.emplace("dense_mode", dense_mode_name(*mode));
  write_model(path,
              config,
              out,
              metadata,
              tokenizer,
              tensors.contains("text.text_projection"));
}

}  // namespace declip
