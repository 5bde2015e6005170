#include "declip/checkpoint.h"

#include <set>
#include <utility>

#include "checkpoint/dense_mode_name.h"
#include "checkpoint/detect.h"
#include "checkpoint/foundation_config.h"
#include "checkpoint/internal_names.h"
#include "checkpoint/model_config.h"
#include "checkpoint/sidecar.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "files/mapped_file.h"
#include "files/weight_files.h"

namespace declip {
namespace {

std::string format_name(const WeightFiles& files,
                        const Layout& layout,
                        const Sidecar& sidecar) {
  if (layout.naming == Naming::kOriginal) return "original";
  if (layout.naming == Naming::kTimm) return "timm";
  if (layout.naming == Naming::kTransformers) return "huggingface";
  if (files.torchscript) return "openai-jit";
  if (layout.naming == Naming::kHuggingFace) return "huggingface";
  if (layout.naming == Naming::kDetector) return "detector";
  if (files.trainer) return "trainer";
  if (layout.family == Family::kEva) return "eva-clip";
  const auto file_name = utf8_path(files.path).filename().u8string();
  const bool open_clip =
      sidecar.open_clip ||
      layout.key_map.data() == custom_text_key_map().data() ||
      file_name.starts_with(u8"open_clip");
  return open_clip ? "open_clip" : "openai";
}

Sidecar read_sidecar(const std::string& folder, const Layout& layout) {
  switch (layout.naming) {
    case Naming::kHuggingFace:
      return read_hugging_face_sidecar(folder);
    case Naming::kTransformers:
      return read_foundation_sidecar(folder, layout.family);
    case Naming::kOriginal:
    case Naming::kTimm:
      return {};
    default:
      return read_open_clip_sidecar(folder);
  }
}

std::string stored_dtype(const std::map<std::string, at::Tensor>& tensors) {
  std::set<at::ScalarType> dtypes;
  for (const auto& [name, tensor] : tensors) {
    if (name != "logit_scale") dtypes.insert(tensor.scalar_type());
  }
  if (dtypes.size() != 1) return "mixed";
  switch (*dtypes.begin()) {
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    default:
      return c10::toString(*dtypes.begin());
  }
}

std::string unused_note(const std::vector<std::string>& keys) {
  constexpr size_t kShown = 4;
  std::string note =
      "ignored " + std::to_string(keys.size()) + " tensors outside the towers:";
  for (size_t i = 0; i < keys.size() && i < kShown; ++i) {
    note += (i > 0 ? ", " : " ") + keys[i];
  }
  return keys.size() > kShown ? note + ", ..." : note;
}

}  // namespace

Checkpoint load_checkpoint(const std::string& path,
                           const ConfigOverrides& overrides) {
  const WeightFiles files = read_weight_files(path);
  const Layout layout = detect_layout(files.tensors, files.path);
  TowerTensors weights =
      to_internal(files.tensors, layout.key_map, files.path, layout.prefix);
  const bool foundation = is_foundation(layout.family);
  const bool hugging_face = layout.naming == Naming::kHuggingFace;
  const Sidecar sidecar = read_sidecar(files.folder, layout);

  Checkpoint out;
  out.path = files.path;
  out.format = format_name(files, layout, sidecar);
  const bool configured = sidecar.hugging_face || sidecar.foundation;
  if ((hugging_face || layout.naming == Naming::kTransformers) && !configured) {
    out.notes.emplace_back(
        "no config.json beside the weights: sizes read from the tensors, the "
        "usual number of channels a head");
  }
  out.config = foundation ? derive_foundation_config(
                                weights, layout.family, sidecar, overrides)
                          : derive_config(weights,
                                          layout.family,
                                          sidecar,
                                          overrides,
                                          files.torchscript,
                                          out.notes);
  check_towers(weights, out.config);
  if (!weights.unused.empty()) {
    out.notes.push_back(unused_note(weights.unused));
  }
  out.stored_dtype = stored_dtype(weights.tensors);
  out.tensors = std::move(weights.tensors);
  out.epoch = files.epoch;
  if (!foundation) {
    out.dense_mode =
        files.dense_mode
            ? dense_mode_from_metadata(*files.dense_mode, files.path)
            : dense_mode_from_name(overrides.name.value_or(files.path));
  }
  out.license = files.license;
  return out;
}

}  // namespace declip
