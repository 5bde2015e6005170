#include "declip/checkpoint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "checkpoint/dense_mode_name.h"
#include "checkpoint/detect.h"
#include "checkpoint/refused.h"
#include "checkpoint/tower_shapes.h"
#include "checkpoint/wrapper_names.h"
#include "declip/error.h"
#include "files/mapped_file.h"
#include "files/weight_files.h"

namespace declip {
namespace {

std::string stored_dtype(const std::map<std::string, at::Tensor>& tensors) {
  std::set<at::ScalarType> dtypes;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with("logit_")) dtypes.insert(tensor.scalar_type());
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
    case at::kFloat8_e4m3fn:
    case at::kFloat8_e5m2:
      return "float8";
    default:
      return c10::toString(*dtypes.begin());
  }
}

bool has_mode(const FamilySpec& family, DenseMode mode) {
  if (family.dense_modes == nullptr) return false;
  const auto modes = family.dense_modes();
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

bool has_float8(const std::map<std::string, at::Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& named) {
    const auto type = named.second.scalar_type();
    return type == at::kFloat8_e4m3fn || type == at::kFloat8_e5m2;
  });
}

std::string unused_note(const std::map<std::string, at::Tensor>& tensors) {
  constexpr size_t kShown = 4;
  std::string note = "ignored " + std::to_string(tensors.size()) +
                     " tensors outside the towers:";
  size_t shown = 0;
  for (const auto& [key, tensor] : tensors) {
    if (shown == kShown) return note + ", ...";
    note += (shown++ > 0 ? ", " : " ") + key;
  }
  return note;
}

}  // namespace

Checkpoint load_checkpoint(const std::string& path,
                           const ConfigOverrides& overrides,
                           Families families) {
  WeightFiles files = read_weight_files(path);
  reject_by_contents(files);
  const auto known = [&](const auto& tensors) {
    return has_known_names(tensors, families);
  };
  strip_wrapper_names(files.tensors, known, files.path, files.notes);
  const Detected found = detect(files.tensors, files.path, families);
  const Layout& layout = *found.layout;
  TowerTensors weights =
      to_internal(files.tensors, layout.key_map, files.path, found.prefix);

  Checkpoint out;
  out.path = files.path;
  out.notes = files.notes;
  out.class_names = files.class_names;
  out.format = layout.format;
  out.config.family = found.family;
  out.stored_dtype = stored_dtype(weights.tensors);
  layout.read({files, layout, overrides, weights}, out);
  check_towers(weights, out.config);
  if (!weights.unused.empty()) {
    out.notes.push_back(unused_note(weights.unused));
  }
  if (has_float8(weights.tensors)) {
    out.notes.emplace_back(
        "weights are stored in float8, with 2 or 3 bits of fraction: features "
        "differ from those of the model that they were rounded from");
  }
  out.check_finite = weights.finite_check();
  for (const char* name : {"logit_scale", "logit_bias"}) {
    const auto it = weights.tensors.find(name);
    if (it != weights.tensors.end()) out.check_finite(it->first, it->second);
  }
  out.files.assign(files.files.begin(), files.files.end());
  check_files(out.files);
  out.tensors = std::move(weights.tensors);
  out.others = std::move(weights.unused);
  out.epoch = files.epoch;
  if (found.family->text != nullptr) {
    if (files.dense_mode) {
      out.dense_mode = dense_mode_from_metadata(*files.dense_mode, files.path);
    } else {
      out.dense_mode =
          dense_mode_from_name(overrides.name.value_or(files.path));
      // DeCLIP trains a pooling head in one way, which other towers have not.
      if (out.dense_mode && has_mode(*found.family, DenseMode::kDeClip)) {
        out.dense_mode = dense_mode_name(DenseMode::kDeClip);
      }
    }
  }
  out.license = files.license;
  return out;
}

}  // namespace declip
